/**
 * A directory while it is being made. It grows in a place of its own, beside the name that it is to get:
 *
 *     DIR.partial-0123456789abcdef/    16 random digits
 *       countd-partial                 the marker: an empty file, under `flock` for as long as its maker lives
 *       copy/                          what becomes DIR, by one rename
 *
 * Invariants
 * - A place belongs to the one who made it: nobody else writes into it, or removes anything of it, while
 *   its marker is held.
 * - What a killed maker left (a marker that nobody holds, or a directory of such a name with nothing in
 *   it) is removed by the next one who makes DIR. What else has such a name is somebody else's, and stays.
 * - DIR appears whole, and never in the place of something that is not an empty directory.
 */

import { basename, dirname } from "node:path/posix";
import { BusyError, FailedError, UsageError } from "../base/errors.ts";
import { hasCode, leadsTo, type Storage, type StoredFile, trimSlashes } from "../file/mod.ts";
import { makePlace, removeTree } from "./copy_files.ts";

const MARKER_NAME = "countd-partial";
const COPY_NAME = "copy";
const RANDOM_BYTES = 8;
const PLACE_SUFFIX = new RegExp(`^\\.partial-[0-9a-f]{${2 * RANDOM_BYTES}}$`);

/** How often a maker starts again when a sweeper caught its place in the moment before the lock. */
const BIRTHS_MAX = 100;

/** Removed at the end of its scope, unless it was published. */
export class UnfinishedDirectory implements Disposable {
  /** The name that it is to get, without slashes at its end. */
  readonly target: string;
  /** Where it is made: an empty directory of mode 0700 at first. */
  readonly path: string;
  readonly #storage: Storage;
  readonly #place: string;
  readonly #marker: StoredFile;

  private constructor(storage: Storage, target: string, born: Born) {
    this.#storage = storage;
    this.#place = born.place;
    this.#marker = born.marker;
    this.target = target;
    this.path = `${born.place}/${COPY_NAME}`;
  }

  /**
   * Removes what killed makers of `directory` left, and begins a new one. `task` completes the message
   * "Cannot … into DIR". Throws `FailedError` where `directory` is not empty, `UsageError` where it is
   * not called by a name of its own, `OsError`.
   */
  static begin(storage: Storage, directory: string, task: string): UnfinishedDirectory {
    const target = trimSlashes(directory);
    sweep(storage, target);
    if (!isVacant(storage, target)) {
      throw new FailedError(`Cannot ${task} into ${target}: it is not empty`);
    }
    if (["", ".", ".."].includes(basename(target))) {
      throw new UsageError(`Cannot ${task} into ${target}: call the directory by its name`);
    }
    makePlace(storage, dirname(target));
    const unfinished = new UnfinishedDirectory(storage, target, bear(storage, target));
    try {
      // The marker is durable first, so that no power cut leaves a copy that nobody knows.
      storage.syncDirectory(unfinished.#place);
      storage.makeDirectory(unfinished.path, 0o700);
      return unfinished;
    } catch (error) {
      unfinished[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * Gives it its name, durably; what it holds is durable already. Throws `FailedError` where somebody
   * else put something there meanwhile, or took the place away.
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
      if (hasCode(cause, "ENOTEMPTY", "EEXIST")) {
        const what = "somebody else put something there meanwhile; see what it is";
        throw new FailedError(`Cannot make ${this.target}: ${what}, or give another name`, {
          cause,
        });
      }
      if (hasCode(cause, "ENOTDIR", "EBUSY")) {
        const what = "a file, a link or the root of a file system is there";
        throw new FailedError(`Cannot make ${this.target}: ${what}; give another name`, { cause });
      }
      throw cause;
    }
    storage.syncDirectory(dirname(this.target));
  }

  [Symbol.dispose](): void {
    try {
      removePlace(this.#storage, this.#place);
    } catch {
      // The call fails for its own reason, or is done; the rest is swept once its lock is gone.
    } finally {
      this.#marker.close();
    }
  }
}

interface Born {
  readonly place: string;
  readonly marker: StoredFile;
}

/** A new place whose marker is ours. */
function bear(storage: Storage, target: string): Born {
  for (let births = 0; births < BIRTHS_MAX; births++) {
    const digits = crypto.getRandomValues(new Uint8Array(RANDOM_BYTES)).toHex();
    const place = `${target}.partial-${digits}`;
    if (!isMade(storage, place)) continue;
    let marker: StoredFile | null;
    try {
      marker = markOrNull(storage, place);
    } catch (error) {
      removeNewborn(storage, place);
      throw error;
    }
    if (marker !== null) return { place, marker };
  }
  throw new BusyError(`Cannot keep a directory beside ${target}: others remove it; try again`);
}

/** False where a sweeper was faster, who may remove the place before its mode is looked at. */
function isMade(storage: Storage, place: string): boolean {
  try {
    storage.makeDirectory(place, 0o700);
    return true;
  } catch (error) {
    if (hasCode(error, "ENOENT")) return false;
    throw error;
  }
}

/** Null where a sweeper was faster, who removes the place then. */
function markOrNull(storage: Storage, place: string): StoredFile | null {
  const path = `${place}/${MARKER_NAME}`;
  let marker: StoredFile | null = null;
  let isOurs = false;
  try {
    marker = storage.open(path, { access: "write", create: "exclusive", mode: 0o600 });
    isOurs = marker.tryFlock("exclusive") && leadsTo(storage, path, marker.status());
    return isOurs ? marker : null;
  } catch (error) {
    if (hasCode(error, "ENOENT")) return null;
    throw error;
  } finally {
    if (!isOurs) marker?.close();
  }
}

/** Takes back what a disk without space, or without locks, let us make. */
function removeNewborn(storage: Storage, place: string): void {
  try {
    removeTree(storage, `${place}/${MARKER_NAME}`);
    storage.removeDirectory(place);
  } catch {
    // The call fails for its own reason; the next start sweeps the place.
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
    // Removes nothing but an empty directory, and tells one that is not from a link to one (ENOTDIR).
    storage.removeDirectory(place);
    return;
  } catch (error) {
    if (!hasCode(error, "ENOTEMPTY", "EEXIST")) return;
  }
  const path = `${place}/${MARKER_NAME}`;
  let marker: StoredFile;
  try {
    // Another user's place lets nobody look inside: it is theirs to sweep.
    if (storage.statusOrNull(path)?.kind !== "file") return;
    marker = storage.open(path, { access: "write" });
  } catch (error) {
    if (hasCode(error, "ENOENT", "EACCES", "EPERM")) return;
    throw error;
  }
  try {
    // A free lock means that the maker is gone: a living one has it, or looks again after taking it.
    if (!marker.tryFlock("exclusive") || !leadsTo(storage, path, marker.status())) return;
    removePlace(storage, place);
  } finally {
    marker.close();
  }
}

/** The marker goes last: who is stopped before, leaves a place that is known for what it is. */
function removePlace(storage: Storage, place: string): void {
  removeTree(storage, `${place}/${COPY_NAME}`);
  storage.syncDirectory(place);
  storage.unlink(`${place}/${MARKER_NAME}`);
  try {
    storage.removeDirectory(place);
  } catch (error) {
    // Empty without its marker, so that another sweeper may be faster.
    if (!hasCode(error, "ENOENT")) throw error;
  }
}

/** True where there is nothing under the name, or an empty directory. */
function isVacant(storage: Storage, path: string): boolean {
  const status = storage.statusOrNull(path);
  return status === null ||
    status.kind === "directory" && storage.readDirectory(path).length === 0;
}
