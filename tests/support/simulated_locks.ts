/**
 * Locks of the simulated disk, as Linux keeps them: byte ranges owned by an open file description
 * (`F_OFD_SETLK`), or by a process in the POSIX manner for a planted bug, and whole-file `flock`.
 * The two families do not see each other.
 */

import type { LockKind } from "../../src/file/mod.ts";

/** The owner of a lock: a description, or a process. Compared by identity. */
export type LockOwner = object;

interface RangeLock {
  readonly owner: LockOwner;
  readonly start: number;
  /** First byte after the range; Infinity for a range to the end of all files. */
  readonly end: number;
  readonly kind: LockKind;
}

/** The locks of one file. */
export class SimulatedLocks {
  #ranges: RangeLock[] = [];
  #flocks = new Map<LockOwner, LockKind>();

  isHeld(owner: LockOwner, start: number, length: number, kind: LockKind): boolean {
    const end = rangeEnd(start, length);
    return this.#ranges.some((lock) =>
      lock.owner !== owner && lock.start < end && start < lock.end && conflict(lock.kind, kind)
    );
  }

  tryLock(owner: LockOwner, start: number, length: number, kind: LockKind): boolean {
    if (this.isHeld(owner, start, length, kind)) return false;
    this.unlock(owner, start, length);
    this.#ranges.push({ owner, start, end: rangeEnd(start, length), kind });
    return true;
  }

  /** Removes the range from the locks of the owner, and splits a lock if it must. */
  unlock(owner: LockOwner, start: number, length: number): void {
    const end = rangeEnd(start, length);
    this.#ranges = this.#ranges.flatMap((lock) => {
      if (lock.owner !== owner || lock.end <= start || end <= lock.start) return [lock];
      const rest: RangeLock[] = [];
      if (lock.start < start) rest.push({ ...lock, end: start });
      if (end < lock.end) rest.push({ ...lock, start: end });
      return rest;
    });
  }

  tryFlock(owner: LockOwner, kind: LockKind): boolean {
    if (this.#flocks.get(owner) === kind) return true;
    // A conversion releases the old lock first, and does not get it back if it is refused.
    this.#flocks.delete(owner);
    for (const held of this.#flocks.values()) if (conflict(held, kind)) return false;
    this.#flocks.set(owner, kind);
    return true;
  }

  releaseFlock(owner: LockOwner): void {
    this.#flocks.delete(owner);
  }

  /** Releases all locks of an owner. */
  dropRanges(owner: LockOwner): void {
    this.#ranges = this.#ranges.filter((lock) => lock.owner !== owner);
  }
}

function rangeEnd(start: number, length: number): number {
  return length === 0 ? Infinity : start + length;
}

function conflict(one: LockKind, other: LockKind): boolean {
  return one === "exclusive" || other === "exclusive";
}
