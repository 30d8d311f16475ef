/**
 * The two names of a slot, and its mode. Names and mode are labels for people and tools, and decide
 * nothing: the state is in the log's header, and the kernel knows the locks.
 *
 *   state                    mode  names
 *   free, can be claimed     0400  0000000000
 *   held (written, folded)   0600  0000000000  lock-0000000000
 *   sealed, waits for a fold 0200  0000000000
 *   being made               0600              lock-0000000000
 */

import { CorruptError } from "../../base/errors.ts";
import { hasCode, isSameFile, type Storage } from "../../file/mod.ts";
import type { LogState } from "./header.ts";
import { lockNameWasInUse } from "./was_in_use.ts";

export const HELD_MODE = 0o600;
export const FREE_MODE = 0o400;
export const SEALED_MODE = 0o200;

const LOCK_PREFIX = "lock-";
const SLOT_NAME = /^(lock-)?([0-9]{10})$/;

/** The plain name of a slot: ten digits, zero padded. */
export function nameOfSlot(slot: number): string {
  return String(slot).padStart(10, "0");
}

export function pathOfSlot(logs: string, slot: number): string {
  return `${logs}/${nameOfSlot(slot)}`;
}

export function lockPathOfSlot(logs: string, slot: number): string {
  return `${logs}/${LOCK_PREFIX}${nameOfSlot(slot)}`;
}

/** Lists the slots with a plain name, and apart from them those with only a lock name, in order. */
export function listSlots(
  storage: Storage,
  logs: string,
): { readonly slots: number[]; readonly unfinished: number[] } {
  const { plain, locked } = slotNames(storage, logs);
  return {
    slots: [...plain].sort(byNumber),
    unfinished: [...locked].filter((slot) => !plain.has(slot)).sort(byNumber),
  };
}

/** Finds the runs of slots that are missing below the greatest of `slots`. */
export function findGaps(slots: readonly number[]): { first: number; last: number }[] {
  const gaps: { first: number; last: number }[] = [];
  let next = 0;
  for (const slot of [...slots].sort(byNumber)) {
    if (slot > next) gaps.push({ first: next, last: slot - 1 });
    next = slot + 1;
  }
  return gaps;
}

/** Lists the slots that have a lock name, in order. */
export function listLockNames(storage: Storage, logs: string): number[] {
  return [...slotNames(storage, logs).locked].sort(byNumber);
}

function slotNames(storage: Storage, logs: string): Record<"plain" | "locked", Set<number>> {
  const plain = new Set<number>();
  const locked = new Set<number>();
  for (const name of storage.readDirectory(logs)) {
    const match = SLOT_NAME.exec(name);
    if (match === null) continue;
    (match[1] === undefined ? plain : locked).add(Number(match[2]));
  }
  return { plain, locked };
}

function byNumber(left: number, right: number): number {
  return left - right;
}

/**
 * Links the lock name to the log. A lock name that leads there already is kept: its holder is dead. That
 * may have been the log's maker, before the plain name was durable, so the directory is synced. A lock name
 * that leads to another file is replaced, because a power cut can leave one if the slot was made twice. If
 * that file was in use, it has lost its plain name to another file, and `CorruptError` is thrown.
 */
export function linkLockName(storage: Storage, logs: string, slot: number): void {
  const path = pathOfSlot(logs, slot);
  const lockPath = lockPathOfSlot(logs, slot);
  try {
    storage.link(path, lockPath);
  } catch (error) {
    if (!hasCode(error, "EEXIST")) throw error;
    if (isSameFile(storage.status(lockPath), storage.status(path))) {
      return storage.syncDirectory(logs);
    }
    if (lockNameWasInUse(storage, lockPath)) {
      throw new CorruptError(
        `${path} is not the log that ${lockPath} leads to, which was in use: both are left alone ` +
          "until countd repair has dealt with them",
        { path: lockPath, offset: 0 },
      );
    }
    storage.unlink(lockPath);
    storage.link(path, lockPath);
  }
}

/** Removes the lock name. Not an error if it is already gone. */
export function unlinkLockName(storage: Storage, logs: string, slot: number): void {
  try {
    storage.unlink(lockPathOfSlot(logs, slot));
  } catch (error) {
    if (!hasCode(error, "ENOENT")) throw error;
  }
}

/** The mode of a log that no process holds. */
export function modeOfState(state: Exclude<LogState, "active">): number {
  return state === "free" ? FREE_MODE : SEALED_MODE;
}
