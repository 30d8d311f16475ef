/**
 * A sealed log that a fold holds: verified, read batch by batch, and recycled or released.
 */

import { assert } from "../../base/assert.ts";
import { CorruptError } from "../../base/errors.ts";
import type { DataDirectory } from "./directory.ts";
import { FrameCodec, LogBytes } from "./frame.ts";
import { HeldLog } from "./held_log.ts";
import { FRAME_HEAD_BYTES, HEAD_PAGE_BYTES, type LogIdentity } from "./layout.ts";
import { hasDurableDamage, type Scan, scanLog } from "./scan_log.ts";
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
  ) {
    this.identity = { slot: held.slot, generation };
  }

  /** Fold, step 2. Throws `CorruptError` if the file or its header is damaged. */
  static take(directory: DataDirectory, slot: number): TakenSlot {
    const held = HeldLog.take(directory, slot);
    if (held === null) return { kind: "none" };
    const header = held.header();
    if (header?.state === "sealed") {
      const { generation, length, durable, claimedWallMs } = header;
      return {
        kind: "sealed",
        log: new SealedLog(held, generation, length, durable, claimedWallMs),
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
    const scan = scanLog(this.held.bytes, this.identity, this.length);
    if (hasDurableDamage(scan, this.durable)) {
      throw new CorruptError(
        `${this.held.path} is damaged at byte ${scan.goodEnd}, below its durable length ` +
          `${Math.max(scan.durable, this.durable)}: the log is quarantined, run countd repair`,
        { path: this.held.path, offset: scan.goodEnd },
      );
    }
    this.#scan = scan;
    return scan;
  }

  /** Visits the record batches of the verified frames, in order. */
  forEachBatch(visit: (log: Uint8Array, start: number, end: number) => void): void {
    assert(this.#scan !== null, "A log is verified before it is read");
    const log = new LogBytes(this.held.bytes);
    let offset = HEAD_PAGE_BYTES;
    while (offset < this.#scan.goodEnd) {
      const length = log.view.getUint32(offset, true);
      visit(log.bytes, offset + FRAME_HEAD_BYTES, offset + length);
      offset += length;
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

/** The frame at `offset` of a whole log in memory, or null if it is not valid. For inspection. */
export function inspectFrame(
  bytes: Uint8Array,
  identity: LogIdentity,
  offset: number,
): { readonly length: number; readonly batchStart: number; readonly batchEnd: number } | null {
  const length = new FrameCodec(identity).verify(new LogBytes(bytes), offset, bytes.length);
  if (length === 0) return null;
  return { length, batchStart: offset + FRAME_HEAD_BYTES, batchEnd: offset + length };
}
