/**
 * A directory while it is being made, in a place of its own beside the name that it will get:
 *
 *     DIR.partial-0123456789abcdef/    16 random digits
 *       countd-partial                 the marker: an empty file, under `flock` while its maker runs
 *       copy/                          what becomes DIR, by one rename
 *
 * Invariants
 * - A place belongs to the process that made it: no other process writes into it, or removes anything of it,
 *   while its marker is held.
 * - What a killed process left (a marker that no process holds, or an empty directory of such a name) is
 *   removed by the next process that makes DIR. Anything else with such a name stays.
 * - DIR appears whole, and replaces nothing but an empty directory.
 */

import { basename, dirname } from "node:path/posix";
import { FailedError, UsageError } from "../base/errors.ts";
import { undoOnError } from "../base/undo_on_error.ts";
import {
  hasCode,
  holdAbandoned,
  holdOrNull,
  leadsTo,
  makeHeld,
  nullIfCode,
  type Storage,
  type StoredFile,
  trimSlashes,
} from "../file/mod.ts";
import { makePlace, removeTree } from "./copy_files.ts";

const MARKER_NAME = "countd-partial";
const COPY_NAME = "copy";
const RANDOM_BYTES = 8;
const PLACE_SUFFIX = new RegExp(`^\\.partial-[0-9a-f]{${2 * RANDOM_BYTES}}$`);

/** The directory is removed at the end of its scope, unless it was published. */
export class UnfinishedDirectory implements Disposable {
  /** The name that it will get, without slashes at its end. */
  readonly target: string;
  /** Where it is made: an empty directory of mode 0700 in the beginning. */
  readonly path: string;
  readonly #storage: Storage;
  readonly #place: string;
  readonly #marker: StoredFile;

  private constructor(storage: Storage, target: string, locked: LockedPlace) {
    this.#storage = storage;
    this.#place = locked.place;
    this.#marker = locked.marker;
    this.target = target;
    this.path = `${locked.place}/${COPY_NAME}`;
  }

  /**
   * Removes what killed makers of `directory` left, and begins a new one. `task` completes the message
   * "Cannot … into DIR". Throws `FailedError` if `directory` is not empty, `UsageError` if it is a path such
   * as `.` that has no name, and `OsError`.
   */
  static begin(storage: Storage, directory: string, task: string): UnfinishedDirectory {
    const target = trimSlashes(directory);
    sweep(storage, target);
    if (!isVacant(storage, target)) {
      throw new FailedError(`Cannot ${task} into ${target}: it is not empty`);
    }
    if (["", ".", ".."].includes(basename(target))) {
      throw new UsageError(`Cannot ${task} into ${target}: give the directory a name of its own`);
    }
    makePlace(storage, dirname(target));
    const locked = makeHeld(`a directory beside ${target}`, () => createLocked(storage, target));
    const unfinished = new UnfinishedDirectory(storage, target, locked);
    return undoOnError(() => unfinished[Symbol.dispose](), () => {
      // The marker is durable first, so that no power cut leaves a copy without a marker.
      storage.syncDirectory(unfinished.#place);
      storage.makeDirectory(unfinished.path, 0o700);
      return unfinished;
    });
  }

  /**
   * Gives the directory its name, durably; its content is durable already. Throws `FailedError` if another
   * process has put something there, or has removed the place.
   */
  publish(): void {
    const storage = this.#storage;
    if (!leadsTo(storage, this.#marker.path, this.#marker.status())) {
      throw new FailedError(
        `${this.#place} was removed or moved while ${this.target} was made in it: begin again`,
      );
    }
    try {
      storage.rename(this.path, this.target);
    } catch (cause) {
      const what = hasCode(cause, "ENOTEMPTY", "EEXIST")
        ? "another process has put something there; look at it, or give another name"
        : hasCode(cause, "ENOTDIR", "EBUSY")
        ? "a file, a link or the root of a file system is there; give another name"
        : null;
      if (what === null) throw cause;
      throw new FailedError(`Cannot make ${this.target}: ${what}`, { cause });
    }
    storage.syncDirectory(dirname(this.target));
  }

  [Symbol.dispose](): void {
    try {
      removePlace(this.#storage, this.#place);
    } catch {
      // The call has failed for its own reason, or is done; the next maker removes the rest.
    } finally {
      this.#marker.close();
    }
  }
}

interface LockedPlace {
  readonly place: string;
  readonly marker: StoredFile;
}

/** Makes a new place and locks its marker. Null if a sweep of another process removed it. */
function createLocked(storage: Storage, target: string): LockedPlace | null {
  const digits = crypto.getRandomValues(new Uint8Array(RANDOM_BYTES)).toHex();
  const place = `${target}.partial-${digits}`;
  const path = `${place}/${MARKER_NAME}`;
  try {
    storage.makeDirectory(place, 0o700);
    const marker = undoOnError(
      () => removeIncomplete(storage, place),
      () => holdOrNull(storage, storage.open(path, { access: "write", create: "exclusive" })),
    );
    return marker && { place, marker };
  } catch (error) {
    // If even the directory cannot be made, no sweep has removed it: `/proc` answers so.
    if (hasCode(error, "ENOENT") && error.syscall !== "mkdir") return null;
    throw error;
  }
}

/** Removes what was made before the disk refused the rest: it has no space, or no locks. */
function removeIncomplete(storage: Storage, place: string): void {
  try {
    removeTree(storage, `${place}/${MARKER_NAME}`);
    storage.removeDirectory(place);
  } catch {
    // The call has failed for its own reason; the next maker removes the place.
  }
}

/** Removes what killed makers of this very directory left. */
function sweep(storage: Storage, target: string): void {
  const parent = dirname(target);
  if (storage.statusOrNull(parent)?.kind !== "directory") return;
  const name = basename(target);
  for (const other of storage.readDirectory(parent)) {
    const suffix = other.slice(name.length);
    if (other.startsWith(name) && PLACE_SUFFIX.test(suffix)) sweepOne(storage, target + suffix);
  }
}

function sweepOne(storage: Storage, place: string): void {
  try {
    // Removes only an empty directory; of a link to one it fails with ENOTDIR.
    storage.removeDirectory(place);
    return;
  } catch (error) {
    if (!hasCode(error, "ENOTEMPTY", "EEXIST")) return;
  }
  // A free lock means that the maker has ended: a running one has it, or checks the name after it locks.
  // The place of another user cannot be read: that user's next call removes it.
  using marker = holdAbandoned(storage, `${place}/${MARKER_NAME}`);
  if (marker !== null) removePlace(storage, place);
}

/** Removes the marker last: a process that is killed before leaves a place that is known by its marker. */
function removePlace(storage: Storage, place: string): void {
  removeTree(storage, `${place}/${COPY_NAME}`);
  storage.syncDirectory(place);
  storage.unlink(`${place}/${MARKER_NAME}`);
  // Without its marker it was empty, so another process may have removed it.
  nullIfCode(() => storage.removeDirectory(place), "ENOENT");
}

/** True if the name leads to nothing, or to an empty directory. */
function isVacant(storage: Storage, path: string): boolean {
  const status = storage.statusOrNull(path);
  return status === null ||
    status.kind === "directory" && storage.readDirectory(path).length === 0;
}
