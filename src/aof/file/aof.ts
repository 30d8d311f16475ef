/**
 * An append-only file: one producer, any number of consumers, one mapping for the life of the
 * instance. The file under the mapping is extended in steps; readers never wait. What a write promises is
 * in `appender.ts`, what a sync promises in `durability.ts`.
 */

import { undoOnError } from "../../base/undo_on_error.ts";
import type { Storage, StoredFile } from "../../file/mod.ts";
import type { AppendFunc } from "./append_event.ts";
import { Appender } from "./appender.ts";
import { Durability } from "./durability.ts";
import { FileState } from "./file_state.ts";
import { finishFile } from "./finish.ts";
import type { Geometry } from "./geometry.ts";
import { Life } from "./life.ts";
import { openParts } from "./open_file.ts";
import { anonymousParts, followParts, overParts } from "./open_other.ts";
import type { OpenOptions, OverOptions, Parts, SharedOptions } from "./parts.ts";
import type { Reactor } from "../tail/reactor.ts";
import type { Recovery } from "../marks/recovery.ts";
import { countedOpen } from "./region.ts";
import type { FileStats } from "./stats.ts";
import {
  type SubscribeIntervalOptions,
  type SubscribeOptions,
  Subscriptions,
} from "../tail/subscriptions.ts";
import type { Consumer, Tailer, TailSource } from "../tail/tailer.ts";

/** Called when the file `aof` should be extended beyond `neededBytes`; see `Aof.onLowCapacity`. */
export type LowCapacityFunc = (aof: Aof, neededBytes: number) => void;

/**
 * One open append-only file. Get one with `open`, `over`, `follow` or `anonymous`, and end it with
 * `close` or `await using`. Exactly one instance, in one process, may append to a file.
 *
 * All calls but `syncAsync` are synchronous. Sizes and offsets are bytes. Continues the type `AOF` of
 * kirana's `aof`.
 */
export class Aof implements TailSource, Disposable, AsyncDisposable {
  readonly #parts: Parts;
  readonly #appender: Appender;
  readonly #durability: Durability;
  readonly #life: Life;
  readonly #subscriptions: Subscriptions;
  #bytes: Uint8Array;

  private constructor(parts: Parts) {
    this.#parts = parts;
    this.#bytes = parts.region.bytes;
    this.#durability = new Durability(parts, () => this.#startOrStop());
    this.#life = new Life(parts, this.#durability);
    this.#subscriptions = new Subscriptions(this, parts, this.#life);
    this.#appender = new Appender(parts, this.#subscriptions, this.#life);
    this.#startOrStop();
  }

  /**
   * Open the file at `path` for appending, or make it if the geometry says so. If its mode does not let
   * its owner write, or the recovery has no function, the file is read as finished.
   *
   * Throws
   * - `NotFoundError` if the file does not exist and is not to be made;
   * - `ErrIsDirectory`, or `FailedError` for anything else that is not a regular file;
   * - `ErrReadPermission` if its mode does not let its owner read it;
   * - `ErrEmptyFile` if it is to be read as finished and has no bytes;
   * - `BusyError` if another instance appends to it;
   * - `ErrCorrupted` if nothing tells where its data ends, `FailedError` if its recovery failed;
   * - `UsageError` for sizes that `Geometry.validate` refuses, `NewerFormatError` for a newer side file;
   * - `OsError`, with ENOSPC if the disk has no space for a new file, of which nothing is left then.
   */
  static open(storage: Storage, path: string, options: OpenOptions = {}): Aof {
    return countedOpen(options, () => new Aof(openParts(storage, path, options)));
  }

