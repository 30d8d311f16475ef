/**
 * The fold lease: one process folds, the others stand by and take over when it ends. It is a kernel lock on
 * `DATA/control`: the kernel releases it with the process, and no other process can take it before.
 */

import type { Clock } from "../../base/clock.ts";
import { BusyError } from "../../base/errors.ts";
import { type DataDirectory, directoryLocks } from "../commitlog/mod.ts";

const RETRY_MS_FIRST = 5;
const RETRY_MS_LAST = 250;

/** Takes the lease if it is free. */
export function tryTakeLease({ control }: DataDirectory): boolean {
  return control.tryLock(directoryLocks.fold);
}

/**
 * Waits for the lease. False if the signal fired first. Throws `BusyError`, naming the holder, after
 * `timeoutMs`, `DirectoryFailedError` if the directory is marked failed, and `CorruptError` if it was removed or
 * replaced.
 */
export async function takeLease(
  directory: DataDirectory,
  { clock, signal, timeoutMs }: {
    readonly clock: Clock;
    readonly signal: AbortSignal;
    readonly timeoutMs: number;
  },
): Promise<boolean> {
  const deadlineMs = clock.nowMs() + timeoutMs;
  let delayMs = RETRY_MS_FIRST;
  while (!tryTakeLease(directory)) {
    if (signal.aborted) return false;
    directory.refuseUnusable();
    const leftMs = deadlineMs - clock.nowMs();
    if (leftMs <= 0) {
      throw new BusyError(
        `The fold lease of ${directory.paths.data} is held by ` +
          `${directory.control.describeHolder(directoryLocks.fold)}: try again, or wait longer ` +
          `with --lock-timeout`,
      );
    }
    await clock.sleep(Math.min(delayMs, leftMs), signal);
    delayMs = Math.min(RETRY_MS_LAST, delayMs * 2);
  }
  return true;
}
