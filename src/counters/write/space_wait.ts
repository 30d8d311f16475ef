/**
 * Waiting for room: says why, once, and that it is over. Nothing is dropped meanwhile, because the sockets
 * are not read.
 */

import type { DataDirectory } from "../commitlog/mod.ts";
import type { Environment } from "./log_writer_options.ts";

/** How often it is tried again. */
const RETRY_MS = 50;

/** What a writer says when it has to wait. */
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

  /** From the first pause until `end`. */
  get isWaiting(): boolean {
    return this.#isWaiting;
  }

  /**
   * Waits until it is time to try again. Throws the signal's reason when it fires first, and
   * `DirectoryFailedError` where the directory is marked failed: then nobody makes room any more.
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

  /** There is room again. Says so where there was a pause. */
  end(): void {
    if (!this.#isWaiting) return;
    this.#isWaiting = false;
    const { events, metrics } = this.environment;
    metrics.gauge("countd_disk_full").value = 0;
    events.report("info", "writing goes on");
  }
}