  /**
   * Use a descriptor that is already open for writing. Its mode is not looked at, no lock is taken, and
   * `close` closes it. For formats that bring their own recovery, such as commit logs:
   *
   *     const aof = Aof.over(file, {
   *       geometry: new Geometry({ sizeNow: logSize, sizeUpper: logSize }),
   *       recovery: new Recovery({ func: (fileSize, data, magic) => … }),
   *       sizeOffset: 1024,
   *     });
   *
   * Without magic there are no marks: nothing is stored but what the appends store. The recovery
   * function sees the whole file, and the `tail` that it returns is where appending goes on. So a tail of
   * at least 4096 keeps a head of 4096 bytes out of the stream.
   *
   * The size is published when the instance is made and after each append: an aligned 64-bit number at
   * `sizeOffset`, inside that head. The caller may change the head through `bytes`, so no sync is ever
   * left out. A given `mapping` is used, and stays the caller's.
   *
   * Throws `ErrCorrupted` if the recovery finds damage, `FailedError` if the recovery fails or the file is
   * longer than the upper size, `UsageError` for sizes that `Geometry.validate` refuses, and `OsError`.
   */
  static over(file: StoredFile, options: OverOptions): Aof {
    return countedOpen(options, () => new Aof(overParts(file, options)));
  }

  /**
   * Read what another process appends to a shared file, without a lock. No process wakes the tailers of
   * such an instance: subscribe with an interval, or call `wake`.
   *
   * Throws
   * - `NotFoundError` if the file has no side file, because it is not shared;
   * - `BusyError` while the file or its side file is being made, or the side file describes another file;
   * - `NewerFormatError` if a newer countd has made the side file, `CorruptError` if its format is unknown;
   * - `ErrCorrupted` if the file is shorter than its published size;
   * - `ErrShrink` if the file was replaced while it was opened;
   * - `OsError`.
   */
  static follow(storage: Storage, path: string, options: SharedOptions = {}): Aof {
    return countedOpen(options, () => {
      const aof = new Aof(followParts(storage, path, options));
      undoOnError(() => aof.close(), () => aof.refresh());
      return aof;
    });
  }

  /**
   * Use `size` bytes of memory (rounded up to pages) in place of a file. `name` is for messages. Such an
   * instance has no marks, never grows, and its syncs do nothing.
   */
  static anonymous(name: string, size: number, options: SharedOptions = {}): Aof {
    return countedOpen(options, () => new Aof(anonymousParts(name, size, options)));
  }

  /** Path of the file as it was given, or the name of an anonymous instance. */
  get path(): string {
    return this.#parts.path;
  }

  /** The sizes in use, with all defaults filled in. */
  get geometry(): Geometry {
    return this.#parts.geometry;
  }

  /** How the file was recovered, with the result. */
  get recovery(): Recovery {
    return this.#parts.recovery;
  }

  /** Where the instance is in its life. */
  get state(): FileState {
    return this.#life.state;
  }

  /** Bytes of data, without their mark: the offset of the next append. */
  get size(): number {
    return this.#parts.follower?.size ?? this.#appender.size;
  }

  /** The size in bytes that tailers of other processes see; the size if nothing is published. */
  get publishedSize(): number {
    return this.#parts.published?.load() ?? this.#parts.follower?.publishedSize ?? this.size;
  }

