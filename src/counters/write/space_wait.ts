/**
 * Waits for a log or for disk space, and reports once why, and once that it is over. No input is dropped,
 * because the sockets are not read.
 */

import { isDiskFull, isOutOfResources, isPassing } from "../../file/mod.ts";
import type { DataDirectory } from "../commitlog/mod.ts";
import type { Environment } from "./log_writer_options.ts";

/** Pause between two tries. */
const RETRY_MS = 50;
/** A wait for a log is normal while a worker folds; after so long the writer is not ready. */
const NORMAL_WAIT_MS = 1000;

/** Events that say why a writer waits. */
const sentences = {
  disk: "disk full: sockets are not read until space returns",
  backlog: "backlog full: sockets are not read until a worker has folded a log",
  growth: "another process is adding a log: sockets are not read until it is there",
  resources: "out of descriptors or memory: sockets are not read until a log can be opened",
  busy: "a log is in use by the system: sockets are not read until it can be used",
} as const;

export type WaitReason = keyof typeof sentences;

/** What is waited for after an error that passes; null for any other error. */
export function reasonToWait(error: unknown): WaitReason | null {
  if (isDiskFull(error)) return "disk";
  if (isOutOfResources(error)) return "resources";
  return isPassing(error) ? "busy" : null;
}

export class SpaceWait {
  #isWaiting = false;
  #startMs = 0;

  constructor(readonly directory: DataDirectory, readonly environment: Environment) {}

  /** True from the first pause until `end`. */
  get isWaiting(): boolean {
    return this.#isWaiting;
  }

  /**
   * Waits until it is time to try again. Throws the signal's reason if it fires first, and
   * `DirectoryFailedError` if the directory is marked failed: then no worker recycles a log any more. Throws
   * `CorruptError` if the directory was removed or replaced.
   */
  async pause(reason: WaitReason, signal?: AbortSignal): Promise<void> {
    const { clock, events, metrics } = this.environment;
    if (!this.#isWaiting) {
      this.#isWaiting = true;
      this.#startMs = clock.nowMs();
      if (reason === "disk") metrics.gauge("countd_disk_full").value = 1;
      events.report("warn", sentences[reason]);
    }
    const isNormal = reason !== "disk" && clock.nowMs() - this.#startMs < NORMAL_WAIT_MS;
    metrics.readiness.set(this, isNormal ? null : sentences[reason]);
    await clock.sleep(RETRY_MS, signal);
    signal?.throwIfAborted();
    this.directory.refuseUnusable();
  }

  /** Ends the wait, and reports it if there was a pause. */
  end(): void {
    if (!this.#isWaiting) return;
    this.#isWaiting = false;
    const { events, metrics } = this.environment;
    metrics.readiness.set(this, null);
    metrics.gauge("countd_disk_full").value = 0;
    events.report("info", "writing goes on");
  }
}
