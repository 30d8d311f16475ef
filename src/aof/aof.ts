/**
 * An append-only file: one producer, any number of consumers, one mapping for the life of the
 * instance. The file under the mapping is extended in steps; readers never wait.
 *
 *   1. Every byte below `size` is as it was written and never changes.
 *   2. size + mark ≤ file size ≤ upper size: a store always has a file, and space, under it.
 *   3. The published size is stored after the bytes and the mark it speaks of.
 *   4. What a failed call began is taken back: the next call works.
 *   5. After a sync that failed nothing is written or synced any more.
 */

import { assert } from "../base/assert.ts";
import { type Clock, systemClock } from "../base/clock.ts";
import { UsageError } from "../base/errors.ts";
import { directoryOf, type Storage, type StoredFile } from "../file/mod.ts";
import { AppendEvent, type AppendFunc } from "./append_event.ts";
import {
  ErrAppendFuncNil,
  ErrClosed,
  ErrCorrupted,
  ErrEndOfFile,
  ErrFileIsReadOnly,
  ErrShortBuffer,
  ErrShrink,
  ErrWouldBlock,
} from "./errors.ts";
import { FileState } from "./file_state.ts";
import { type Geometry, roundUp } from "./geometry.ts";
import { markSize } from "./magic.ts";
import type { Marks } from "./marks.ts";
import {
  anonymousParts,
  followParts,
  type OpenOptions,
  openParts,
  type OverOptions,
  overParts,
  type Parts,
  type SharedOptions,
} from "./open.ts";
import type { PublishedSize } from "./published_size.ts";
import { Reactor } from "./reactor.ts";
import type { Recovery } from "./recovery.ts";
import { FileRegion, type Region, timed } from "./region.ts";
import { FileStats, type Stats } from "./stats.ts";
import { type CloseReason, type Consumer, Tailer, type TailSource } from "./tailer.ts";

/** Asked to extend a file ahead of the writes; see `Aof.onLowRoom`. */
export type LowRoomFunc = (aof: Aof) => void;

export interface SubscribeOptions {
  /** Offset of the first byte that the consumer wants; default 0. */
  readonly from?: number | undefined;
}

export interface SubscribeIntervalOptions extends SubscribeOptions {
  readonly intervalMs: number;
}

export class Aof implements TailSource, Disposable, AsyncDisposable {
  readonly #parts: Parts;
  readonly #marks: Marks | null;
  readonly #markSize: number;
  readonly #published: PublishedSize | null;
  readonly #clock: Clock;
  readonly #stats: Stats;
  readonly #tailers = new Set<Tailer>();
  readonly #event: AppendEvent;
  readonly fileStats: FileStats = new FileStats();
  #region: Region;
  #bytes: Uint8Array;
  #size: number;
  #state: FileState;
  /** End of the data that fits into the file as it is; -1 while nothing may be written. */
  #room = -1;
  #lowWater = Infinity;
  #headroom = 0;
  #lowRoom: LowRoomFunc | null = null;
  #appending = false;
  #extending = false;
  #failure: unknown = null;
  #syncedSize = -1;
  #flushedSize = 0;
  #syncsInFlight = 0;
  #directoryNeedsSync: boolean;
  #reactor: Reactor | null;
  #finalized = Promise.withResolvers<void>();

  private constructor(parts: Parts) {
    this.#parts = parts;
    this.#region = parts.region;
    this.#bytes = parts.region.bytes;
    this.#marks = parts.marks;
    this.#markSize = parts.marks === null ? 0 : markSize;
    this.#published = parts.published;
    this.#clock = parts.clock;
    this.#stats = parts.stats;
    this.#size = parts.size;
    this.#state = parts.state;
    this.#directoryNeedsSync = parts.isNew;
    this.#reactor = parts.reactor;
    this.#event = new AppendEvent(this.#bytes);
    this.#setRoom();
  }

  /**
   * Opens the file at `path` for appending, or makes it where the geometry says so. Where the mode
   * lets nobody write, or the recovery has no function, the file is read as finished.
   *
   * Throws `NotFoundError`, `ErrIsDirectory`, `ErrReadPermission`, `ErrEmptyFile`, `ErrCorrupted`,
   * `BusyError` where another process appends to the file, and `OsError` (ENOSPC where there is no
   * room for a new file: then none is left behind).
   */
  static open(storage: Storage, path: string, options: OpenOptions = {}): Aof {
    return opened(options, () => new Aof(openParts(storage, path, options)));
  }

