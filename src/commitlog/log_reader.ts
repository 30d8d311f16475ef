/**
 * A log as a reader sees it: never locked, never changed. A slot is opened once and its descriptor
 * kept, because slots are never deleted.
 *
 * Refresh, step 1, is made of `capture`, `readFrames` and `isStill`: take generation and tail, verify and
 * copy the new frames, and make sure that the generation has not moved meanwhile.
 */

import { OsError } from "../file/mod.ts";
import type { Mapping, StoredFile } from "../file/mod.ts";
import { slotLock } from "./control.ts";
import type { DataDirectory } from "./directory.ts";
import { FrameCodec, LogBytes } from "./frame.ts";
import { changeWord, type LogState, newestHeader } from "./header.ts";
import { frameHeadBytes, headPageBytes, liveLayout } from "./layout.ts";
import { heldMode, pathOfSlot } from "./slot_files.ts";

/** What a log held at one moment: frames lie below `limit`. */
export interface Capture {
  readonly generation: bigint;
  readonly state: LogState;
  /** End of the published frames. Not all of them need be durable, or valid after a crash. */
  readonly limit: number;
  /** What is known to be durable; damage below it is corruption. */
  readonly durable: number;
  readonly claimedWallMs: number;
  /** The change word before the header was read; see `hasChanged`. */
  readonly change: number;
}

export class LogReader implements Disposable {
  readonly #log: LogBytes;
  readonly #change: Int32Array;
  readonly #tailWord: Int32Array;
  #codec: FrameCodec | null = null;

  private constructor(
    readonly slot: number,
    readonly path: string,
    readonly file: StoredFile,
    readonly mapping: Mapping,
  ) {
    this.#log = new LogBytes(mapping.bytes);
    this.#change = changeWord(mapping.bytes);
    const tailOffset = mapping.bytes.byteOffset + liveLayout.publishedTail.offset;
    this.#tailWord = new Int32Array(mapping.bytes.buffer, tailOffset, 1);
  }

  /**
   * Opens a slot for reading. Null where the file is no whole log (it is being made, or is damaged), or
   * where its label refuses us and its byte is held: then the holder has set 0600 or is about to, so try
   * again shortly.
   */
  static open(directory: DataDirectory, slot: number): LogReader | null {
    const { storage, paths, sizes } = directory;
    const path = pathOfSlot(paths.logs, slot);
    const status = storage.statusOrNull(path);
    if (status === null || status.kind !== "file" || status.size !== sizes.logSize) return null;
    const file = openWhateverTheLabel(directory, slot, path);
    if (file === null) return null;
    try {
      return new LogReader(slot, path, file, file.map(sizes.logSize, "read"));
    } catch (error) {
      file.close();
      throw error;
    }
  }

  get bytes(): Uint8Array {
    return this.#log.bytes;
  }

  /** The published tail's low 32 bits: one atomic load. Logs are shorter than 2^31. */
  get publishedTail(): number {
    return Atomics.load(this.#tailWord, 0) >>> 0;
  }

  /** False where neither header nor tail moved since a capture: two atomic loads. */
  hasChanged(capture: Capture): boolean {
    if (Atomics.load(this.#change, 0) !== capture.change) return true;
    return capture.state === "active" && this.publishedTail > capture.limit;
  }

  /** Null where no header copy is valid. */
  capture(): Capture | null {
    for (;;) {
      const change = Atomics.load(this.#change, 0);
      const tail = this.publishedTail;
      const newest = newestHeader(this.#log.bytes.subarray(0, headPageBytes));
      if (Atomics.load(this.#change, 0) !== change) continue;
      // A claim sets the tail back before it stores its header, and tells of it after.
      if (this.publishedTail < tail) continue;
      if (newest === null || newest.header.slot !== this.slot) return null;
      const { generation, state, length, durable, claimedWallMs } = newest.header;
      const limit = state === "sealed"
        ? length
        : state === "active"
        ? Math.max(headPageBytes, Math.min(tail, this.#log.bytes.length))
        : headPageBytes;
      return { generation, state, limit, durable, claimedWallMs, change };
    }
  }

  /**
   * Visits the record batches of the valid frames from `from` (a frame's start) up to `capture.limit`
   * and returns where they end: less than the limit where a frame does not verify. What was visited
   * counts only if `isStill(capture)` holds afterwards.
   */
  readFrames(
    capture: Capture,
    from: number,
    visit: (log: Uint8Array, start: number, end: number) => void,
  ): number {
    const codec = this.#codecOf(capture.generation);
    let offset = from;
    for (;;) {
      const length = codec.verify(this.#log, offset, capture.limit);
      if (length === 0) return offset;
      visit(this.#log.bytes, offset + frameHeadBytes, offset + length);
      offset += length;
    }
  }

  /** True where the log is still in the same use as at the capture. */
  isStill(capture: Capture): boolean {
    if (Atomics.load(this.#change, 0) === capture.change) return true;
    return this.capture()?.generation === capture.generation;
  }

  #codecOf(generation: bigint): FrameCodec {
    if (this.#codec?.identity.generation !== generation) {
      this.#codec = new FrameCodec({ slot: this.slot, generation });
    }
    return this.#codec;
  }

  close(): void {
    this.mapping.release();
    this.file.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * An ordinary user cannot open a sealed log (0200) for reading. Then, for that moment only, the slot's
 * byte is taken, the mode widened, the file opened, and the mode put back.
 */
function openWhateverTheLabel(
  { storage, control }: DataDirectory,
  slot: number,
  path: string,
): StoredFile | null {
  try {
    return storage.open(path, { access: "read" });
  } catch (error) {
    if (!(error instanceof OsError && error.code === "EACCES")) throw error;
  }
  if (!control.tryLock(slotLock(slot))) return null;
  try {
    const { mode } = storage.status(path);
    storage.chmod(path, heldMode);
    try {
      return storage.open(path, { access: "read" });
    } finally {
      storage.chmod(path, mode);
    }
  } finally {
    control.unlock(slotLock(slot));
  }
}
