/**
 * One fold: sealed logs into keyspaces. It does steps 2 to 7 of Fold, in the README of this room.
 *
 *   2 lock and verify the logs, leave out what a keyspace has applied, sum per key
 *   3 new pages of each keyspace
 *   4 sync A, with the logs that are not known to be durable
 *   5 the older meta block of each keyspace whose name still leads to its open file; names for new files
 *   6 sync B, with the directory
 *   7 recycle the logs that every keyspace they name has applied
 *
 * Invariants:
 *  1. What a keyspace has applied is left out, per (keyspace, log), before anything is summed.
 *  2. A log is recycled only after sync B, and only if no keyspace that it names was left out or deferred.
 *  3. A keyspace takes all records of a log or none: its applied generation says that it has all.
 *  4. Whatever stops a fold, each keyspace is as before or as after it, independently of the others.
 */

import { assert } from "../../base/assert.ts";
import { CorruptError } from "../../base/errors.ts";
import { printableName } from "../../base/printable.ts";
import {
  type DataDirectory,
  directoryLocks,
  type LogIdentity,
  type SealedLog,
} from "../commitlog/mod.ts";
import { isDiskFull, isOutOfResources, OsError } from "../../file/mod.ts";
import { type Aggregator, type Batch, keyspacePath, type KeyspaceWriter } from "../keyspace/mod.ts";
import { BadRecordError } from "../wire/mod.ts";
import { type KeyspaceWriters, nameKey } from "./keyspace_writers.ts";
import { type FileFailure, isFailureOf, type Quarantine } from "./quarantine.ts";

/** Above this number of files one sync of the file system is cheaper than a sync of each. */
const SYNC_EACH_MAX = 4;
/** Keyspaces that go through steps 3 to 6 together. */
const GROUP_MAX = 128;

export interface FoldResult {
  readonly recycled: number;
  readonly records: number;
  readonly keyspaces: number;
  readonly saturated: number;
  /** Logs that the next fold takes again, because the file of a keyspace was removed or replaced. */
  readonly deferred: number;
}

/**
 * Thrown if the disk, or the limit of open files, is too small for a fold of this size; the cause says which.
 * This group and later ones have not changed.
 */
export class FoldTooLargeError extends Error {
  override readonly name = "FoldTooLargeError";
}

/** Thrown for a log that is in quarantine, and whose records are in part in the sums: the fold is void. */
export class LogUnusableError extends Error {
  override readonly name = "LogUnusableError";
}

/** A keyspace, and the generations, by slot, of the logs whose records for it are in the sums. */
interface KeyspaceLogs {
  readonly keyspace: Uint8Array;
  readonly generations: Map<number, bigint>;
}

/** A keyspace whose pages are written. */
interface Written {
  readonly writer: KeyspaceWriter;
  readonly generations: Map<number, bigint>;
}

export class Fold {
  readonly #logs: SealedLog[] = [];
  /** By the name of the keyspace. */
  readonly #logsOf = new Map<string, KeyspaceLogs>();
  /**
   * Keyspaces that were left out once are left out to the end of this fold. The quarantine of one may end
   * between two frames of a log. If the later frames were taken, the applied generation would cover the
   * records that were left out before, and these would never be counted.
   */
  readonly #refused = new Set<string>();
  /** What was left out because a keyspace has applied it already. */
  readonly #applied = new Map<string, LogIdentity & { readonly keyspace: Uint8Array }>();
  /** Slots that name a keyspace which was left out. */
  readonly #blocked = new Set<number>();
  /** Slots that name a keyspace whose file was removed or replaced during this fold. */
  readonly #deferred = new Set<number>();
  /** By slot, how many keyspaces have records of its log that are not on disk by sync B yet. */
  readonly #unsynced = new Map<number, number>();
  #areLogsDurable = false;
  #records = 0;
  #saturated = 0;
  #taken = 0;

  constructor(
    readonly directory: DataDirectory,
    readonly writers: KeyspaceWriters,
    readonly aggregator: Aggregator,
    readonly quarantine: Quarantine,
  ) {
    aggregator.clear();
  }

  get logCount(): number {
    return this.#logs.length;
  }

  /** Bytes in the log that was added last. */
  get lastLength(): number {
    return this.#logs.at(-1)?.length ?? 0;
  }

  /** Logs that were taken, also after `releaseLogs`. */
  get takenCount(): number {
    return this.#taken;
  }

