/**
 * The database: a map of text to text, and the log from which it can be made again. `init` (open.ts)
 * makes one.
 *
 *     const db = init("db.json", "log.json");
 *     await db.write("x", "hello");
 *     await db.read("x");                  // "hello"
 *     await db.close();
 */

import { setImmediate } from "node:timers";
import type { Clock } from "../../base/clock.ts";
import { CountdError } from "../../base/errors.ts";
import type { Events } from "../../base/events.ts";
import type { Storage } from "../../file/mod.ts";
import { requireEntry, SET_COMMAND } from "../format/entry.ts";
import { DatabaseBusyError, DatabaseFailedError } from "./errors.ts";
import { markFailed } from "../files/failed_mark.ts";
import { GroupCommit, type SyncMode } from "./group_commit.ts";
import type { Journal } from "./journal.ts";
import { Log } from "./log.ts";
import type { LogFile } from "../files/log_file.ts";
import type { MapFile } from "../files/map_file.ts";
import { Owner } from "./owner.ts";
import { writeRegion } from "../files/snapshot.ts";
import type { ValueMap } from "./value_map.ts";

/** A snapshot is due when the log has grown by this, or by twice the last snapshot if that is more. */
const SNAPSHOT_BYTES_MIN = 16 * 2 ** 20;
/** At a clean close less is enough, so that the next start has little to do. */
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

export interface RequestOptions {
  /** Aborted before the request had its turn, it is not carried out. */
  readonly signal?: AbortSignal;
}

export interface WriteOptions extends RequestOptions {
  /** Term of the entry; that of the entry before it when not given. */
  readonly term?: bigint | number;
}

/** Figures of a database. Sizes in bytes. */
export interface DatabaseStatus {
  readonly keys: number;
  readonly entries: number;
  readonly committed: number;
  readonly term: bigint;
  readonly sync: SyncMode;
  readonly logBytes: number;
  /** Of these, so many are known to be on the disk. */
  readonly logBytesDurable: number;
  readonly snapshotGeneration: number;
  /** What a start now would have to read again. */
  readonly replayBytes: number;
  readonly requestsWaiting: number;
  readonly syncs: number;
  /** How often the log and the map file grew. */
  readonly logResizes: number;
  readonly mapResizes: number;
}

export class Database {
  readonly log: Log;
  /** Resolves when a sync has failed: from then on nothing is answered, and the process should end. */
  readonly failed: Promise<DatabaseFailedError>;
  readonly #parts: DatabaseParts;
  readonly #owner: Owner;
  readonly #commit: GroupCommit;
  readonly #reportFailure: (error: DatabaseFailedError) => void;
  #failure: DatabaseFailedError | null = null;
  #snapshot: Promise<void> | null = null;
  /** After a snapshot for which there was no space: the tail from which on another is tried. */
  #snapshotNotBefore = 0;
  #closing: Promise<void> | null = null;

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
      onBroken: (error) => {
        // Conditions of the world concern the one who asked; anything else concerns all.
        if (!(error instanceof CountdError)) this.#fail(error);
      },
    }, last?.term ?? 0n);
    this.#commit = new GroupCommit(journal.log, {
      mode: sync,
      intervalMs: parts.syncIntervalMs,
      clock: parts.clock,
      storage,
      onDurable: (offset) => this.#owner.durable(offset),
      onFailure: (error) => this.#fail(error),
    });
    this.log = new Log(this.#owner, journal);
  }

  /** The value of a key. Throws `InvalidKeyError` where the map has none. */
  read(key: string, options: RequestOptions = {}): Promise<string> {
    return this.#owner.ask({ kind: "read", key }, options.signal);
  }

  /**
   * Logs a SET, commits it, and changes the map; resolves to the value, with `--sync always` when the
   * entry is on the disk. Throws `UsageError` for what is not text, `StorageFullError` where there is
   * no space, `DatabaseBusyError` where too many wait.
   */
  async write(key: string, value: string, options: WriteOptions = {}): Promise<string> {
    const { term, signal } = options;
    const entry = requireEntry({ command: SET_COMMAND, key, value, term: term ?? 0n });
    return await this.#owner.ask({
      kind: "write",
      key,
      value,
      term: term === undefined ? null : entry.term,
    }, signal);
  }

  /** Keys in the map. */
  get size(): number {
    return this.#parts.map.size;
  }

  /** All keys and values, in no order. To be read in one go. */
  entries(): IterableIterator<[string, string]> {
    return this.#parts.map.entries();
  }

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

  /** Resolves when everything that was answered until now is on the disk, in every mode. */
  flush(): Promise<void> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    return this.#commit.sync();
  }

  /** Writes a snapshot of the map, so that the next start reads the log from here on only. */
  snapshot(): Promise<void> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    this.#snapshot ??= this.#takeSnapshot().finally(() => this.#snapshot = null);
    return this.#snapshot;
  }

  /** Answers what waits, puts all on the disk, and lets go. A second call waits for the first. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Lets go of files and locks as if the process died here: nothing more is put on the disk. */
  async abandon(): Promise<void> {
    this.#failure ??= new DatabaseFailedError("The database was let go");
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

  /** `state` was taken while the map showed all of it. */
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
    // The map may show what the log says up to here, so the log goes first.
    const logMin = journal.log.tail;
    try {
      await this.#commit.sync();
      this.#requireAlive();
      storage.reach("db.snapshot.region.before");
      await mapFile.sync();
      storage.reach("db.snapshot.region.after");
      this.#requireAlive();
      mapFile.storeHeader({
        identity: mapFile.identity.value,
        generation: (mapFile.header?.generation ?? 0) + 1,
        regionOffset: region.offset,
        regionBytes: region.bytes,
        keys: region.keys,
        replayFrom: state.tail,
        logMin,
        entries: state.entries,
        committed: state.committed,
      });
      storage.reach("db.snapshot.header.after");
      await mapFile.sync();
      storage.reach("db.snapshot.end.after");
    } catch (error) {
      // A sync that failed is not tried again, here as in the log.
      this.#fail(error);
      throw error;
    }
  }

  #requireAlive(): void {
    if (this.#failure !== null) throw this.#failure;
  }

  #fail(cause: unknown): void {
    if (this.#failure !== null) return;
    const { mapFile, storage, events } = this.#parts;
    const error = new DatabaseFailedError(
      `Database ${mapFile.path} stopped: ${cause instanceof Error ? cause.message : cause}; ` +
        "nobody knows what is on the disk: run countd db repair",
      { cause },
    );
    this.#failure = error;
    void this.#commit.stop();
    this.#owner.fail(error);
    markFailed(storage, mapFile.path, error.message);
    events.report("error", "database failed", { path: mapFile.path, reason: String(cause) });
    this.#reportFailure(error);
  }

  async #close(): Promise<void> {
    this.#owner.refuse(
      new DatabaseBusyError("The database is being closed: try again when it is open"),
    );
    try {
      while (this.#owner.waiting > 0 && this.#failure === null) {
        await this.#commit.sync();
        await nextTurn();
      }
      await this.#snapshot?.catch(() => {});
      await this.#lastSnapshot();
      await this.#commit.sync();
    } catch {
      // A failure is told below and through `failed`; a snapshot is no condition of a clean end.
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
