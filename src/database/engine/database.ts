/** The database: a map of text to text, and the log from which it can be rebuilt. */

import { setImmediate } from "node:timers";
import type { Clock } from "../../base/clock.ts";
import { CountdError } from "../../base/errors.ts";
import type { Events } from "../../base/events.ts";
import type { Storage } from "../../file/mod.ts";
import { GroupCommit, putFailedMark, type SyncMode } from "../../file/checked_log/mod.ts";
import { requireEntry, SET_COMMAND } from "../format/entry.ts";
import { DatabaseBusyError, DatabaseFailedError } from "./errors.ts";
import { failedMarkPath } from "../files/failed_mark.ts";
import { LostNameError, watchNames } from "../files/names.ts";
import type { Journal } from "./journal.ts";
import { Log } from "./log.ts";
import type { LogFile } from "../files/log_file.ts";
import type { MapFile } from "../files/map_file.ts";
import { Owner } from "./owner.ts";
import { writeRegion } from "../files/snapshot.ts";
import type { ValueMap } from "./value_map.ts";

/** A snapshot is due when the log has grown by this, or by twice the last snapshot if that is more. */
const SNAPSHOT_BYTES_MIN = 16 * 2 ** 20;
/** A clean close divides that threshold by this, so that the next start has little to replay. */
const SNAPSHOT_AT_CLOSE_DIVISOR = 8;

export interface DatabaseParts {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly events: Events;
  readonly journal: Journal;
  readonly map: ValueMap;
  readonly mapFile: MapFile;
  readonly sync: SyncMode;
  readonly syncIntervalMs: number;
}

/** Options of one request. */
export interface RequestOptions {
  /** If it is aborted before the turn of the request, the request rejects and changes nothing. */
  readonly signal?: AbortSignal;
}

/** Options of `Database.write`. */
export interface WriteOptions extends RequestOptions {
  /** Term of the entry, signed 64 bits. Default: the term of the last entry, or 0. */
  readonly term?: bigint | number;
}

/** State and metrics of a database at one moment. Counts begin at the opening. */
export interface DatabaseStatus {
  /** Number of keys in the map. */
  readonly keys: number;
  /** Number of entries in the log. */
  readonly entries: number;
  /** Number of committed entries. */
  readonly committed: number;
  /** Term of the last entry; 0 if the log is empty. */
  readonly term: bigint;
  /** When the log is synced. */
  readonly sync: SyncMode;
  /** Length of the log in bytes. */
  readonly logBytes: number;
  /** Durable length of the log in bytes. */
  readonly logBytesDurable: number;
  /** Generation of the newest snapshot; it rises by one with each. */
  readonly snapshotGeneration: number;
  /** Bytes of log behind the newest snapshot, which a start would replay. */
  readonly replayBytes: number;
  /** Number of requests that wait for their turn or for a sync. */
  readonly requestsWaiting: number;
  /** Number of syncs of the log. */
  readonly syncs: number;
  /** How many times the log file grew. */
  readonly logResizes: number;
  /** How many times the map file grew. */
  readonly mapResizes: number;
}

/**
 * An open database, made by `init`. One loop owns the map and the log: requests are carried out in the
 * order of the calls, and at most 65,536 of them wait.
 */
export class Database {
  /** The log of the database. */
  readonly log: Log;
  /** Resolves when a sync has failed, or a file has lost its name. From then on every call rejects, and the process should end. */
  readonly failed: Promise<DatabaseFailedError>;
  readonly #parts: DatabaseParts;
  readonly #owner: Owner;
  readonly #commit: GroupCommit;
  readonly #reportFailure: (error: DatabaseFailedError) => void;
  readonly #names: Disposable;
  #failure: DatabaseFailedError | null = null;
  #snapshot: Promise<void> | null = null;
  /** After a snapshot that failed for want of space: the tail at which the next one is tried. */
  #snapshotNotBefore = 0;
  #closing: Promise<void> | null = null;

