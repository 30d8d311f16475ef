/**
 * Mappings of logs that this process has let go of, kept for the next time: writer and worker take the
 * same slots again and again. Mapping a log costs little, but the runtime takes the mapped bytes for
 * memory that it gave out, and looks for garbage after every few of them.
 *
 * Invariants: 1. a kept mapping is nobody's, and is of the very file that the slot is when it is taken
 * again; 2. memory of a log that was let go of is reached through no `HeldLog`.
 */

import { type FileIdentity, isSameFile, type Mapping, type StoredFile } from "../../file/mod.ts";

/** Mapped bytes that are kept: they are shown as memory of the process, and a pool may have many slots. */
const KEPT_BYTES_MAX = 256 * 2 ** 20;

/** A mapping and the file that it shows. */
export interface SlotMapping extends FileIdentity {
  readonly mapping: Mapping;
}

export class SlotMappings {
  readonly #kept = new Map<number, SlotMapping>();
  #keptBytes = 0;
  #isClosed = false;

  /** Bytes that are mapped and not in use. */
  get keptBytes(): number {
    return this.#keptBytes;
  }

  /** The first `length` bytes of a slot's file, mapped for writing. */
  take(slot: number, file: StoredFile, length: number): SlotMapping {
    const { device, inode } = file.status();
    const kept = this.#takeOut(slot);
    if (kept !== null) {
      if (isSameFile(kept, { device, inode }) && kept.mapping.length === length) return kept;
      // The slot has another file now: somebody repaired it.
      kept.mapping.release();
    }
    return { mapping: file.map(length, "write"), device, inode };
  }

  /** Takes back what `take` gave. */
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
