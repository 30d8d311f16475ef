/**
 * The end of a log at which frames are appended and synced. Its bytes go in through a mapping or by
 * `pwrite`: `FrameStore` is the seam between the two.
 *
 * Invariants:
 *   1  durable ≤ tail, and both only grow
 *   2  after a sync that failed, no sync is tried again: the kernel may have dropped the pages that it
 *      could not write, and a second call would report success
 */

import { assert } from "../../base/assert.ts";
import { FailedError } from "../../base/errors.ts";
import { isPassing, type StoredFile } from "../mod.ts";
import { type FrameShape, type LogBytes, sealFrame } from "./frame.ts";

/** How finished frames get into the file. */
export interface FrameStore {
  /** Memory in which the next frame is made: the mapping itself, or a buffer. */
  readonly memory: LogBytes;
  /** Where in that memory the frame is made that will be at `offset` of the log. */
  startOf(offset: number): number;
  /**
   * Puts finished frames at `offset` of the file, unless they were made there. Throws `OsError` if that is
   * not possible.
   */
  put(start: number, end: number, offset: number): void;
  /** Whether the file has these bytes. Asked after a put that failed with an error that passes. */
  has?(start: number, end: number, offset: number): boolean;
}

export class CheckedLog {
  readonly #file: Pick<StoredFile, "syncData" | "syncDataAsync">;
  readonly #store: FrameStore;
  readonly #frames: { readonly magic: number; readonly seed: number };
  #tail: number;
  #durable: number;
  #failure: { readonly error: unknown } | null = null;

  /** Continues a log that ends at `tail`. `seed` must differ for each log, and for each use of its file. */
  constructor(
    file: Pick<StoredFile, "syncData" | "syncDataAsync">,
    store: FrameStore,
    log: {
      readonly shape: FrameShape;
      readonly seed: number;
      readonly tail: number;
      readonly durable: number;
    },
  ) {
    assert(log.durable <= log.tail, "Nothing is durable beyond the end");
    this.#file = file;
    this.#store = store;
    this.#frames = { magic: log.shape.magic, seed: log.seed };
    this.#tail = log.tail;
    this.#durable = log.durable;
  }

  /** End of the last frame. */
  get tail(): number {
    return this.#tail;
  }

  /** Durable length of the log. */
  get durable(): number {
    return this.#durable;
  }

  /** Where in the store's memory the head of the next frame begins. */
  get start(): number {
    return this.#store.startOf(this.#tail);
  }

  /**
   * Appends the frame whose fields and body the owner has stored at `start`, up to `end`. Returns its offset
   * in the log. Throws as `appendAll` does: unless the frame counts, the next one goes to its place.
   */
  append(end: number): number {
    const offset = this.#tail;
    this.appendAll([end]);
    return offset;
  }

  /**
   * As `append`, for frames that follow each other, with one `put` for all. `ends` are their ends, each a
   * multiple of eight behind `start`, but the last. If `put` throws an error that passes, the first frames may
   * count, or all: those that are whole in the file, because a scan would find them there. Throws `FailedError`
   * if the file cannot be read to tell which: then nothing may be appended any more.
   */
  appendAll(ends: readonly number[]): void {
    const { start } = this;
    const { magic, seed } = this.#frames;
    const { memory } = this.#store;
    const base = this.#tail - start;
    let frameEnd = start;
    for (const end of ends) {
      const frame = { magic, seed, offset: base + frameEnd, end, durable: this.#durable };
      frameEnd = sealFrame(memory, frameEnd, frame);
    }
    try {
      this.#store.put(start, frameEnd, this.#tail);
    } catch (error) {
      // After any other error nothing is appended again, and no other one may come in its place.
      if (isPassing(error)) this.#tail = base + this.#wholeEnd(start, ends);
      throw error;
    }
    this.#tail = base + frameEnd;
  }

  /**
   * End of the last frame that is whole in the file. That may be the last one: what a write left out can be zeros,
   * which the file has there anyway.
   */
  #wholeEnd(start: number, ends: readonly number[]): number {
    const base = this.#tail - start;
    let whole = start;
    try {
      for (const end of ends) {
        if (this.#store.has?.(whole, end, base + whole) !== true) break;
        whole = end;
      }
    } catch (error) {
      // Also if this error passes: a frame that is there and not known would be appended again.
      throw new FailedError(
        `A write into a log failed, and what it wrote cannot be read: start the writer again (${error})`,
        { cause: error },
      );
    }
    return whole;
  }

  /** Syncs the present content on another thread. Throws what the first sync that failed threw. */
  async sync(): Promise<void> {
    const tail = this.#tail;
    this.#refuseFailed();
    try {
      await this.#file.syncDataAsync();
    } catch (error) {
      throw this.#fail(error);
    }
    this.#durable = Math.max(this.#durable, tail);
  }

  /** Syncs the present content on this thread. Throws as `sync` does. */
  syncNow(): void {
    this.#refuseFailed();
    try {
      this.#file.syncData();
    } catch (error) {
      throw this.#fail(error);
    }
    this.#durable = this.#tail;
  }

  #refuseFailed(): void {
    if (this.#failure !== null) throw this.#failure.error;
  }

  #fail(error: unknown): unknown {
    this.#failure = { error };
    return error;
  }
}
