/**
 * Logs that lost their plain name. Once a log was in use, no step of the protocol leaves it with the lock
 * name alone: something removed the plain name, or put another file there. What such a log holds may have
 * been answered, so it is neither removed nor made again.
 *
 * A log that its maker did not finish has only the lock name too. Its header and the place of its first
 * frame tell that it was never in use.
 */

import { isSameFile, leadsTo, OsError } from "../../file/mod.ts";
import { slotLock } from "./control.ts";
import type { DataDirectory } from "./directory.ts";
import { openDespiteLabel } from "./log_probe.ts";
import {
  listLockNames,
  listSlots,
  lockPathOfSlot,
  pathOfSlot,
  unlinkLockName,
} from "./slot_files.ts";
import { lockNameWasInUse, wasInUse } from "./was_in_use.ts";

export interface LostLog {
  readonly slot: number;
  /** True if the plain name leads to another file; false if there is none. */
  readonly isReplaced: boolean;
}

/** Every log that was in use and to which only its lock name leads. Looks only. */
export function findLostLogs(directory: DataDirectory): LostLog[] {
  const { storage, paths } = directory;
  const lost: LostLog[] = [];
  for (const slot of listLockNames(storage, paths.logs)) {
    const lockPath = lockPathOfSlot(paths.logs, slot);
    const path = pathOfSlot(paths.logs, slot);
    const locked = storage.statusOrNull(lockPath);
    if (locked?.kind !== "file" || leadsTo(storage, path, locked)) continue;
    try {
      using file = openDespiteLabel(directory, slot, lockPath);
      if (file === null || !wasInUse(file)) continue;
      // Asked after the look into it: a log that was made meanwhile has its plain name before it is in use.
      const plain = storage.statusOrNull(path);
      if (plain === null || !isSameFile(plain, file.status())) {
        lost.push({ slot, isReplaced: plain !== null });
      }
    } catch (error) {
      // Its holder has removed the name since.
      if (!(error instanceof OsError && error.code === "ENOENT")) throw error;
    }
  }
  return lost;
}

/** The slots whose logs can be read, in order: also those to which only a lock name leads. */
export function listReadableSlots(directory: DataDirectory): number[] {
  const { slots } = listSlots(directory.storage, directory.paths.logs);
  const lost = findLostLogs(directory).filter(({ isReplaced }) => !isReplaced);
  const all = new Set([...slots, ...lost.map(({ slot }) => slot)]);
  return [...all].sort((left, right) => left - right);
}

/**
 * Deals with every lock name that has no plain name beside it and no living holder: a log that was in use
 * gets its plain name back, one that its maker did not finish is removed.
 */
export function resolveLoneLockNames(directory: DataDirectory): void {
  const { storage, control, paths } = directory;
  for (const slot of listSlots(storage, paths.logs).unfinished) {
    if (!control.tryLock(slotLock(slot))) continue;
    try {
      if (storage.statusOrNull(pathOfSlot(paths.logs, slot)) !== null) continue;
      if (!restoreName(directory, slot)) unlinkLockName(storage, paths.logs, slot);
    } finally {
      control.unlock(slotLock(slot));
    }
  }
}

/**
 * Gives a log that was in use its plain name back, durably; it is then labelled as one whose holder is dead.
 * False if there is no such log. The caller holds the slot's byte, and there is no plain name.
 */
export function restoreName({ storage, paths }: DataDirectory, slot: number): boolean {
  const lockPath = lockPathOfSlot(paths.logs, slot);
  if (!lockNameWasInUse(storage, lockPath)) return false;
  storage.link(lockPath, pathOfSlot(paths.logs, slot));
  // Before anything takes the lock name away.
  storage.syncDirectory(paths.logs);
  return true;
}
