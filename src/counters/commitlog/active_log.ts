/**
 * A log that a writer has claimed: appending, syncing, sealing. The steps have the numbers of the protocol
 * in README.md.
 *
 * Invariants:
 *  1. durable ≤ tail ≤ log size; both only grow.
 *  2. A frame is written whole, by one call, alone or with others, and only then published by the live word. A
 *     frame that is whole in the file exists, even if the word could not be stored: it is never written over.
 *  3. One sync is in flight at a time. After a sync that failed, the log is never used again.
 *  4. While its writer lives, only the writer seals a log.
 */

import { Buffer } from "node:buffer";
import { assert } from "../../base/assert.ts";
import type { Clock } from "../../base/clock.ts";
import { BusyError } from "../../base/errors.ts";
import { CheckedLog, LogBytes } from "../../file/checked_log/mod.ts";
import { isPassing, type OsError } from "../../file/mod.ts";
import { directoryLocks } from "./control_layout.ts";
import { batchFrames, batchSeed, writeBatchHead } from "./frame.ts";
import type { LogHeader } from "./header.ts";
import type { HeldLog } from "./held_log.ts";
import { FRAME_HEAD_BYTES, FRAME_LENGTH_MAX, HEAD_PAGE_BYTES } from "./layout.ts";

/** Writes record batches into a log. One object serves all appends of a writer. */
export interface BatchFiller {
  /** Frames that one append may write; one if it is not set. */
  readonly framesMax?: number;
  /**
   * Writes whole records into `frame[start … end)` and returns where they end, 8-byte aligned; `start` if
   * there are none.
   */
  fill(frame: Uint8Array, start: number, end: number): number;
  /**
   * Rolls back the fills of the last append, but the first `kept` that returned records: what they wrote does not
   * count, and comes again with the next ones. At least one did not count: a filler of one frame is told 0.
   */
  rollBack(kept: number): void;
  /** Counter records that the last `fill` wrote. */
  readonly filledRecords: number;
}

let frameBytes: LogBytes | null = null;

/** The buffer in which frames are made. All logs share it, because appends never overlap. */
function frameBuffer(): LogBytes {
  return frameBytes ??= new LogBytes(new Uint8Array(FRAME_LENGTH_MAX));
}

/** A claim waits no longer for another one, which needs a few system calls to raise the order counter. */
const ORDER_WAIT_MS = 10_000;

/** Pause between two tries to tell readers of a frame on a full disk. */
const PUBLISH_RETRY_MS = 20;

export class ActiveLog {
  readonly #log: CheckedLog;
  #records = 0;
  #syncing: Promise<void> | null = null;
  #isEnded = false;
  /** The live word could not be stored yet: the disk was full, or the system refused for now. */
  #isUnpublished = false;

