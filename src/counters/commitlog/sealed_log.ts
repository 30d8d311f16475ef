/**
 * A sealed log that a fold holds: verified, read batch by batch, and recycled or released.
 */

import { assert } from "../../base/assert.ts";
import { CorruptError } from "../../base/errors.ts";
import type { DataDirectory } from "./directory.ts";
import { BatchCursor } from "./frame.ts";
import { HeldLog } from "./held_log.ts";
import { HEAD_PAGE_BYTES, type LogIdentity } from "./layout.ts";
import { type BatchVisitor, type Scan, scanLog, visitBatch } from "./scan_log.ts";
import { recoverHeld, type Recovery } from "./recover_slot.ts";

/** What a fold finds when it takes a slot. */
export type TakenSlot =
  /** A living process holds it, or it is free. */
  | { readonly kind: "none" }
  /** Its holder was dead. It may be sealed now: take it again. */
  | { readonly kind: "recovered"; readonly recovery: Recovery }
  | { readonly kind: "sealed"; readonly log: SealedLog };

export class SealedLog {
  readonly identity: LogIdentity;
  #scan: Scan | null = null;

  private constructor(
    readonly held: HeldLog,
    generation: bigint,
    /** End of the last frame, by the header. */
    readonly length: number,
    readonly durable: number,
    /** When the log was claimed; for display only. */
    readonly claimedWallMs: number,
    readonly order: bigint,
  ) {
    this.identity = { slot: held.slot, generation };
  }

  /** Fold, step 2. Throws `CorruptError` if the file or its header is damaged. */
  static take(directory: DataDirectory, slot: number): TakenSlot {
    const held = HeldLog.take(directory, slot);
    if (held === null) return { kind: "none" };
    const header = held.header();
    if (header?.state === "sealed") {
      const { generation, length, durable, claimedWallMs, order } = header;
      return {
        kind: "sealed",
        log: new SealedLog(held, generation, length, durable, claimedWallMs, order),
      };
    }
    const recovery = recoverHeld(held);
    return recovery.wasActive ? { kind: "recovered", recovery } : { kind: "none" };
  }

  get slot(): number {
    return this.held.slot;
  }

  /**
   * Verifies every frame. Throws `CorruptError` with the offset if durable data is damaged; a torn tail
   * above the durable length is left out.
   */
  verify(): Scan {
    const { length, durable } = this;
    const scan = scanLog(this.held.log.begin(length), this.identity, { length, durable });
    if (scan.damage !== null) throw this.#damage(scan.damage.offset, scan.durable);
    this.#scan = scan;
    return scan;
  }

  #damage(offset: number, durable: number): CorruptError {
    return new CorruptError(
      `${this.held.path} is damaged at byte ${offset}, below its durable length ${durable}: the log is ` +
        "quarantined, run countd repair",
      { path: this.held.path, offset },
    );
  }

  /**
   * Visits the record batches of the verified frames, in order. A log that is longer than a window is read
   * a second time. Throws `CorruptError` if it can then not be read, or is not what it was.
   */
  forEachBatch(visit: BatchVisitor): void {
    for (const _frame of this.eachBatch(visit));
  }

  /** As `forEachBatch`, and yields after each frame. */
  *eachBatch(visit: BatchVisitor): Generator<void, void> {
    assert(this.#scan !== null, "A log is verified before it is read");
    const { log } = this.held;
    const { tail } = this.#scan;
    const frame = new BatchCursor(log, this.identity);
    const isVerified = log.holds(HEAD_PAGE_BYTES, tail - HEAD_PAGE_BYTES);
    for (let offset = HEAD_PAGE_BYTES; offset < tail; offset = frame.end) {
      if (isVerified) frame.moveTo(offset);
      else if (!frame.at(offset, tail)) throw this.#damage(offset, tail);
      visitBatch(frame, visit);
      yield;
    }
  }

  /** Recycle. Only after every keyspace that the log names has applied it durably. */
  recycle(): void {
    const { storage } = this.held.directory;
    storage.reach("recycle.1.before");
    this.held.store({
      state: "free",
      length: HEAD_PAGE_BYTES,
      durable: HEAD_PAGE_BYTES,
      records: 0,
    });
    storage.reach("recycle.1.after");
    storage.reach("recycle.2.before");
    this.held.release("free");
    storage.reach("recycle.2.after");
  }

  /** Releases the log, still sealed. */
  release(): void {
    this.held.release("sealed");
  }
}
