/**
 * The live words of `control`: one for each slot, from which readers see cheaply that a log has moved. The
 * low half is the published tail: the end of the last whole frame. The high half counts the stores of the
 * log's header: it is the low half of the header's sequence.
 *
 * Invariants:
 *  1. A word is stored after the frames and the header that it speaks of.
 *  2. A word belongs to a header only if it carries its sequence. So a reader never takes the tail of one
 *     use of a log for that of the next.
 *  3. Words are not synced with the logs. After a power cut a word may be older than durable frames, so a
 *     reader that meets a header for the first time looks for frames behind the tail.
 */

import { Buffer } from "node:buffer";
import { assert } from "../../base/assert.ts";
import { LOG_SIZE_MAX, SLOTS_MAX } from "../../base/pool_defaults.ts";
import {
  isSameFile,
  type Mapping,
  OsError,
  type Storage,
  type StoredFile,
} from "../../file/mod.ts";
import { HOLDERS_OFFSET, liveWordsLayout } from "./control_layout.ts";

const WORD_BYTES = 16;
const WORD_INTS = WORD_BYTES / 4;
const { offset: TAILS_OFFSET } = liveWordsLayout.tails;

/** A load may meet a store, and is repeated; after so many, the word is read by a call. */
const LOADS_MAX = 1000;

/** The change of a word that is damaged, or that a slot does not have: equal to none that is stored. */
export const CHANGE_UNKNOWN = 2 ** 32;

export class LiveWords {
  readonly #storage: Storage;
  readonly #file: StoredFile;
  #mapping: Mapping | null = null;
  #ints: Int32Array | null = null;
  readonly #stored = new Int32Array(WORD_INTS);
  /** What the last `load` found: the count of header stores, as a signed number, and the published tail. */
  change = CHANGE_UNKNOWN;
  tail = 0;

  constructor(storage: Storage, file: StoredFile) {
    this.#storage = storage;
    this.#file = file;
  }

  /** Loads the word of a slot into `change` and `tail`. No system call, if the file is mapped already. */
  load(slot: number): void {
    if (slot < SLOTS_MAX) {
      const ints = this.#mapped();
      const at = (TAILS_OFFSET >>> 2) + slot * WORD_INTS;
      for (let load = 0; ints !== null && load < LOADS_MAX; load++) {
        if (this.#take(ints, at)) return;
      }
      const read = new Int32Array(WORD_INTS);
      this.#file.read(new Uint8Array(read.buffer), TAILS_OFFSET + slot * WORD_BYTES);
      if (this.#take(read, 0)) return;
    }
    this.change = CHANGE_UNKNOWN;
    this.tail = 0;
  }

  /**
   * True if no log from a slot on has been claimed, and so none holds frames, as far as `count` words say. False
   * if it takes system calls to know.
   */
  areUnused(from: number, count: number): boolean {
    const ints = this.#mapped();
    if (ints === null || from + count > SLOTS_MAX) return false;
    const start = (TAILS_OFFSET >>> 2) + from * WORD_INTS;
    for (let at = start; at < start + count * WORD_INTS; at += WORD_INTS) {
      if (ints[at] !== 0 || ints[at + 1] !== 0) return false;
    }
    return true;
  }

  /** True if the value of a slot is still what a load found. A store that is missed is seen the next time. */
  isStill(slot: number, change: number, tail: number): boolean {
    const ints = this.#ints;
    const at = (TAILS_OFFSET >>> 2) + slot * WORD_INTS;
    return ints !== null && ints[at] === tail && ints[at + 1] === change;
  }

  /** Takes a word if it is whole. One that was never stored is zero, with its complement. */
  #take(ints: Int32Array, at: number): boolean {
    const tail = Atomics.load(ints, at);
    const change = Atomics.load(ints, at + 1);
    const tailInverted = Atomics.load(ints, at + 2);
    const changeInverted = Atomics.load(ints, at + 3);
    // Loaded again: each half may fit its complement, and yet be from another store than the other half.
    if (Atomics.load(ints, at) !== tail || Atomics.load(ints, at + 1) !== change) return false;
    const isWhole = (tail ^ tailInverted) === -1 && (change ^ changeInverted) === -1;
    if (!isWhole && (tail | change | tailInverted | changeInverted) !== 0) return false;
    this.change = change;
    this.tail = tail;
    return true;
  }

  /** Stores the word of a slot. Only for its holder. Throws `OsError` if the disk refuses. */
  store(slot: number, { change, tail }: { readonly change: number; readonly tail: number }): void {
    assert(tail > 0 && tail <= LOG_SIZE_MAX, "A tail is inside its log");
    // Readers of a slot without a word read its header each time.
    if (slot >= SLOTS_MAX) return;
    const ints = this.#stored;
    ints[0] = tail;
    ints[1] = change;
    ints[2] = ~tail;
    ints[3] = ~change;
    this.#file.write(new Uint8Array(ints.buffer), TAILS_OFFSET + slot * WORD_BYTES);
  }

  /**
   * Gives the mapping up if it no longer shows what the file holds: the next load makes another. That happens if
   * the file lay in the lower layer of an overlay, and a writer has copied it up since: reads then find the copy,
   * and mappings of a descriptor that was open before do not.
   */
  renew(): void {
    const shown = this.#mapping?.bytes;
    if (shown === undefined) return;
    const held = new Uint8Array(HOLDERS_OFFSET);
    this.#file.read(held, 0);
    // A store in between only makes a new mapping of the same file.
    if (Buffer.compare(held, shown.subarray(0, HOLDERS_OFFSET)) !== 0) this.close();
  }

  /**
   * Null if a copy of the directory has left holes in the file. A file system in memory needs space for a hole
   * when it is touched, and ends the process by a signal if it is full. Null as well if the name does not lead to
   * the file now: a descriptor of the file before it was copied up would map that, with its holes.
   */
  #mapped(): Int32Array | null {
    if (this.#ints !== null) return this.#ints;
    if (hasHoles(this.#file)) return null;
    using file = this.#openAgain();
    if (file === null) return null;
    this.#mapping = file.map(HOLDERS_OFFSET, "read");
    const { buffer, byteOffset } = this.#mapping.bytes;
    return this.#ints = new Int32Array(buffer, byteOffset, HOLDERS_OFFSET >>> 2);
  }

  /** A descriptor of the file as it is now; null if there is none. */
  #openAgain(): StoredFile | null {
    using opened = new DisposableStack();
    try {
      const file = opened.use(this.#storage.open(this.#file.path, { access: "read" }));
      if (!isSameFile(file.status(), this.#file.status())) return null;
      opened.move();
      return file;
    } catch (error) {
      if (error instanceof OsError) return null;
      throw error;
    }
  }

  close(): void {
    this.#ints = null;
    this.#mapping?.release();
    this.#mapping = null;
  }
}

/** True if there is a hole before `HOLDERS_OFFSET`, without space on disk. */
function hasHoles(file: StoredFile): boolean {
  const { size, allocatedBytes } = file.status();
  if (allocatedBytes >= size) return false;
  const data = file.nextData(0);
  return data === null || data.start > 0 || data.end < HOLDERS_OFFSET;
}
