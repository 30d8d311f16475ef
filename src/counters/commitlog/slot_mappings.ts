/**
 * Mappings of logs that this process has released, kept for the next time: writer and worker take the same
 * slots again and again. Mapping a log is cheap, but the runtime counts the mapped bytes as its own memory,
 * and collects garbage after every few mappings.
 *
 * Invariants: 1. a kept mapping is in no use, and is taken again only if the slot still has the same file;
 * 2. no `HeldLog` reaches the memory of a released log.
 */

import { type FileIdentity, isSameFile, type Mapping, type StoredFile } from "../../file/mod.ts";

/** Most mapped bytes that are kept. They count as memory of the process, and a pool may have many slots. */
const KEPT_BYTES_MAX = 256 * 2 ** 20;

/** A mapping and the identity of its file. */
export interface SlotMapping extends FileIdentity {
  readonly mapping: Mapping;
}

export class SlotMappings {
  readonly #kept = new Map<number, SlotMapping>();
  #keptBytes = 0;
  #isClosed = false;

  /** Bytes of the kept mappings. */
  get keptBytes(): number {
    return this.#keptBytes;
  }

  /** Maps the first `length` bytes of a slot's file for writing. */
  take(slot: number, file: StoredFile, length: number): SlotMapping {
    const { device, inode } = file.status();
    const kept = this.#takeOut(slot);
    if (kept !== null) {
      if (isSameFile(kept, { device, inode }) && kept.mapping.length === length) return kept;
      // The slot has another file now, so it was repaired.
      kept.mapping.release();
    }
    return { mapping: file.map(length, "write"), device, inode };
  }

  /** Keeps a mapping that `take` returned, or unmaps it. */
  release(slot: number, mapped: SlotMapping): void {
    const { length } = mapped.mapping;
    if (this.#isClosed || this.#kept.has(slot) || this.#keptBytes + length > KEPT_BYTES_MAX) {
      mapped.mapping.release();
      return;
    }
    this.#kept.set(slot, mapped);
    this.#keptBytes += length;
  }

  close(): void {
    this.#isClosed = true;
    for (const slot of [...this.#kept.keys()]) this.#takeOut(slot)?.mapping.release();
  }

  #takeOut(slot: number): SlotMapping | null {
    const kept = this.#kept.get(slot);
    if (kept === undefined) return null;
    this.#kept.delete(slot);
    this.#keptBytes -= kept.mapping.length;
    return kept;
  }
}
