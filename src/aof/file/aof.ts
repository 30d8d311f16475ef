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

import type { Storage, StoredFile } from "../../file/mod.ts";
import type { AppendFunc } from "./append_event.ts";
import { Appender } from "./appender.ts";
import { Durability } from "./durability.ts";
import { ErrClosed, ErrFileIsReadOnly } from "./errors.ts";
import { FileState } from "./file_state.ts";
import { finishFile } from "./finish.ts";
import type { Geometry } from "./geometry.ts";
import { openParts } from "./open_file.ts";
import { anonymousParts, followParts, overParts } from "./open_other.ts";
import type { OpenOptions, OverOptions, Parts, SharedOptions } from "./parts.ts";
import { Reactor } from "../tail/reactor.ts";
import type { Recovery } from "../marks/recovery.ts";
import { countedOpen, timed } from "./region.ts";
import type { FileStats } from "./stats.ts";
import {
  type SubscribeIntervalOptions,
  type SubscribeOptions,
  Subscriptions,
} from "../tail/subscriptions.ts";
import type { Consumer, Tailer, TailSource } from "../tail/tailer.ts";

/** Asked to make the file longer than `neededBytes`; see `Aof.onLowCapacity`. */
export type LowCapacityFunc = (aof: Aof, neededBytes: number) => void;

export class Aof implements TailSource, Disposable, AsyncDisposable {
  readonly #parts: Parts;
  readonly #appender: Appender;
  readonly #durability: Durability;
  readonly #subscriptions = new Subscriptions();
  readonly #finalized = Promise.withResolvers<void>();
  #bytes: Uint8Array;
  #state: FileState;
  #reactor: Reactor | null;

