/**
 * Logs that lost their plain name. No step of the protocol leaves a log that was in use with its lock name
 * alone: the plain name was removed, or leads to another file. The frames of such a log may have been
 * answered, so it is neither removed nor made again.
 *
 * An unfinished log has only its lock name, too. Its header and the place of its first frame show that it
 * was never in use.
 */

import { CorruptError } from "../../base/errors.ts";
import { hasCode, isSameFile, leadsTo } from "../../file/mod.ts";
import { slotLock } from "./control.ts";
import type { DataDirectory } from "./directory.ts";
import { openDespiteLabel } from "./open_slot.ts";
import {
  findGaps,
  listLockNames,
  listSlots,
  lockPathOfSlot,
  pathOfSlot,
  unlinkLockName,
} from "./slot_files.ts";
import { lockNameWasInUse, wasInUse } from "./was_in_use.ts";

export interface LostLog {
  readonly slot: number;
  /** True if the plain name leads to another file, false if it is missing. */
  readonly isReplaced: boolean;
}

/** Finds every log that was in use and has only its lock name. Changes nothing. */
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
      // Tested after the log was read: a log that has just been made gets its plain name before it is in
      // use.
      const plain = storage.statusOrNull(path);
      if (plain === null || !isSameFile(plain, file.status())) {
        lost.push({ slot, isReplaced: plain !== null });
      }
    } catch (error) {
      // The holder has removed the lock name since.
      if (!hasCode(error, "ENOENT")) throw error;
    }
  }
  return lost;
}

/**
 * The slots whose logs can be read, in order, with those that have only a lock name. Throws `CorruptError` if a
 * log is missing below another one: it may have held increments of any counter.
 */
export function listReadableSlots(directory: DataDirectory): number[] {
  const { storage, paths } = directory;
  const { slots } = listSlots(storage, paths.logs);
  const lost = findLostLogs(directory).filter(({ isReplaced }) => !isReplaced);
  const all = [...new Set([...slots, ...lost.map(({ slot }) => slot)])];
  for (const { first } of findGaps(all)) {
    const path = pathOfSlot(paths.logs, first);
    // It may have been made, or its making may have begun, since the names were listed.
    if (storage.statusOrNull(path) ?? storage.statusOrNull(lockPathOfSlot(paths.logs, first))) {
      continue;
    }
    throw new CorruptError(
      `Commit log ${path} is missing, and later ones are there: what was in it is unknown; run countd check, ` +
        "then countd repair",
      { path, offset: 0 },
    );
  }
  return all.sort((left, right) => left - right);
}

/**
 * Resolves every lock name that has no plain name beside it and no living holder. The plain name of a log
 * that was in use is restored; an unfinished log is removed.
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
 * Restores the plain name of a log that was in use, durably; its labels are then those of a log whose
 * holder died. False if it was never in use. The caller holds the slot's byte, and the plain name is missing.
 */
export function restoreName({ storage, paths }: DataDirectory, slot: number): boolean {
  const lockPath = lockPathOfSlot(paths.logs, slot);
  if (!lockNameWasInUse(storage, lockPath)) return false;
  storage.link(lockPath, pathOfSlot(paths.logs, slot));
  // Synced before the lock name can be removed.
  storage.syncDirectory(paths.logs);
  return true;
}