  /** Made by `init`; not for callers. */
  constructor(parts: DatabaseParts) {
    this.#parts = parts;
    const { promise, resolve } = Promise.withResolvers<DatabaseFailedError>();
    this.failed = promise;
    this.#reportFailure = resolve;
    const { journal, map, storage, sync } = parts;
    const [last] = journal.length === 0 ? [] : journal.entries(journal.length - 1, journal.length);
    this.#owner = new Owner({
      journal,
      map,
      storage,
      waitsForDisk: sync === "always",
      onAppended: () => this.#appended(),
      onError: (error) => {
        // An expected error belongs to its request; any other means that the owner is broken.
        if (!(error instanceof CountdError)) this.#fail(error);
      },
    }, last?.term ?? 0n);
    this.#commit = new GroupCommit(journal.log, {
      mode: sync,
      intervalMs: parts.syncIntervalMs,
      clock: parts.clock,
      onDurable: (offset) => this.#owner.durable(offset),
      onFailure: (error) => this.#fail(error),
    });
    this.log = new Log(this.#owner, journal);
    this.#names = watchNames([journal.log, parts.mapFile], (error) => this.#fail(error));
  }

  /**
   * Resolves to the value of a key.
   *
   * @throws {InvalidKeyError} If the map does not have the key.
   * @throws {DatabaseBusyError} If too many requests wait, or the database is being closed.
   * @throws {DatabaseFailedError} After a failed sync.
   */
  read(key: string, options: RequestOptions = {}): Promise<string> {
    return this.#owner.ask({ kind: "read", key }, options.signal);
  }

  /**
   * Appends a SET, commits it together with all entries before it, and changes the map. Resolves to the
   * value; with sync mode `always`, once the entry is durable.
   *
   * @throws {UsageError} If key or value is not well-formed text, or the term is not exact.
   * @throws {StorageFullError} If the disk is full. Nothing was changed.
   * @throws {DatabaseBusyError} If too many requests wait, or the database is being closed.
   * @throws {DatabaseFailedError} After a failed sync.
   */
  write(key: string, value: string, options: WriteOptions = {}): Promise<string> {
    const { term, signal } = options;
    try {
      const entry = requireEntry({ command: SET_COMMAND, key, value, term: term ?? 0n });
      const exactTerm = term === undefined ? null : entry.term;
      // An await here would cost each write a turn of the microtask queue.
      return this.#owner.ask({ kind: "write", key, value, term: exactTerm }, signal);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Number of keys in the map. */
  get size(): number {
    return this.#parts.map.size;
  }

  /** All keys and values, in no order. The iterator must not be kept across an `await`. */
  entries(): IterableIterator<[string, string]> {
    return this.#parts.map.entries();
  }

  /** State and metrics now. */
  status(): DatabaseStatus {
    const { journal, mapFile, map, sync } = this.#parts;
    const replayFrom = mapFile.header?.replayFrom ?? 0;
    return {
      keys: map.size,
      entries: journal.length,
      committed: journal.committed,
      term: this.#owner.term,
      sync,
      logBytes: journal.log.tail,
      logBytesDurable: journal.log.durable,
      snapshotGeneration: mapFile.header?.generation ?? 0,
      replayBytes: journal.log.tail - replayFrom,
      requestsWaiting: this.#owner.waiting,
      syncs: this.#commit.syncs,
      logResizes: journal.log.resizes,
      mapResizes: mapFile.resizes,
    };
  }

  /**
   * Resolves when everything that was answered so far is durable, in every sync mode.
   *
   * @throws {OsError} If the sync fails.
   * @throws {DatabaseFailedError} After a failed sync.
   */
  flush(): Promise<void> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    return this.#sync();
  }

  /**
   * Writes a snapshot of the map, so that the next start replays the log from here on only. Requests go
   * on in between. On any error the previous snapshot stays valid.
   *
   * @throws {OsError} If the disk is full, or a sync fails.
   * @throws {DatabaseFailedError} After a failed sync.
   */
  snapshot(): Promise<void> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    this.#snapshot ??= this.#takeSnapshot().finally(() => this.#snapshot = null);
    return this.#snapshot;
  }

  /**
   * Answers the requests that wait, syncs everything, and releases the files, also on an error. A second
   * call waits for the first.
   *
   * @throws {DatabaseFailedError} If a sync failed.
   * @throws {OsError} If the log could not be truncated.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Closes the database, as `close`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Releases files and locks as if the process had been killed: nothing more is synced. */
  async abandon(): Promise<void> {
    this.#names[Symbol.dispose]();
    this.#failure ??= new DatabaseFailedError("The database was abandoned");
    this.#owner.fail(this.#failure);
    await this.#commit.stop();
    await this.#snapshot?.catch(() => {});
    this.#parts.journal.log.close();
    this.#parts.mapFile.close();
  }

  #appended(): void {
    this.#commit.appended();
    const { journal, mapFile, events } = this.#parts;
    const { tail } = journal.log;
    if (this.#snapshot !== null || tail < this.#snapshotNotBefore) return;
    if (tail - (mapFile.header?.replayFrom ?? 0) < this.#snapshotThreshold()) return;
    this.snapshot().catch((error) => {
      if (this.#failure !== null) return;
      this.#snapshotNotBefore = tail + this.#snapshotThreshold();
      events.report("warn", "database snapshot put off", { reason: String(error) });
    });
  }

  #snapshotThreshold(): number {
    return Math.max(SNAPSHOT_BYTES_MIN, 2 * (this.#parts.mapFile.header?.regionBytes ?? 0));
  }

  async #takeSnapshot(): Promise<void> {
    const { journal } = this.#parts;
    await this.#writeSnapshot(await this.#owner.alone(() => journal.state()));
  }

  /** `state` must have been copied while the map showed every committed entry of it. */
  async #writeSnapshot(state: ReturnType<Journal["state"]>): Promise<void> {
    const { journal, map, mapFile, storage } = this.#parts;
    storage.reach("db.snapshot.write.before");
    const writer = writeRegion(mapFile, { map, blocks: state.blocks, sums: state.sums });
    let piece = writer.next();
    while (piece.done !== true) {
      await nextTurn();
      this.#requireAlive();
      piece = writer.next();
    }
    const region = piece.value;
    storage.reach("db.snapshot.write.after");
    // The snapshot may hold what the log says up to here, so the log is synced first.
    const logMin = journal.log.tail;
    try {
      await this.#sync();
      this.#requireAlive();
      storage.reach("db.snapshot.region.before");
      await mapFile.sync();
      storage.reach("db.snapshot.region.after");
      this.#requireAlive();
      mapFile.storeHeader(region, state, logMin);
      storage.reach("db.snapshot.header.after");
      await mapFile.sync();
      storage.reach("db.snapshot.end.after");
    } catch (error) {
      // A failed sync is never tried again, here as in the log.
      this.#fail(error);
      throw error;
    }
  }

  /** Resolves when the present content of the log is durable. */
  #sync(): Promise<void> {
    return this.#commit.whenDurable(this.#parts.journal.log.tail);
  }

  #requireAlive(): void {
    if (this.#failure !== null) throw this.#failure;
  }

  #fail(cause: unknown): void {
    if (this.#failure !== null) return;
    const { mapFile, events } = this.#parts;
    const why = cause instanceof Error ? cause.message : cause;
    const error = new DatabaseFailedError(
      `Database ${mapFile.path} stopped: ${why}; ${this.#markFailed(cause)}`,
      { cause },
    );
    this.#failure = error;
    this.#names[Symbol.dispose]();
    void this.#commit.stop();
    this.#owner.fail(error);
    events.report("error", "database failed", { path: mapFile.path, reason: String(cause) });
    this.#reportFailure(error);
  }

  /** Marks the database failed, unless its files are sound and have lost their names. Returns what to do. */
  #markFailed(cause: unknown): string {
    // Another database may have the names by now, so there is no mark.
    if (cause instanceof LostNameError) {
      return "give both files their names again, then start the database";
    }
    const { mapFile, storage } = this.#parts;
    const path = failedMarkPath(mapFile.path);
    const unknown = "the on-disk state is unknown";
    return putFailedMark(storage, path, `${cause}; ${unknown}`)
      ? `${unknown}: run countd db repair`
      : `${unknown}, and the failed mark ${path} cannot be written: run countd db repair`;
  }

  async #close(): Promise<void> {
    this.#names[Symbol.dispose]();
    this.#owner.refuse(
      new DatabaseBusyError("The database is being closed: try again when it is open"),
    );
    try {
      while (this.#owner.waiting > 0 && this.#failure === null) {
        await this.#sync();
        await nextTurn();
      }
      await this.#snapshot?.catch(() => {});
      await this.#lastSnapshot();
      await this.#sync();
    } catch {
      // A failure is thrown below and reported by `failed`; a clean close needs no snapshot.
    }
    await this.#commit.stop();
    const { journal, mapFile } = this.#parts;
    try {
      if (this.#failure === null) this.#closeLog(journal.log);
    } finally {
      journal.log.close();
      mapFile.close();
    }
    if (this.#failure !== null) throw this.#failure;
  }

  #closeLog(log: LogFile): void {
    log.markClosed();
    try {
      log.syncClosed();
      log.refuseLost();
      this.#parts.mapFile.refuseLost();
    } catch (error) {
      this.#fail(error);
    }
  }

  async #lastSnapshot(): Promise<void> {
    const { journal, mapFile, events } = this.#parts;
    const replayBytes = journal.log.tail - (mapFile.header?.replayFrom ?? 0);
    if (this.#failure !== null) return;
    if (replayBytes < this.#snapshotThreshold() / SNAPSHOT_AT_CLOSE_DIVISOR) return;
    try {
      await this.#writeSnapshot(journal.state());
    } catch (error) {
      if (this.#failure !== null) throw error;
      events.report("warn", "database snapshot put off", { reason: String(error) });
    }
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(() => resolve()));
}
