/**
 * A log that is read by `pread`, a part at a time. So a file that is truncated, or a bad sector, is an
 * error, and not a signal as under a mapping.
 *
 * Invariants: 1. memory stays bounded, however long the log is; 2. what `at` returns is valid until the next
 * call of any window with the same memory; 3. bytes that another process may change are read anew after
 * `begin`.
 */

import { assert } from "../../base/assert.ts";
import { CorruptError } from "../../base/errors.ts";
import { isReadFailure, type StoredFile } from "../mod.ts";
import { LogBytes } from "./frame.ts";

/** A log of the default size fits in, so that a fold reads it once for both of its passes. */
const WINDOW_BYTES_MAX = 16 * 2 ** 20;
/** Most bytes that are read together, so that they are still in the processor's cache when they are used. */
const READ_BYTES_MAX = 512 * 2 ** 10;

/** Memory for the windows of one data directory, which take turns. */
export class WindowMemory {
  #bytes: Uint8Array | null = null;
  /** The window whose log is in the memory. */
  user: LogWindow | null = null;

  constructor(readonly logSize: number) {}

  get bytes(): Uint8Array {
    return this.#bytes ??= new Uint8Array(Math.min(this.logSize, WINDOW_BYTES_MAX));
  }
}

/** A file of a log: `path` is the name for messages, `size` what the log should have. */
export interface LogFile {
  readonly file: StoredFile;
  readonly path: string;
  readonly size: number;
}

export class LogWindow extends LogBytes {
  readonly #memory: WindowMemory;
  readonly #source: LogFile;
  /** What of the log is in the memory, if this is its user. */
  #start = 0;
  #end = 0;
  #limit: number;
  #aheadBytes: number;

  constructor(memory: WindowMemory, source: LogFile) {
    super(memory.bytes);
    this.#memory = memory;
    this.#source = source;
    this.#limit = source.size;
    this.#aheadBytes = READ_BYTES_MAX;
  }

  override get size(): number {
    return this.#source.size;
  }

  /**
   * Forgets what was read. From now on up to `aheadBytes` are read together, and more the longer the reading
   * goes on, but nothing from `limit` on that is not asked for.
   */
  begin(limit = this.size, aheadBytes = READ_BYTES_MAX): this {
    this.#limit = limit;
    this.#aheadBytes = aheadBytes;
    this.#start = this.#end = 0;
    return this;
  }

  /** True if this part of the log is in the memory. */
  holds(offset: number, length: number): boolean {
    return this.#memory.user === this && offset >= this.#start && offset + length <= this.#end;
  }

  /** As in `LogBytes`. Throws `CorruptError` if the log is cut short, or the disk cannot read it. */
  override at(offset: number, length: number): number {
    if (!this.holds(offset, length)) this.#load(offset, length);
    return offset - this.#start;
  }

  #load(offset: number, length: number): void {
    const { bytes } = this;
    assert(length <= bytes.length, "What is read together fits into the window");
    const wanted = Math.max(length, Math.min(this.#aheadBytes, this.#limit - offset));
    // What is there is kept as long as it fits.
    const isNext = this.#memory.user === this && offset >= this.#start && offset <= this.#end &&
      offset + length - this.#start <= bytes.length;
    if (!isNext) this.#start = this.#end = offset;
    const from = this.#end - this.#start;
    const part = bytes.subarray(from, offset - this.#start + wanted);
    this.#aheadBytes = Math.min(2 * this.#aheadBytes, READ_BYTES_MAX);
    this.#memory.user = null;
    readLog(this.#source, part, this.#end);
    this.#end += part.length;
    this.#memory.user = this;
  }
}

/**
 * Fills `into` from `offset` of a log on. Throws `CorruptError` if the log ends before, or the disk cannot
 * read it.
 */
function readLog({ file, path, size }: LogFile, into: Uint8Array, offset: number): void {
  const count = readFrom({ file, path }, into, offset);
  if (count === into.length) return;
  throw new CorruptError(
    `${path} was truncated: it ends at byte ${offset + count} and should have ${size} bytes; run ` +
      "countd check",
    { path, offset: offset + count },
  );
}

/** As `StoredFile.read`, but throws `CorruptError` if the disk cannot read the bytes. */
export function readFrom(
  { file, path }: { readonly file: StoredFile; readonly path: string },
  into: Uint8Array,
  offset: number,
): number {
  try {
    return file.read(into, offset);
  } catch (error) {
    if (!isReadFailure(error)) throw error;
    throw new CorruptError(
      `${path} cannot be read at byte ${offset} (${error.code}): the disk may be damaged; run countd check`,
      { path, offset },
    );
  }
}