  private constructor(
    readonly held: HeldLog,
    readonly generation: bigint,
    /** Which claim of the pool this is. */
    readonly order: bigint,
    readonly clock: Clock,
  ) {
    const { file } = held;
    const store = {
      get memory() {
        return frameBuffer();
      },
      startOf: () => 0,
      put(start: number, end: number, offset: number) {
        file.write(frameBuffer().bytes.subarray(start, end), offset);
      },
      has(start: number, end: number, offset: number) {
        const stored = new Uint8Array(end - start);
        const bytes = frameBuffer().bytes.subarray(start, end);
        return file.read(stored, offset) === stored.length && Buffer.compare(stored, bytes) === 0;
      },
    };
    const syncs = { syncData: () => file.syncData(), syncDataAsync: () => this.#syncNamed() };
    const [tail, durable] = [HEAD_PAGE_BYTES, HEAD_PAGE_BYTES];
    const seed = batchSeed({ slot: held.slot, generation });
    this.#log = new CheckedLog(syncs, store, { shape: batchFrames, seed, tail, durable });
  }

  /** Claim, steps 3 and 4. The header of `held` must say free. */
  static async claim(held: HeldLog, header: LogHeader, clock: Clock): Promise<ActiveLog> {
    assert(header.state === "free", "Only a free log is claimed");
    const { storage, control, paths } = held.directory;
    const generation = header.generation + 1n;
    storage.reach("claim.3.before");
    held.withdraw(header);
    let order = control.raiseOrder();
    for (const startMs = clock.nowMs(); order === null; order = control.raiseOrder()) {
      if (clock.nowMs() - startMs > ORDER_WAIT_MS) {
        const holder = control.describeHolder(directoryLocks.order);
        throw new BusyError(`The order counter of ${paths.data} is held by ${holder}: try again`);
      }
      await clock.sleep(1);
    }
    held.store({
      state: "active",
      generation,
      length: HEAD_PAGE_BYTES,
      durable: HEAD_PAGE_BYTES,
      claimedWallMs: clock.wallMs(),
      records: 0,
      order,
    });
    storage.reach("claim.3.after");
    storage.reach("claim.4.before");
    // A counter that a power cut sets back would give an order twice.
    await control.file.syncDataAsync();
    await held.file.syncDataAsync();
    storage.reach("claim.4.after");
    return new ActiveLog(held, generation, order, clock);
  }

  get slot(): number {
    return this.held.slot;
  }

  get tail(): number {
    return this.#log.tail;
  }

  get durable(): number {
    return this.#log.durable;
  }

  get records(): number {
    return this.#records;
  }

  get size(): number {
    return this.held.directory.sizes.logSize;
  }

  get isEmpty(): boolean {
    return this.tail === HEAD_PAGE_BYTES;
  }

  /** Capacity for the record batch of one more frame, in bytes. */
  get capacityBytes(): number {
    return Math.max(0, this.size - this.tail - FRAME_HEAD_BYTES);
  }

  /**
   * Append, step 1: frames with what the filler writes, or nothing if it writes nothing. Throws `OsError` if they
   * cannot be written. If the error passes, as on a full disk, the filler is rolled back, and the append may be tried
   * again: the first frames may count then, and the tail is behind them. Throws `FailedError` if it cannot be found
   * out which count. After any error that does not pass the writer should stop.
   */
  append(filler: BatchFiller): void {
    assert(!this.#isEnded, "A log that is being sealed takes no frames");
    const reserve = Math.min(this.size - this.tail, FRAME_LENGTH_MAX);
    if (reserve <= FRAME_HEAD_BYTES) return;
    const { storage } = this.held.directory;
    storage.reach("append.1.before");
    const frames = this.#fill(filler, reserve);
    if (frames.length === 0) return;
    const { tail } = this;
    try {
      // Behind the fill, because that is rolled back if this meets a full disk, say.
      if (this.#isUnpublished) this.#publish();
      this.#log.appendAll(frames.map(({ end }) => end));
    } catch (error) {
      if (!isPassing(error)) throw error;
      const kept = frames.filter(({ end }) => tail + end <= this.tail);
      if (kept.length < frames.length) {
        filler.rollBack(kept.length);
        this.#count(kept);
        throw error;
      }
      // Nothing is missing that could be tried again: the next append meets the error, if it is still there.
    }
    this.#count(frames);
    storage.reach("append.1.after");
  }

  /** Fills the buffer with frames, one behind the other. */
  #fill(
    filler: BatchFiller,
    reserve: number,
  ): { readonly end: number; readonly records: number }[] {
    const frame = frameBuffer();
    const wallMs = this.clock.wallMs();
    const frames = [];
    for (let start = 0; start + FRAME_HEAD_BYTES < reserve;) {
      const batch = start + FRAME_HEAD_BYTES;
      const end = filler.fill(frame.bytes, batch, reserve);
      if (end === batch) break;
      assert(end > batch && end <= reserve, "A batch stays within its bounds");
      const { filledRecords: records } = filler;
      writeBatchHead(frame, start, { records, wallMs });
      frames.push({ end, records });
      if (frames.length === (filler.framesMax ?? 1)) break;
      start = end;
    }
    return frames;
  }

  /** Counts frames that are in the file. They are not written again, also if readers cannot be told of them yet. */
  #count(frames: readonly { readonly records: number }[]): void {
    if (frames.length === 0) return;
    for (const { records } of frames) this.#records += records;
    this.#isUnpublished = true;
    this.publishAgain();
  }

  /**
   * Tells readers of the last frame, if the disk did not let it before. Returns the error, which passes, while it
   * does not, as if it is full; else null.
   */
  publishAgain(): OsError | null {
    try {
      if (this.#isUnpublished) this.#publish();
      return null;
    } catch (error) {
      if (isPassing(error)) return error;
      throw error;
    }
  }

  #publish(): void {
    this.#isUnpublished = true;
    this.held.publish(this.tail);
    this.#isUnpublished = false;
  }

  /**
   * Append, steps 2 and 3: makes everything durable that has been appended so far. Waits for a sync in
   * flight first. Throws if the sync fails: the caller must stop answering and mark the directory failed.
   * Throws `CorruptError` if the log has lost its name: the caller must stop answering.
   */
  async sync(): Promise<void> {
    const wanted = this.tail;
    while (this.#syncing !== null) await this.#syncing;
    if (this.durable >= wanted) return;
    this.#syncing = this.#syncOnce();
    try {
      await this.#syncing;
    } finally {
      this.#syncing = null;
    }
  }

  async #syncOnce(): Promise<void> {
    const { storage } = this.held.directory;
    storage.reach("append.2.before");
    await this.#log.sync();
    storage.reach("append.3.after");
  }

  /** What is synced is durable only if the log has its name. */
  async #syncNamed(): Promise<void> {
    const { file, directory: { storage } } = this.held;
    await file.syncDataAsync();
    storage.reach("append.2.after");
    // An answer promises that readers see the increment. The header that ends the log will tell them, too.
    while (!this.#isEnded && this.publishAgain() !== null) {
      await this.clock.sleep(PUBLISH_RETRY_MS);
    }
    // A file without a name is lost, however durable its bytes are: they must not be answered.
    this.held.refuseUnlinked();
    storage.reach("append.3.before");
  }

