/**
 * The first page of a log as a reader sees it: what the log holds now. A probe takes no lock and changes
 * nothing. A slot is opened once and stays mapped, because slots are never deleted.
 */

import { isFormatError } from "../../base/format.ts";
import { hasCode } from "../../file/mod.ts";
import type { Mapping, StoredFile } from "../../file/mod.ts";
import { slotLock } from "./control.ts";
import type { DataDirectory } from "./directory.ts";
import { changeWord, headerOfFile, type LogHeader, type LogState, newestHeader } from "./header.ts";
import { HEAD_PAGE_BYTES } from "./layout.ts";
import { PublishedTail } from "./published_tail.ts";
import { HELD_MODE, lockPathOfSlot, pathOfSlot } from "./slot_files.ts";
import { wasInUse } from "./was_in_use.ts";

/** What a log held at one moment: its frames are below `limit`. */
export interface Capture {
  readonly generation: bigint;
  readonly state: LogState;
  /** End of the published frames. They need not be durable, nor valid after a crash. */
  readonly limit: number;
  /** The durable length; damage below it is corruption. */
  readonly durable: number;
  readonly claimedWallMs: number;
  /** Which claim of the pool it was. */
  readonly order: bigint;
  /** The change word before the header was read; see `hasChanged`. */
  readonly change: number;
}

/** A slot that is open for reading, mapped as far as needed. */
export interface OpenSlot {
  readonly slot: number;
  readonly path: string;
  readonly logSize: number;
  readonly file: StoredFile;
  readonly mapping: Mapping;
}

export class LogProbe implements Disposable {
  readonly slot: number;
  readonly path: string;
  readonly file: StoredFile;
  readonly #logSize: number;
  readonly #mapping: Mapping;
  readonly #page: Uint8Array;
  readonly #change: Int32Array;
  readonly #publishedTail: PublishedTail;

  protected constructor({ slot, path, logSize, file, mapping }: OpenSlot) {
    this.slot = slot;
    this.path = path;
    this.file = file;
    this.#logSize = logSize;
    this.#mapping = mapping;
    this.#page = mapping.bytes.subarray(0, HEAD_PAGE_BYTES);
    this.#change = changeWord(this.#page);
    this.#publishedTail = new PublishedTail(this.#page);
  }

  /** As `LogReader.open`, for a caller that needs only the first page. */
  static openProbe(directory: DataDirectory, slot: number): LogProbe | null {
    const opened = openSlot(directory, slot, HEAD_PAGE_BYTES);
    return opened === null ? null : new LogProbe(opened);
  }

  /** End of the frames that may be read. One atomic load. */
  get publishedTail(): number {
    return this.#publishedTail.load();
  }

  /** False if neither header nor tail has moved since a capture. Two atomic loads. */
  hasChanged(capture: Capture): boolean {
    if (Atomics.load(this.#change, 0) !== capture.change) return true;
    return capture.state === "active" && this.publishedTail > capture.limit;
  }

  /**
   * Captures what the log holds now; null if no header copy is valid. Throws `OldFormatError` or
   * `NewerFormatError` for a log of another format.
   */
  capture(): Capture | null {
    while (true) {
      const change = Atomics.load(this.#change, 0);
      const tail = this.publishedTail;
      const newest = newestHeader(this.#page, this.path);
      if (Atomics.load(this.#change, 0) !== change) continue;
      // A claim resets the tail before it stores its header, and moves the change word after that.
      if (this.publishedTail < tail) continue;
      if (newest === null || newest.header.slot !== this.slot) return null;
      const { generation, state, length, durable, claimedWallMs, order } = newest.header;
      const limit = state === "sealed"
        ? length
        : state === "active"
        ? Math.max(HEAD_PAGE_BYTES, Math.min(tail, this.#logSize))
        : HEAD_PAGE_BYTES;
      return { generation, state, limit, durable, claimedWallMs, order, change };
    }
  }

  /** As `capture`, but null also for a log of another format, which another countd may be writing. */
  captureKnown(): Capture | null {
    try {
      return this.capture();
    } catch (error) {
      if (isFormatError(error)) return null;
      throw error;
    }
  }

  /** True if the log still has the generation of the capture. */
  isStill(capture: Capture): boolean {
    if (Atomics.load(this.#change, 0) === capture.change) return true;
    return this.capture()?.generation === capture.generation;
  }

  close(): void {
    this.#mapping.release();
    this.file.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * Opens a slot for reading and maps its first `length` bytes. If the plain name is missing, the lock name
 * may lead to a log that lost it: see `listReadableSlots`. Null if the file is not a complete log (it is
 * being made, or is damaged). Also null if its label forbids reading and its byte is held: the holder has
 * set 0600 or is about to, so try again shortly.
 */
export function openSlot(
  directory: DataDirectory,
  slot: number,
  length: number,
): OpenSlot | null {
  const { storage, paths, sizes: { logSize } } = directory;
  const plainPath = pathOfSlot(paths.logs, slot);
  let path = plainPath;
  let status = storage.statusOrNull(path);
  if (status === null) {
    path = lockPathOfSlot(paths.logs, slot);
    status = storage.statusOrNull(path);
  }
  if (status === null || status.kind !== "file" || status.size !== logSize) return null;
  const file = openDespiteLabel(directory, slot, path);
  if (file === null) return null;
  try {
    if (path !== plainPath && !wasInUse(file)) {
      file.close();
      return null;
    }
    return { slot, path, logSize, file, mapping: file.map(length, "read") };
  } catch (error) {
    file.close();
    throw error;
  }
}

/**
 * The newest header of a log: null if none is valid, and "held" if its mode forbids reading and another
 * process holds it. Throws `OldFormatError` or `NewerFormatError` for a log of another format.
 */
export function headerOfSlot(directory: DataDirectory, slot: number): LogHeader | null | "held" {
  const path = pathOfSlot(directory.paths.logs, slot);
  if (directory.storage.status(path).kind !== "file") return null;
  using file = openDespiteLabel(directory, slot, path);
  return file === null ? "held" : headerOfFile(file, path);
}

/**
 * Opens a log for reading whatever its mode is. An ordinary user cannot open a sealed log (0200), so the
 * slot's byte is taken, the mode widened, the file opened, and the mode restored. Null if the byte is held.
 */
export function openDespiteLabel(
  { storage, control }: DataDirectory,
  slot: number,
  path: string,
): StoredFile | null {
  try {
    return storage.open(path, { access: "read" });
  } catch (error) {
    if (!hasCode(error, "EACCES")) throw error;
  }
  if (!control.tryLock(slotLock(slot))) return null;
  try {
    const { mode } = storage.status(path);
    storage.chmod(path, HELD_MODE);
    try {
      return storage.open(path, { access: "read" });
    } finally {
      storage.chmod(path, mode);
    }
  } finally {
    control.unlock(slotLock(slot));
  }
}