  /**
   * An instance over a descriptor that is already open for writing; its mode is not looked at, and
   * `close` closes it. For formats that bring their own recovery, such as commit logs:
   *
   *     const aof = Aof.over(file, {
   *       geometry: new Geometry({ sizeNow: logSize, sizeUpper: logSize }),
   *       recovery: new Recovery({ func: (fileSize, data, magic) => … }),
   *       sizeOffset: 1024,
   *     });
   *
   * Magic that is left out is disabled: nothing is stored but what the appends store. The recovery
   * function sees the whole file; the `tail` it returns is where appending goes on, so a head of 4096
   * bytes is kept out of the stream by a tail of at least 4096. The size is published (an aligned
   * 64-bit number at `sizeOffset`, inside that head) when the instance is made and after each append.
   * The head is the caller's to change through `bytes`, so no sync is ever left out. With `mapping`
   * the caller's mapping is used and kept.
   */
  static over(file: StoredFile, options: OverOptions): Aof {
    return opened(options, () => new Aof(overParts(file, options)));
  }

  /**
   * Reads what another process appends to a shared file, without a lock. Tailers need an interval:
   * nobody wakes them. Throws `NotFoundError` where there is no side file, `BusyError` where it is
   * being made.
   */
  static follow(storage: Storage, path: string, options: SharedOptions = {}): Aof {
    return opened(options, () => {
      const aof = new Aof(followParts(storage, path, options));
      try {
        aof.refresh();
        return aof;
      } catch (error) {
        aof.close();
        throw error;
      }
    });
  }

  /** `size` bytes of memory without a file, rounded up to pages. */
  static anonymous(name: string, size: number, options: SharedOptions = {}): Aof {
    return opened(options, () => new Aof(anonymousParts(name, size, options)));
  }

  get path(): string {
    return this.#parts.path;
  }

  get geometry(): Geometry {
    return this.#parts.geometry;
  }

  /** How the file was recovered, with the result. */
  get recovery(): Recovery {
    return this.#parts.recovery;
  }

  get state(): FileState {
    return this.#state;
  }

  /** Bytes of data. */
  get size(): number {
    return this.#size;
  }

  /** What tailers of other processes are told; the size where nothing is published. */
  get publishedSize(): number {
    const published = this.#published ?? this.#parts.side?.size;
    return published?.load() ?? this.#size;
  }

  /** Bytes of the file under the mapping. */
  get fileSize(): number {
    return this.#region.fileSize;
  }

  /** The whole mapping; bytes from `fileSize` on must not be touched. Empty after `close`. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  get isReadOnly(): boolean {
    return this.#parts.isReadOnly;
  }

  isAnonymous(): boolean {
    return this.#region.file === null;
  }

  /**
   * Appends all of `bytes` and returns their count, extending the file where needed. Throws
   * `ErrShortBuffer` for none, `ErrEndOfFile` where they pass the upper size, `ErrFileIsReadOnly`,
   * `ErrClosed`, and `OsError` where the file cannot be extended; then nothing is written.
   */
  write(bytes: Uint8Array): number {
    return this.#write(bytes, true);
  }

  /** As `write`, but throws `ErrWouldBlock` where the file would have to be extended first. */
  writeNonBlocking(bytes: Uint8Array): number {
    return this.#write(bytes, false);
  }

  /**
   * Reserves `reserve` bytes, lets `fill` write into them, and appends as many as it returns (held to
   * 0 … reserve). Returns that count. What `fill` throws is thrown on, and nothing is appended.
   */
  append(reserve: number, fill: AppendFunc): number {
    return this.#append(reserve, fill, true);
  }

  /** As `append`, but throws `ErrWouldBlock` where the file would have to be extended first. */
  appendNonBlocking(reserve: number, fill: AppendFunc): number {
    return this.#append(reserve, fill, false);
  }

  #write(bytes: Uint8Array, blocking: boolean): number {
    const begin = this.#size;
    const { length } = bytes;
    const end = begin + length;
    if (end > this.#room || length === 0) this.#makeRoom(length, { blocking, empty: false });
    const marks = this.#marks;
    if (marks === null) {
      this.#bytes.set(bytes, begin);
    } else {
      marks.begin(end, length);
      this.#bytes.set(bytes, begin);
      marks.commit(end);
    }
    this.#advance(end);
    return length;
  }