  /**
   * Fold, step 2, for one log, which this fold then owns. A damaged log is released into quarantine. Throws
   * `LogUnusableError` if a frame that verifies holds bytes that are not records, or could be read only
   * once: the sums are then wrong, and the caller must abort the fold.
   */
  add(log: SealedLog): void {
    const { storage } = this.directory;
    storage.reach("fold.2.before");
    try {
      this.#records += log.verify().records;
    } catch (error) {
      log.release();
      if (!(error instanceof CorruptError)) throw error;
      this.quarantine.addLog(log.slot, error);
      return;
    }
    this.#logs.push(log);
    this.#taken++;
    const accepts = (name: Uint8Array) => this.#accepts(name, log.identity);
    try {
      log.forEachBatch((bytes, start, end, offset) => {
        try {
          this.aggregator.add(bytes, start, end, accepts);
        } catch (error) {
          if (!(error instanceof BadRecordError)) throw error;
          const { path } = log.held;
          throw new CorruptError(
            `${path} holds bytes that are not records: ${error.message}`,
            { path, offset: error.offset - start + offset },
          );
        }
      });
    } catch (error) {
      if (!(error instanceof CorruptError)) throw error;
      this.quarantine.addLog(log.slot, error);
      throw new LogUnusableError(error.message, { cause: error });
    }
    storage.reach("fold.2.after");
  }

  /** Whether a keyspace has not applied a log and can take its records. */
  #accepts(name: Uint8Array, { slot, generation }: LogIdentity): boolean {
    const key = nameKey(name);
    const entry = this.#logsOf.get(key);
    if (entry?.generations.get(slot) === generation) return true;
    if (this.#refused.has(key) || this.quarantine.hasKeyspace(name)) return this.#refuse(key, slot);
    try {
      if (this.#hasApplied(name, { slot, generation })) {
        this.#applied.set(`${slot} ${key}`, { keyspace: name.slice(), slot, generation });
        return false;
      }
    } catch (error) {
      if (!isFailureOf("keyspace", error)) throw error;
      this.quarantine.addKeyspace(name, error);
      return this.#refuse(key, slot);
    }
    this.#unsynced.set(slot, (this.#unsynced.get(slot) ?? 0) + 1);
    if (entry !== undefined) entry.generations.set(slot, generation);
    else {
      const generations = new Map([[slot, generation]]);
      this.#logsOf.set(key, { keyspace: name.slice(), generations });
    }
    return true;
  }