  /** Length of the file under the mapping, in bytes: the data, its mark and the zeros behind. */
  get fileSize(): number {
    return (this.#parts.follower?.region ?? this.#parts.region).fileSize;
  }

  /**
   * The whole mapping. Bytes from `fileSize` on must not be touched, and if `isReadOnly` is true none may
   * be stored to: the system would end the process. Empty after `close`.
   */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** Whether every write is refused with `ErrFileIsReadOnly`. */
  get isReadOnly(): boolean {
    return this.#parts.isReadOnly;
  }

  /** Counters of this instance alone. */
  get fileStats(): FileStats {
    return this.#appender.fileStats;
  }

  /** Whether the instance is memory without a file. */
  isAnonymous(): boolean {
    return this.#parts.region.file === null;
  }

  /**
   * Append all of `bytes` and return their count, extending the file if needed. A call that throws has
   * written nothing. Throws
   * - `ErrShortBuffer` for no bytes;
   * - `ErrEndOfFile` if the bytes and their mark pass the upper size;
   * - `ErrFileIsReadOnly`, `ErrClosed`;
   * - `UsageError` inside an append function;
   * - `OsError` if the file cannot be extended.
   */
  write(bytes: Uint8Array): number {
    return this.#appender.write(bytes, true);
  }

  /** As `write`, but throws `ErrWouldBlock` if the file would have to be extended first. */
  writeNonBlocking(bytes: Uint8Array): number {
    return this.#appender.write(bytes, false);
  }

  /**
   * Reserve `reserve` bytes, call `fill` to write into them, and append as many as it returns (clamped to
   * 0 … reserve). Returns that count. What `fill` throws is thrown on, and nothing is appended.
   *
   * Throws `ErrAppendFuncNil` without a function, `UsageError` for a `reserve` that is not a whole number
   * from 0 on, and otherwise as `write` does.
   */
  append(reserve: number, fill: AppendFunc): number {
    return this.#appender.append(reserve, fill, true);
  }

  /** As `append`, but throws `ErrWouldBlock` if the file would have to be extended first. */
  appendNonBlocking(reserve: number, fill: AppendFunc): number {
    return this.#appender.append(reserve, fill, false);
  }

  /**
   * Extend the file to at least `size` bytes (whole pages) ahead of the writes. A size that the file has
   * already changes nothing. Throws `ErrShrink` for a size below the data and its mark, `ErrEndOfFile`
   * above the upper size, `ErrFileIsReadOnly`, `ErrClosed`, and `OsError`.
   */
  extend(size: number): void {
    this.#appender.extend(size);
  }

  /**
   * Set the function that is called when fewer than `headroom` bytes are left in the file, or null for
   * none. It is called once until the file was extended. It must return at once, and extend later.
   */
  onLowCapacity(headroom: number, lowCapacity: LowCapacityFunc | null): void {
    this.#appender.onLowCapacity(headroom, lowCapacity && ((needed) => lowCapacity(this, needed)));
  }

  #startOrStop(): void {
    if (this.#life.isWritable) this.#appender.start();
    else this.#appender.stop();
  }

  /**
   * End a chunk: make the data durable, append the checkpoint mark, make that durable, and return the
   * offset of the mark. The mark is part of the data. If a power cut destroys the tail, recovery finds
   * the last checkpoint. Without marks it is a sync and returns the size. Throws what `sync` and `write`
   * throw.
   */
  checkpoint(): number {
    const position = this.sync();
    if (this.#parts.marks === null) return position;
    this.write(this.#parts.marks.checkpoint);
    this.sync();
    return position;
  }

  /**
   * Write out what was appended since the last flush, and wait for it (msync). It promises nothing about
   * power cuts. Throws `ErrClosed`, and `OsError` if it fails; every later call throws that error again,
   * as with `sync`.
   */
  flush(): void {
    this.#life.throwIfClosed("flush");
    if (!this.isReadOnly) this.#durability.flush(this.size + this.#appender.markSize);
  }

  /**
   * Make everything that is appended by now durable, under the file's name, and return its size. If nothing was
   * appended since the last sync it does nothing. Throws `ErrClosed`; `ErrLostName` if the file was removed, moved
   * or replaced, and a later sync tries anew; and `OsError` if it fails. Every later write and sync throws that
   * `OsError` again: what the system then still has in memory says nothing about the disk.
   */
  sync(): number {
    const size = this.#startSync();
    if (!this.isReadOnly) this.#durability.sync(size);
    return size;
  }

  /** As `sync`, but the event loop goes on while it waits; the size is taken when it is called. */
  async syncAsync(): Promise<number> {
    const size = this.#startSync();
    if (!this.isReadOnly) {
      await this.#durability.syncAsync(size).finally(() => this.#finalizeWhenIdle());
    }
    return size;
  }

  #startSync(): number {
    this.#life.throwIfClosed("sync");
    this.#durability.throwIfFailed();
    return this.size;
  }

  /**
   * Finish the file: the checkpoint mark takes the place of the tail mark, and the file is truncated behind
   * it. It may only be read from now on, and is made durable. Tailers get their `eof` event, also if that
   * fails. Throws `ErrClosed` if it is finished or closed already, `ErrFileIsReadOnly`, and what `sync` throws.
   */
  finish(): void {
    this.#appender.throwIfRefused("finish");
    finishFile(this.#parts, this.size, () => {
      this.#life.state = FileState.Eof;
      this.#startOrStop();
    });
    this.#subscriptions.wake();
    this.#durability.syncAll();
  }

  /** Poll every tailer in the next turn of the event loop. Throws `ErrClosed`. */
  wake(): void {
    this.#life.throwIfClosed("wake");
    this.#subscriptions.wake();
  }

  /**
   * Call the consumer for the data from `from` on, and whenever something is appended. Throws `ErrClosed`,
   * and `UsageError` without a consumer or for a `from` that is not an offset. Close the returned tailer
   * to end the subscription.
   */
  subscribe(consumer: Consumer, options: SubscribeOptions = {}): Tailer {
    return this.#subscriptions.add(this.#subscriptions.reactor, consumer, options);
  }

  /** As `subscribe`, and also every `intervalMs` milliseconds, whether there is anything new or not. */
  subscribeInterval(consumer: Consumer, options: SubscribeIntervalOptions): Tailer {
    return this.#subscriptions.add(this.#subscriptions.reactor, consumer, options);
  }

  /** As `subscribe`, on a reactor of the caller, which the instance does not close. */
  subscribeOn(reactor: Reactor, consumer: Consumer, options: SubscribeOptions = {}): Tailer {
    return this.#subscriptions.add(reactor, consumer, options);
  }

  /** As `subscribeInterval`, on a reactor of the caller, which the instance does not close. */
  subscribeIntervalOn(
    reactor: Reactor,
    consumer: Consumer,
    options: SubscribeIntervalOptions,
  ): Tailer {
    return this.#subscriptions.add(reactor, consumer, options);
  }

  /**
   * Look for what another process has published. Does nothing in an instance that does not follow one.
   * Tailers do this before each read. Throws `ErrShrink` if the published size went back, `ErrLostName` if the
   * file was removed, moved or replaced, `ErrCorrupted` if it is shorter than its published size, and `OsError`.
   */
  refresh(): void {
    const { follower } = this.#parts;
    if (follower === null || this.#life.state !== FileState.Opened) return;
    follower.refresh();
    this.#bytes = follower.region.bytes;
    if (follower.isFinished) this.#life.state = FileState.Eof;
  }

  /** Remove a tailer that has closed. Called by the tailer itself. */
  forget(tailer: Tailer): void {
    this.#subscriptions.delete(tailer);
    this.#finalizeWhenIdle();
  }

  /**
   * Close the tailers, unmap, and close the file, which keeps the length it has grown to. Nothing is
   * synced. The memory is released when no consumer is at work and no sync in flight any more: wait for
   * that with `closed` or `await using`. Throws `ErrClosed` the second time; disposing twice is harmless.
   */
  close(): void {
    this.#appender.throwIfAppending("close");
    this.#life.close(() => {
      this.#startOrStop();
      this.#subscriptions.close("closed");
    });
    this.#finalizeWhenIdle();
  }

  /** Resolves when the mapping and the descriptor are released. Never rejects. */
  get closed(): Promise<void> {
    return this.#life.closed;
  }

  /** Close the file unless it is closed already. */
  [Symbol.dispose](): void {
    if (!this.#life.isEnding) this.close();
  }

  /** Close the file unless it is closed already, and wait until its memory is released. */
  async [Symbol.asyncDispose](): Promise<void> {
    this[Symbol.dispose]();
    await this.closed;
  }

  #finalizeWhenIdle(): void {
    if (this.#subscriptions.size > 0) return;
    this.#life.finalizeWhenIdle(() => {
      this.#appender.release();
      this.#bytes = new Uint8Array();
      this.#subscriptions.release();
    });
  }
}
