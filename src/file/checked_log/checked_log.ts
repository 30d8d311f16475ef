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
import type { StoredFile } from "../mod.ts";
import { type FrameShape, type LogBytes, sealFrame } from "./frame.ts";

/** How finished frames get into the file. */
export interface FrameStore {
  /** Memory in which the next frame is made: the mapping itself, or a buffer. */
  readonly memory: LogBytes;
  /** Where in that memory the frame is made that will be at `offset` of the log. */
  startOf(offset: number): number;
  /**
   * Puts a finished frame at `offset` of the file, unless it was made there. Throws `OsError` if that is
   * not possible; the frame does not count then, and the next one goes to the same place.
   */
  put(start: number, end: number, offset: number): void;
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
   * in the log.
   */
  append(end: number): number {
    const { start } = this;
    const { magic, seed } = this.#frames;
    const offset = this.#tail;
    const frame = { magic, seed, offset, end, durable: this.#durable };
    const frameEnd = sealFrame(this.#store.memory, start, frame);
    this.#store.put(start, frameEnd, offset);
    this.#tail += frameEnd - start;
    return offset;
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