  #append(reserve: number, fill: AppendFunc, blocking: boolean): number {
    if (typeof fill !== "function") {
      throw new ErrAppendFuncNil("Cannot append: the append function is missing");
    }
    if (!Number.isSafeInteger(reserve) || reserve < 0) {
      throw new UsageError(`Cannot reserve ${reserve} bytes: give a whole number from 0 on`);
    }
    const begin = this.#size;
    const limit = begin + reserve;
    if (limit > this.#room) this.#makeRoom(reserve, { blocking, empty: true });
    const marks = reserve === 0 ? null : this.#marks;
    const room = this.#room;
    // Nothing else may be written while the function is at work.
    this.#room = -1;
    this.#appending = true;
    let used = 0;
    try {
      marks?.begin(limit, reserve);
      this.#event.reset(begin, limit);
      used = heldTo(fill(this.#event), reserve);
      if (marks !== null && used === reserve) marks.commit(limit);
      else if (marks !== null && used > 0) marks.shorten(limit, begin + used);
    } finally {
      this.#appending = false;
      this.#room = this.#failure === null ? room : -1;
      if (marks !== null && used < reserve) {
        marks.takeBack(
          begin + used,
          limit,
          this.#region.fileSize,
          (bytes, offset) => this.#region.storeAtOnce(bytes, offset),
        );
      }
    }
    if (used > 0) this.#advance(begin + used);
    return used;
  }

  /** The bytes up to `size` stand: says so to everybody. */
  #advance(size: number): void {
    this.fileStats.writes++;
    this.fileStats.writtenBytes += size - this.#size;
    this.#size = size;
    if (this.#published !== null) this.#published.store(size);
    if (size > this.#lowWater) this.#tellLowRoom();
    if (this.#tailers.size !== 0) this.#wakeTailers();
  }

  /** Everything that may stand in the way of a write; returns when `length` bytes fit. */
  #makeRoom(length: number, { blocking, empty }: { blocking: boolean; empty: boolean }): void {
    if (this.#appending) {
      throw new UsageError(`Cannot write to ${this.path} inside an append function`);
    }
    if (this.#failure !== null) throw this.#failure;
    if (this.isReadOnly) {
      throw new ErrFileIsReadOnly(`Cannot write to ${this.path}: it was opened to be read only`);
    }
    if (this.#state !== FileState.Opened) throw this.#closedError("write to");
    if (length === 0 && !empty) throw new ErrShortBuffer(`Cannot write no bytes to ${this.path}`);
    const needed = this.#size + length + this.#markSize;
    if (needed > this.geometry.sizeUpper) {
      throw new ErrEndOfFile(
        `Cannot write ${length} bytes at ${this.#size} of ${this.path}: ` +
          `with the mark they pass the upper size ${this.geometry.sizeUpper}`,
      );
    }
    if (needed <= this.#region.fileSize) return;
    if (!blocking || this.#extending) {
      this.fileStats.wouldBlocks++;
      if (!this.#extending) this.#tellLowRoom();
      throw new ErrWouldBlock(
        `Writing ${length} bytes at ${this.#size} of ${this.path} would wait for its extension`,
      );
    }
    this.#extend(this.geometry.next(needed));
    this.fileStats.extensions++;
  }

  /**
   * Extends the file to at least `size` bytes (whole pages) ahead of the writes. Throws `ErrShrink`
   * for a size below the data, `ErrEndOfFile` above the upper size; a size that the file has already
   * changes nothing.
   */
  extend(size: number): void {
    if (this.#appending) {
      throw new UsageError(`Cannot extend ${this.path} inside an append function`);
    }
    if (size < this.#size + this.#markSize) {
      throw new ErrShrink(
        `Cannot make ${this.path} ${size} bytes long: it holds ${this.#size} bytes and their mark`,
      );
    }
    if (this.isReadOnly) {
      throw new ErrFileIsReadOnly(`Cannot extend ${this.path}: it was opened to be read only`);
    }
    if (this.#state !== FileState.Opened) throw this.#closedError("extend");
    if (size > this.geometry.sizeUpper) {
      throw new ErrEndOfFile(
        `Cannot make ${this.path} ${size} bytes long: its upper size is ${this.geometry.sizeUpper}`,
      );
    }
    const wanted = roundUp(size, this.geometry.pageSize);
    if (wanted <= this.#region.fileSize || this.#extending) return;
    this.#extend(wanted);
    this.fileStats.extensionsAhead++;
  }

  /**
   * Sets who is told when fewer than `headroom` bytes are left in the file, once until it was extended.
   * The function must return at once and extend later.
   */
  onLowRoom(headroom: number, lowRoom: LowRoomFunc | null): void {
    this.#headroom = headroom;
    this.#lowRoom = lowRoom;
    this.#setRoom();
  }

  #extend(size: number): void {
    this.#extending = true;
    try {
      this.#parts.storage?.reach("aof.extend.before");
      this.#region.extend(size);
      this.#parts.storage?.reach("aof.extend.after");
    } finally {
      this.#extending = false;
    }
    this.#setRoom();
  }

  #setRoom(): void {
    const writable = this.#state === FileState.Opened && !this.isReadOnly && this.#failure === null;
    this.#room = writable ? this.#region.fileSize - this.#markSize : -1;
    const grows = writable && this.#region.fileSize < this.geometry.sizeUpper;
    this.#lowWater = grows && this.#lowRoom !== null ? this.#room - this.#headroom : Infinity;
    assert(
      this.#room === -1 || this.#size <= this.#room,
      "There is a file under the data and mark",
    );
  }

  #tellLowRoom(): void {
    this.#lowWater = Infinity;
    this.#lowRoom?.(this);
  }

  /**
   * Ends a chunk: makes the data durable, puts the checkpoint mark behind it, makes that durable, and
   * returns the offset of the mark. The mark is part of the data. When a power cut destroys the tail,
   * recovery finds the last checkpoint. Without marks it is a sync and returns the size.
   */
  checkpoint(): number {
    this.sync();
    const position = this.#size;
    if (this.#marks === null) return position;
    this.write(this.#marks.checkpoint);
    this.sync();
    return position;
  }

  /** Starts writing out what was appended since the last time. */
  flush(): void {
    this.#assertNotClosed("flush");
    if (this.#flushedSize === this.#size || this.isReadOnly) return;
    const size = this.#size;
    timed(this.#clock, {
      count: this.#stats.flushes,
      duration: this.#stats.flushesDur,
      errors: this.#stats.flushErrors,
      errorsDuration: this.#stats.flushErrorsDur,
    }, () => this.#region.flush(this.#flushedSize, size + this.#markSize - this.#flushedSize));
    this.#flushedSize = size;
  }

  /**
   * Makes what is appended now durable and returns its size. Where nothing was appended since the last
   * sync it does nothing. One that fails is thrown, and again by every later write and sync: what the
   * system then still has in memory says nothing about the disk.
   */
  sync(): number {
    const size = this.#startSync();
    const { file } = this.#region;
    if (file === null || this.isReadOnly || size === this.#syncedSize) return size;
    try {
      timed(this.#clock, this.#syncCounters(), () => file.syncData());
      this.#syncDirectory();
    } catch (error) {
      throw this.#fail(error);
    }
    this.#noteSynced(size);
    return size;
  }

  /** As `sync`, but the event loop goes on meanwhile; the size is taken when it is called. */
  async syncAsync(): Promise<number> {
    const size = this.#startSync();
    const { file } = this.#region;
    if (file === null || this.isReadOnly || size === this.#syncedSize) return size;
    const counters = this.#syncCounters();
    const startMs = this.#clock.nowMs();
    this.#syncsInFlight++;
    try {
      await file.syncDataAsync();
      this.#syncDirectory();
      counters.count.add();
      counters.duration.add(this.#clock.nowMs() - startMs);
    } catch (error) {
      counters.errors.add();
      counters.errorsDuration.add(this.#clock.nowMs() - startMs);
      throw this.#fail(error);
    } finally {
      this.#syncsInFlight--;
      this.#finalizeWhenIdle();
    }
    this.#noteSynced(size);
    return size;
  }

  #startSync(): number {
    this.#assertNotClosed("sync");
    if (this.#failure !== null) throw this.#failure;
    return this.#size;
  }

  #noteSynced(size: number): void {
    if (this.#parts.ownsBytes) this.#syncedSize = Math.max(this.#syncedSize, size);
  }

  #fail(error: unknown): unknown {
    this.#failure = error;
    if (!this.#appending) this.#setRoom();
    return error;
  }

  /** A file that was made here is durably named with its first sync. */
  #syncDirectory(): void {
    if (!this.#directoryNeedsSync) return;
    this.#parts.storage?.syncDirectory(directoryOf(this.path));
    this.#directoryNeedsSync = false;
  }

  #syncCounters() {
    const { syncs, syncsDur, syncErrors, syncErrorsDur } = this.#stats;
    return {
      count: syncs,
      duration: syncsDur,
      errors: syncErrors,
      errorsDuration: syncErrorsDur,
    };
  }

  /**
   * Ends the file: the checkpoint mark takes the place of the tail mark, the file is cut behind it, may
   * only be read from now on, and is made durable. Tailers get their `eof` event. Throws `ErrClosed`
   * for one that is finished or closed, `ErrFileIsReadOnly`.
   */
  finish(): void {
    if (this.#appending) {
      throw new UsageError(`Cannot finish ${this.path} inside an append function`);
    }
    if (this.#failure !== null) throw this.#failure;
    if (this.isReadOnly) {
      throw new ErrFileIsReadOnly(`Cannot finish ${this.path}: it was opened to be read only`);
    }
    if (this.#state !== FileState.Opened) throw this.#closedError("finish");
    timed(this.#clock, {
      count: this.#stats.finishes,
      duration: this.#stats.finishesDur,
      errors: this.#stats.finishErrors,
      errorsDuration: this.#stats.finishErrorsDur,
    }, () => this.#finishFile());
    this.#wakeTailers();
  }

  #finishFile(): void {
    const { storage, side, readMode } = this.#parts;
    this.#marks?.finish(this.#size);
    this.#state = FileState.Eof;
    this.#setRoom();
    storage?.reach("aof.finish.mark.after");
    this.flush();
    this.#region.cut(this.#size + this.#markSize);
    storage?.reach("aof.finish.cut.after");
    this.#region.chmod(readMode);
    storage?.reach("aof.finish.chmod.after");
    side?.publishFinished(this.#size);
    try {
      this.#region.file?.sync();
      this.#syncDirectory();
    } catch (error) {
      throw this.#fail(error);
    }
  }

  /** Polls every tailer in the next turn. */
  wake(): void {
    this.#assertNotClosed("wake");
    this.#wakeTailers();
  }

  #wakeTailers(): void {
    for (const tailer of this.#tailers) tailer.wake();
  }

  /** Calls the consumer for what stands from `from` on, and whenever something is appended. */
  subscribe(consumer: Consumer, options: SubscribeOptions = {}): Tailer {
    return this.#subscribe(consumer, { ...options, reactor: this.#ownReactor() });
  }

  /** As `subscribe`, and every `intervalMs`, also when there is nothing new. */
  subscribeInterval(consumer: Consumer, options: SubscribeIntervalOptions): Tailer {
    return this.#subscribe(consumer, { ...options, reactor: this.#ownReactor() });
  }

  subscribeOn(reactor: Reactor, consumer: Consumer, options: SubscribeOptions = {}): Tailer {
    return this.#subscribe(consumer, { ...options, reactor });
  }

  subscribeIntervalOn(
    reactor: Reactor,
    consumer: Consumer,
    options: SubscribeIntervalOptions,
  ): Tailer {
    return this.#subscribe(consumer, { ...options, reactor });
  }

  #subscribe(consumer: Consumer, { from = 0, intervalMs, reactor }: SubscribeOptions & {
    readonly intervalMs?: number;
    readonly reactor: Reactor;
  }): Tailer {
    this.#assertNotClosed("subscribe to");
    if (reactor === null || reactor === undefined) {
      throw new UsageError(`Cannot subscribe to ${this.path} without a reactor`);
    }
    const tailer = new Tailer(this, { consumer, reactor, position: from });
    reactor.spawn(tailer, { intervalMs });
    this.#tailers.add(tailer);
    return tailer;
  }

  #ownReactor(): Reactor {
    return this.#reactor ??= new Reactor({ clock: this.#clock });
  }

  /** Tailers that have not closed. */
  get tailerCount(): number {
    return this.#tailers.size;
  }

  /**
   * A follower takes note of what was published. Throws `ErrShrink` where the published size went back
   * (the file was replaced, or a power cut took its end), `ErrCorrupted` where the file is shorter.
   */
  refresh(): void {
    const { followed, side } = this.#parts;
    if (followed === null || side === null || this.#state !== FileState.Opened) return;
    // The last size is stored before the state: taken in the other order nothing is missed.
    const { isFinished } = side;
    const size = side.size.load();
    if (size < this.#size || !side.speaksOf(followed)) {
      throw new ErrShrink(
        `Cannot follow ${this.path} any further: its published size went from ${this.#size} ` +
          `to ${size}, or another file took its name`,
      );
    }
    if (size > this.#region.fileSize) this.#noteExtension(size);
    this.#size = size;
    if (isFinished) this.#state = FileState.Eof;
  }

  #noteExtension(size: number): void {
    const region = this.#region;
    const file = region.file;
    if (file === null || !(region instanceof FileRegion)) return;
    const fileSize = file.status().size;
    if (size > fileSize) {
      throw new ErrCorrupted(
        `Cannot follow ${this.path}: it has ${fileSize} bytes, but ${size} are published`,
        { path: this.path, offset: fileSize },
      );
    }
    region.noteFileSize(fileSize);
    if (size <= region.bytes.length) return;
    // Its writer has opened it again with a larger upper size.
    const length = roundUp(
      Math.max(size, this.#parts.side?.upperSize ?? 0),
      this.geometry.pageSize,
    );
    const larger = new FileRegion(file, {
      length,
      access: "read",
      fileSize,
      stats: this.#stats,
      clock: this.#clock,
    });
    region.release(false);
    this.#region = larger;
    this.#bytes = larger.bytes;
    this.#event.bytes = larger.bytes;
  }

  /** Called by a tailer that has closed. */
  forget(tailer: Tailer): void {
    this.#tailers.delete(tailer);
    this.#finalizeWhenIdle();
  }

  /**
   * Closes the tailers, unmaps, and closes the file; it keeps the size it has grown to. Nothing is
   * synced. A consumer at work, or a sync in flight, is waited for; `await using` or `closed` tell when.
   * Throws `ErrClosed` the second time; disposing twice is harmless.
   */
  close(): void {
    if (this.#appending) {
      throw new UsageError(`Cannot close ${this.path} inside an append function`);
    }
    if (this.#state >= FileState.Closing) throw this.#closedError("close");
    const startMs = this.#clock.nowMs();
    this.#state = FileState.Closing;
    this.#setRoom();
    const reason: CloseReason = "closed";
    for (const tailer of [...this.#tailers]) tailer.closeFor(reason);
    this.#stats.closes.add();
    this.#stats.closeDur.add(this.#clock.nowMs() - startMs);
    this.#finalizeWhenIdle();
  }

  /** Resolves when the mapping and the descriptor are given back. */
  get closed(): Promise<void> {
    return this.#finalized.promise;
  }

  [Symbol.dispose](): void {
    if (this.#state < FileState.Closing) this.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#state < FileState.Closing) this.close();
    await this.closed;
  }

  #finalizeWhenIdle(): void {
    if (this.#state !== FileState.Closing) return;
    if (this.#tailers.size > 0 || this.#syncsInFlight > 0) return;
    timed(this.#clock, { count: this.#stats.finalizes, duration: this.#stats.finalizesDur }, () => {
      this.#bytes = new Uint8Array();
      this.#event.bytes = this.#bytes;
      this.#region.release(true);
      this.#parts.side?.close();
      if (this.#parts.reactor === null) this.#reactor?.close();
    });
    this.#state = FileState.Closed;
    this.#finalized.resolve();
  }

  #assertNotClosed(what: string): void {
    if (this.#state >= FileState.Closing) throw this.#closedError(what);
  }

  #closedError(what: string): ErrClosed {
    const why = this.#state === FileState.Eof ? "finished" : "closed";
    return new ErrClosed(`Cannot ${what} ${this.path}: the file is already ${why}`);
  }
}

function opened(options: SharedOptions, open: () => Aof): Aof {
  const { stats } = options;
  if (stats === undefined) return open();
  return timed(options.clock ?? systemClock, {
    count: stats.opens,
    duration: stats.opensDur,
    errors: stats.openErrors,
    errorsDuration: stats.openErrorsDur,
  }, open);
}

function heldTo(used: number, reserve: number): number {
  if (!(used > 0)) return 0;
  return Math.min(Math.trunc(used), reserve);
}