  private constructor(parts: Parts) {
    this.#parts = parts;
    this.#bytes = parts.region.bytes;
    this.#state = parts.state;
    this.#reactor = parts.reactor;
    this.#durability = new Durability(parts, () => this.#startOrStop());
    this.#appender = new Appender(parts, {
      subscriptions: this.#subscriptions,
      throwIfRefused: (what) => this.#throwIfRefused(what),
    });
    this.#startOrStop();
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
    return countedOpen(options, () => new Aof(openParts(storage, path, options)));
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
    return countedOpen(options, () => new Aof(overParts(file, options)));
  }

  /**
   * Reads what another process appends to a shared file, without a lock. Tailers need an interval:
   * nobody wakes them. Throws `NotFoundError` where there is no side file, `BusyError` where it is
   * being made.
   */
  static follow(storage: Storage, path: string, options: SharedOptions = {}): Aof {
    return countedOpen(options, () => {
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
    return countedOpen(options, () => new Aof(anonymousParts(name, size, options)));
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
    return this.#parts.follower?.size ?? this.#appender.size;
  }

  /** What tailers of other processes are told; the size where nothing is published. */
  get publishedSize(): number {
    return this.#parts.published?.load() ?? this.#parts.follower?.publishedSize ?? this.size;
  }

  /** Bytes of the file under the mapping. */
  get fileSize(): number {
    return (this.#parts.follower?.region ?? this.#parts.region).fileSize;
  }

  /**
   * The whole mapping. Bytes from `fileSize` on must not be touched, and where `isReadOnly` none may be
   * stored to: the system would end the process. Empty after `close`.
   */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** Whether every write is refused with `ErrFileIsReadOnly`. */
  get isReadOnly(): boolean {
    return this.#parts.isReadOnly;
  }

  /** What was done with this file. */
  get fileStats(): FileStats {
    return this.#appender.fileStats;
  }

  isAnonymous(): boolean {
    return this.#parts.region.file === null;
  }

  /**
   * Appends all of `bytes` and returns their count, extending the file where needed. Throws
   * `ErrShortBuffer` for none, `ErrEndOfFile` where they pass the upper size, `ErrFileIsReadOnly`,
   * `ErrClosed`, and `OsError` where the file cannot be extended; then nothing is written.
   */
  write(bytes: Uint8Array): number {
    return this.#appender.write(bytes, true);
  }

  /** As `write`, but throws `ErrWouldBlock` where the file would have to be extended first. */
  writeNonBlocking(bytes: Uint8Array): number {
    return this.#appender.write(bytes, false);
  }

  /**
   * Reserves `reserve` bytes, lets `fill` write into them, and appends as many as it returns (held to
   * 0 … reserve). Returns that count. What `fill` throws is thrown on, and nothing is appended.
   */
  append(reserve: number, fill: AppendFunc): number {
    return this.#appender.append(reserve, fill, true);
  }

  /** As `append`, but throws `ErrWouldBlock` where the file would have to be extended first. */
  appendNonBlocking(reserve: number, fill: AppendFunc): number {
    return this.#appender.append(reserve, fill, false);
  }

  /**
   * Extends the file to at least `size` bytes (whole pages) ahead of the writes. Throws `ErrShrink`
   * for a size below the data, `ErrEndOfFile` above the upper size; a size that the file has already
   * changes nothing.
   */
  extend(size: number): void {
    this.#appender.extend(size);
  }

  /**
   * Sets who is told when fewer than `headroom` bytes are left in the file, once until it was extended.
   * The function must return at once and extend later.
   */
  onLowCapacity(headroom: number, lowCapacity: LowCapacityFunc | null): void {
    this.#appender.onLowCapacity(headroom, lowCapacity && ((needed) => lowCapacity(this, needed)));
  }

  #startOrStop(): void {
    const isWritable = this.#state === FileState.Opened && !this.isReadOnly &&
      this.#durability.failure === null;
    if (isWritable) this.#appender.start();
    else this.#appender.stop();
  }

  #throwIfRefused(what: string): void {
    this.#durability.throwIfFailed();
    if (this.isReadOnly) {
      throw new ErrFileIsReadOnly(`Cannot ${what} ${this.path}: it was opened to be read only`);
    }
    if (this.#state !== FileState.Opened) throw this.#closedError(what);
  }

  /**
   * Ends a chunk: makes the data durable, puts the checkpoint mark behind it, makes that durable, and
   * returns the offset of the mark. The mark is part of the data. When a power cut destroys the tail,
   * recovery finds the last checkpoint. Without marks it is a sync and returns the size.
   */
  checkpoint(): number {
    const { marks } = this.#parts;
    const position = this.sync();
    if (marks === null) return position;
    this.write(marks.checkpoint);
    this.sync();
    return position;
  }

  /**
   * Writes out what was appended since the last time and waits for it; says nothing of power cuts. One
   * that fails is thrown, and again by every later call, as with `sync`.
   */
  flush(): void {
    this.#assertNotClosed("flush");
    if (!this.isReadOnly) this.#durability.flush(this.size + this.#appender.markSize);
  }

  /**
   * Makes what is appended now durable, under the file's name, and returns its size. Where nothing was
   * appended since the last sync it does nothing. One that fails is thrown, and again by every later
   * write and sync: what the system then still has in memory says nothing about the disk.
   */
  sync(): number {
    const size = this.#startSync();
    if (!this.isReadOnly) this.#durability.sync(size);
    return size;
  }

  /** As `sync`, but the event loop goes on meanwhile; the size is taken when it is called. */
  async syncAsync(): Promise<number> {
    const size = this.#startSync();
    try {
      if (!this.isReadOnly) await this.#durability.syncAsync(size);
    } finally {
      this.#finalizeWhenIdle();
    }
    return size;
  }

  #startSync(): number {
    this.#assertNotClosed("sync");
    this.#durability.throwIfFailed();
    return this.size;
  }

  /**
   * Ends the file: the checkpoint mark takes the place of the tail mark, the file is cut behind it, may
   * only be read from now on, and is made durable. Tailers get their `eof` event. Throws `ErrClosed`
   * for one that is finished or closed, `ErrFileIsReadOnly`.
   */
  finish(): void {
    this.#appender.throwIfAppending("finish");
    this.#throwIfRefused("finish");
    finishFile(this.#parts, this.size, () => {
      this.#state = FileState.Eof;
      this.#startOrStop();
    });
    this.#durability.syncAll();
    this.#subscriptions.wake();
  }

  /** Polls every tailer in the next turn. */
  wake(): void {
    this.#assertNotClosed("wake");
    this.#subscriptions.wake();
  }

  /** Calls the consumer for what stands from `from` on, and whenever something is appended. */
  subscribe(consumer: Consumer, options: SubscribeOptions = {}): Tailer {
    return this.subscribeOn(this.#ownReactor(), consumer, options);
  }

  /** As `subscribe`, and every `intervalMs`, also when there is nothing new. */
  subscribeInterval(consumer: Consumer, options: SubscribeIntervalOptions): Tailer {
    return this.subscribeIntervalOn(this.#ownReactor(), consumer, options);
  }

  subscribeOn(reactor: Reactor, consumer: Consumer, options: SubscribeOptions = {}): Tailer {
    this.#assertNotClosed("subscribe to");
    return this.#subscriptions.add(this, consumer, { ...options, reactor });
  }

  subscribeIntervalOn(
    reactor: Reactor,
    consumer: Consumer,
    options: SubscribeIntervalOptions,
  ): Tailer {
    this.#assertNotClosed("subscribe to");
    return this.#subscriptions.add(this, consumer, { ...options, reactor });
  }

  #ownReactor(): Reactor {
    return this.#reactor ??= new Reactor({ clock: this.#parts.clock });
  }

  /** Takes note of what another process has published; does nothing where nobody is followed. */
  refresh(): void {
    const { follower } = this.#parts;
    if (follower === null || this.#state !== FileState.Opened) return;
    follower.refresh();
    this.#bytes = follower.region.bytes;
    if (follower.isFinished) this.#state = FileState.Eof;
  }

  /** Called by a tailer that has closed. */
  forget(tailer: Tailer): void {
    this.#subscriptions.delete(tailer);
    this.#finalizeWhenIdle();
  }

  /**
   * Closes the tailers, unmaps, and closes the file; it keeps the size it has grown to. Nothing is
   * synced. A consumer at work, or a sync in flight, is waited for; `await using` or `closed` tell when.
   * Throws `ErrClosed` the second time; disposing twice is harmless.
   */
  close(): void {
    this.#appender.throwIfAppending("close");
    if (this.#state >= FileState.Closing) throw this.#closedError("close");
    const { clock, stats } = this.#parts;
    this.#state = FileState.Closing;
    timed(clock, { count: stats.closes, duration: stats.closeDur }, () => {
      this.#startOrStop();
      this.#subscriptions.close("closed");
    });
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
    if (this.#subscriptions.size > 0 || this.#durability.isSyncing) return;
    const { clock, stats, follower, region, side, reactor } = this.#parts;
    timed(clock, { count: stats.finalizes, duration: stats.finalizesDur }, () => {
      this.#appender.release();
      this.#bytes = new Uint8Array();
      (follower?.region ?? region).release(true);
      side?.close();
      if (reactor === null) this.#reactor?.close();
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