  /**
   * Seal. Stops appending at once, syncs if `sync` is set, then waits for `after`, the seal of the log before
   * it: a writer seals its logs in their order. Then stores the header, sets the label and unlocks. An empty
   * log becomes free. If the disk has no space for the header, recovery seals the log. Throws as `sync`
   * does, and what `after` throws.
   */
  async seal({ sync, after }: {
    readonly sync: boolean;
    readonly after?: Promise<void> | null;
  }): Promise<void> {
    const { storage } = this.held.directory;
    storage.reach("seal.1.before");
    this.#isEnded = true;
    storage.reach("seal.1.after");
    if (this.isEmpty) {
      while (this.#syncing !== null) await this.#syncing;
      this.held.refuseLost();
      const [length, durable] = [HEAD_PAGE_BYTES, HEAD_PAGE_BYTES];
      if (!this.#storeEnd({ state: "free", length, durable, records: 0 })) return;
      this.held.release("free");
      return;
    }
    storage.reach("seal.2.before");
    if (sync) await this.sync();
    else while (this.#syncing !== null) await this.#syncing;
    storage.reach("seal.2.after");
    if (after) await after;
    // Labels are set by name: another file under that name would get the labels of this log.
    this.held.refuseLost();
    storage.reach("seal.3.before");
    const [length, durable, records] = [this.tail, this.durable, this.#records];
    if (!this.#storeEnd({ state: "sealed", length, durable, records })) return;
    storage.reach("seal.3.after");
    storage.reach("seal.4.before");
    this.held.release("sealed");
    storage.reach("seal.4.after");
  }

  /** Stores the last header. On a disk that is full, say, the log is left to recovery, and false returned. */
  #storeEnd(header: Parameters<HeldLog["store"]>[0]): boolean {
    try {
      this.held.store(header);
      return true;
    } catch (error) {
      if (!isPassing(error)) throw error;
      this.leaveForRecovery();
      return false;
    }
  }

  /**
   * Takes no more frames. A sync in flight no longer waits for space to tell readers of the last one: for a writer
   * that answers nothing any more, which would else never end on a full disk.
   */
  end(): void {
    this.#isEnded = true;
  }

  /** Leaves the log as it is, for recovery. A writer does this after a failed sync. */
  leaveForRecovery(): void {
    this.#isEnded = true;
    this.held.leaveForRecovery();
  }
}
