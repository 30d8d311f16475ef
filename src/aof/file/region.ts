/**
 * The memory of an append-only file: one mapping for the life of the instance, as long as the file may
 * ever become. The file under it is extended in steps. Bytes behind the file's end are
 * never touched: that would be SIGBUS. Space is allocated before the file's size says it is there.
 */

import { type Clock, systemClock } from "../../base/clock.ts";
import type { Mapping, StoredFile } from "../../file/mod.ts";
import { countersOf, Stats, type Timed } from "./stats.ts";

export interface Region {
  /** The mapped bytes, up to the upper size. Only those below `fileSize` may be touched. */
  readonly bytes: Uint8Array;
  readonly fileSize: number;
  /** Null for memory without a file. */
  readonly file: StoredFile | null;

  /** Make the file `size` bytes long. */
  extend(size: number): void;
  /** Truncate a finished file behind its mark. */
  truncate(size: number): void;
  /** Store bytes such that a kill leaves all or none of them. They are inside one page. */
  storeAtOnce(bytes: Uint8Array, offset: number): void;
  /** Write out a range, and wait. */
  flush(offset: number, length: number): void;
  chmod(mode: number): void;
  /** Release the memory, and with `closeFile` the descriptor. */
  release(closeFile: boolean): void;
}

/** Run a call and count it, with its time. */
export function timed<T>(clock: Clock, counters: Timed, call: () => T): T {
  const startMs = clock.nowMs();
  try {
    const result = call();
    counters.count.add();
    counters.duration.add(clock.nowMs() - startMs);
    return result;
  } catch (error) {
    counters.errors?.add();
    counters.errorsDuration?.add(clock.nowMs() - startMs);
    throw error;
  }
}

/** Open an instance, and count it if the caller gave counters. */
export function countedOpen<T>(
  { clock = systemClock, stats }: {
    readonly clock?: Clock | undefined;
    readonly stats?: Stats | undefined;
  },
  open: () => T,
): T {
  if (stats === undefined) return open();
  return timed(clock, countersOf(stats, "open"), open);
}

export class FileRegion implements Region {
  readonly #mapping: Mapping;
  readonly #stats: Stats;
  readonly #clock: Clock;
  readonly file: StoredFile;
  readonly #ownsMapping: boolean;
  #fileSize: number;

  /** Without a `mapping`, which stays the caller's, one of `length` bytes is made and later released. */
  constructor(file: StoredFile, { length, access, fileSize, mapping, stats, clock }: {
    readonly length: number;
    readonly access: "read" | "write";
    readonly fileSize: number;
    readonly mapping?: Mapping | undefined;
    readonly stats: Stats;
    readonly clock: Clock;
  }) {
    this.file = file;
    this.#stats = stats;
    this.#clock = clock;
    this.#fileSize = fileSize;
    this.#ownsMapping = mapping === undefined;
    this.#mapping = mapping ??
      timed(clock, countersOf(stats, "map"), () => file.map(length, access));
    stats.activeFileSize.add(fileSize);
    if (!this.#ownsMapping) return;
    stats.activeMaps.add();
    stats.activeMappedMemory.add(length);
    stats.lifetimeMemory.add(length);
  }

  get bytes(): Uint8Array {
    return this.#mapping.bytes;
  }

  get fileSize(): number {
    return this.#fileSize;
  }

  extend(size: number): void {
    this.#changeSize(size, () => this.file.allocate(this.#fileSize, size - this.#fileSize));
  }

  truncate(size: number): void {
    this.#changeSize(size, () => this.file.truncate(size));
  }

  /** Note the length that the writer has given to a followed file. */
  noteFileSize(size: number): void {
    this.#stats.activeFileSize.add(size - this.#fileSize);
    this.#fileSize = size;
  }

  storeAtOnce(bytes: Uint8Array, offset: number): void {
    this.file.write(bytes, offset);
  }

  flush(offset: number, length: number): void {
    this.#mapping.flush(offset, length);
  }

  chmod(mode: number): void {
    timed(this.#clock, countersOf(this.#stats, "chmod"), () => this.file.chmod(mode));
  }

  release(closeFile: boolean): void {
    const stats = this.#stats;
    const length = this.#mapping.length;
    stats.activeFileSize.add(-this.#fileSize);
    if (this.#ownsMapping) {
      timed(this.#clock, countersOf(stats, "unmap"), () => this.#mapping.release());
      stats.activeMaps.add(-1);
      stats.activeMappedMemory.add(-length);
    }
    if (closeFile) this.file.close();
  }

  #changeSize(size: number, change: () => void): void {
    timed(this.#clock, countersOf(this.#stats, "truncate"), change);
    this.#stats.activeFileSize.add(size - this.#fileSize);
    this.#fileSize = size;
  }
}

/** Memory alone: the region of an anonymous instance. */
export class MemoryRegion implements Region {
  readonly file = null;
  readonly #stats: Stats;
  #bytes: Uint8Array;

  constructor(length: number, stats: Stats = new Stats()) {
    this.#bytes = new Uint8Array(length);
    this.#stats = stats;
    stats.activeAnonymousMemory.add(length);
    stats.lifetimeMemory.add(length);
  }

  get bytes(): Uint8Array {
    return this.#bytes;
  }

  get fileSize(): number {
    return this.#bytes.length;
  }

  extend(_size: number): void {}

  truncate(_size: number): void {}

  storeAtOnce(bytes: Uint8Array, offset: number): void {
    this.#bytes.set(bytes, offset);
  }

  flush(_offset: number, _length: number): void {}

  chmod(_mode: number): void {}

  release(_closeFile: boolean): void {
    this.#stats.activeAnonymousMemory.add(-this.#bytes.length);
    this.#bytes = new Uint8Array();
  }
}