  /** Throws `CorruptError` if the keyspace has applied what the log does not hold yet. */
  #hasApplied(name: Uint8Array, { slot, generation }: LogIdentity): boolean {
    const applied = this.writers.applied(name, slot);
    if (applied <= generation) return applied === generation;
    // Rule 12: a log that is filled below this generation would never be counted.
    throw new CorruptError(
      `Keyspace ${
        printableName(name)
      } has applied use ${applied} of log slot ${slot}, which is in ` +
        `use ${generation}: run countd check, then countd repair`,
      { path: keyspacePath(this.directory.paths.keyspaces, name), offset: 0 },
    );
  }

  #refuse(key: string, slot: number): false {
    this.#refused.add(key);
    this.#blocked.add(slot);
    return false;
  }

  /**
   * Fold, steps 3 to 7. Steps 3 to 6 take a group of keyspaces at a time, so that the open files stay
   * bounded. Throws `FoldTooLargeError` if the disk is full, and what a sync throws: then the page cache
   * cannot be trusted any more.
   */
  applyAndRecycle(): FoldResult {
    const pinned = this.directory.control.isHeldElsewhere(directoryLocks.pin);
    const batches = new Map(
      this.aggregator.takeBatches().map((item) => [nameKey(item.keyspace), item.batch]),
    );
    const entries = [...this.#logsOf.entries()];
    let keyspaces = 0;
    for (let first = 0; first < entries.length; first += GROUP_MAX) {
      const written: Written[] = [];
      const group = entries.slice(first, first + GROUP_MAX);
      this.writers.trim(group.filter(([, { keyspace }]) => !this.writers.isOpen(keyspace)).length);
      for (const [key, entry] of group) {
        const batch = batches.get(key);
        // Without a sum there is nothing to apply.
        if (batch === undefined) this.#noteSynced(entry.generations);
        else this.#writePages(entry, { batch, pinned, written });
      }
      keyspaces += this.#publish(written);
      this.writers.trim();
    }
    this.#deferUnapplied();
    const { recycled, deferred } = this.#recycle();
    return { recycled, records: this.#records, keyspaces, saturated: this.#saturated, deferred };
  }

  /** Fold, step 3, for one keyspace, which is then one of `written`. */
  #writePages(
    { keyspace, generations }: KeyspaceLogs,
    { batch, pinned, written }: {
      readonly batch: Batch;
      readonly pinned: boolean;
      readonly written: Written[];
    },
  ): void {
    let writer: KeyspaceWriter | null = null;
    try {
      writer = this.writers.get(keyspace);
      // So an applied generation never falls.
      if (hasAny(writer, generations)) return this.#deferLogs(generations);
      this.#saturated += writer.apply(batch, generations, { pinned }).saturated;
      written.push({ writer, generations });
    } catch (error) {
      if (isFailureOf("keyspace", error)) return this.#leaveOut(keyspace, generations, error);
      const others = written.map((each) => each.writer);
      for (const other of writer === null ? others : [...others, writer]) {
        if (other.isUnnamed) this.writers.drop(other.name);
        else other.rollBack();
      }
      if (!isDiskFull(error) && !isOutOfResources(error)) throw error;
      throw new FoldTooLargeError(`This fold is too large: ${error.message}`, { cause: error });
    }
  }

  /** Fold, steps 4 to 6. Returns the number of keyspaces that were published. */
  #publish(written: readonly Written[]): number {
    this.#syncLogs();
    this.#syncAll(4, written.map(({ writer }) => writer), (writer) => writer.syncPages());
    const published: Written[] = [];
    let isRenamed = false;
    for (const { writer, generations } of written) {
      if (!writer.isInPlace()) {
        this.writers.dropLost(writer);
        this.#deferLogs(generations);
        continue;
      }
      isRenamed ||= writer.isUnnamed;
      writer.publish();
      published.push({ writer, generations });
    }
    this.#syncAll(6, published.map(({ writer }) => writer), (writer) => writer.syncMeta());
    if (isRenamed) this.directory.storage.syncDirectory(this.directory.paths.keyspaces);
    for (const { writer, generations } of published) {
      for (const [slot, generation] of generations) {
        assert(writer.applied(slot) === generation, "A published keyspace has applied its logs");
      }
      this.#noteSynced(generations);
    }
    return published.length;
  }

  /** Notes that one keyspace has nothing of these logs any more that is not on disk. */
  #noteSynced(generations: Map<number, bigint>): void {
    for (const slot of generations.keys()) {
      this.#unsynced.set(slot, (this.#unsynced.get(slot) ?? 0) - 1);
    }
  }

  /**
   * Fold, step 4, for the logs that their headers do not call durable to their end. A power cut must not take
   * the frames of a log that a keyspace on disk has applied: they may come again, in another log.
   */
  #syncLogs(): void {
    if (this.#areLogsDurable) return;
    const { storage } = this.directory;
    storage.reach("fold.4.logs.before");
    for (const { held, durable, length } of this.#logs) {
      if (durable < length) held.file.syncData();
    }
    storage.reach("fold.4.logs.after");
    this.#areLogsDurable = true;
  }

  /** Defers logs that a keyspace had applied in a file that has lost its name since. */
  #deferUnapplied(): void {
    for (const { keyspace, slot, generation } of this.#applied.values()) {
      try {
        if (!this.#hasApplied(keyspace, { slot, generation })) this.#deferred.add(slot);
      } catch (error) {
        if (!isFailureOf("keyspace", error)) throw error;
        this.quarantine.addKeyspace(keyspace, error);
        this.#blocked.add(slot);
      }
    }
  }

  /** Leaves logs to the next fold, which reads the applied generations of the file that is there now. */
  #deferLogs(generations: Map<number, bigint>): void {
    for (const slot of generations.keys()) this.#deferred.add(slot);
  }

  #leaveOut(keyspace: Uint8Array, generations: Map<number, bigint>, error: FileFailure): void {
    this.quarantine.addKeyspace(keyspace, error);
    this.writers.drop(keyspace);
    for (const slot of generations.keys()) this.#blocked.add(slot);
  }

  #syncAll(
    step: 4 | 6,
    writers: readonly KeyspaceWriter[],
    sync: (writer: KeyspaceWriter) => void,
  ): void {
    if (writers.length <= SYNC_EACH_MAX) {
      for (const writer of writers) sync(writer);
      return;
    }
    const { storage } = this.directory;
    const { fileSystem } = this.writers;
    storage.reach(`fold.${step}.before`);
    fileSystem.sync();
    storage.reach(`fold.${step}.after`);
    // A symbolic link, or a later mount, may lead to another file system.
    for (const writer of writers) if (writer.device !== fileSystem.device) sync(writer);
  }

  /** Fold, step 7. */
  #recycle(): { readonly recycled: number; readonly deferred: number } {
    let recycled = 0;
    let deferred = 0;
    // One by one: if a log cannot be recycled, `releaseLogs` still finds it and the others.
    for (let log; (log = this.#logs[0]) !== undefined; this.#logs.shift()) {
      if (this.#blocked.has(log.slot)) {
        this.quarantine.addBlockedLog(log.slot);
        log.release();
      } else if (this.#deferred.has(log.slot)) {
        log.release();
        deferred++;
      } else {
        assert(
          (this.#unsynced.get(log.slot) ?? 0) === 0,
          "A log is recycled only after sync B of every keyspace that it names",
        );
        this.quarantine.removeLog(log.slot);
        log.recycle();
        recycled++;
      }
    }
    return { recycled, deferred };
  }

  /**
   * Releases the logs of an aborted fold, sealed as they were. If the system refuses to correct a label, the
   * other logs are released all the same, and the error that aborted the fold is kept. The process that
   * takes the log next corrects its label.
   */
  releaseLogs(): void {
    for (const log of this.#logs.splice(0)) {
      try {
        log.release();
      } catch (error) {
        if (!(error instanceof OsError)) throw error;
      }
    }
  }
}

/** Whether a keyspace has applied one of these logs: only if its file was replaced during the fold. */
function hasAny(writer: KeyspaceWriter, generations: Map<number, bigint>): boolean {
  for (const [slot, generation] of generations) {
    if (writer.applied(slot) >= generation) return true;
  }
  return false;
}
