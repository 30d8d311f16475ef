/**
 * Waits for a log or for disk space, and reports once why, and once that it is over. No input is dropped,
 * because the sockets are not read.
 */

import type { DataDirectory } from "../commitlog/mod.ts";
import type { Environment } from "./log_writer_options.ts";

/** Pause between two tries. */
const RETRY_MS = 50;

/** Events that say why a writer waits. */
const sentences = {
  disk: "disk full: sockets are not read until space returns",
  backlog: "backlog full: sockets are not read until a worker has folded a log",
  growth: "another process is adding a log: sockets are not read until it is there",
  resources: "out of descriptors or memory: sockets are not read until a log can be opened",
} as const;

export type WaitReason = keyof typeof sentences;

export class SpaceWait {
  #isWaiting = false;

  constructor(readonly directory: DataDirectory, readonly environment: Environment) {}

  /** True from the first pause until `end`. */
  get isWaiting(): boolean {
    return this.#isWaiting;
  }

  /**
   * Waits until it is time to try again. Throws the signal's reason if it fires first, and
   * `DirectoryFailedError` if the directory is marked failed: then no worker recycles a log any more.
   */
  async pause(reason: WaitReason, signal?: AbortSignal): Promise<void> {
    const { clock, events, metrics } = this.environment;
    if (!this.#isWaiting) {
      this.#isWaiting = true;
      if (reason === "disk") metrics.gauge("countd_disk_full").value = 1;
      events.report("warn", sentences[reason]);
    }
    await clock.sleep(RETRY_MS, signal);
    signal?.throwIfAborted();
    this.directory.refuseFailed();
  }

  /** Ends the wait, and reports it if there was a pause. */
  end(): void {
    if (!this.#isWaiting) return;
    this.#isWaiting = false;
    const { events, metrics } = this.environment;
    metrics.gauge("countd_disk_full").value = 0;
    events.report("info", "writing goes on");
  }
}
