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

import { CorruptError } from "../../base/errors.ts";
import { textOfMapKey } from "../../base/map_key.ts";
import { printableName } from "../../base/printable.ts";
import {
  type DataDirectory,
  directoryLocks,
  type LogIdentity,
  type SealedLog,
} from "../commitlog/mod.ts";
import { type Aggregator, keyspacePath } from "../keyspace/mod.ts";
import { BadRecordError } from "../wire/mod.ts";
import { FoldLogs, LogSet } from "./fold_logs.ts";
import { KeyspaceGroup } from "./keyspace_group.ts";
import { type KeyspaceWriters, nameKey } from "./keyspace_writers.ts";
import { isFailureOf, type Quarantine } from "./quarantine.ts";
import { inOneTurn, type Steps } from "../../base/steps.ts";

export interface FoldResult {
  readonly recycled: number;
  readonly records: number;
  readonly keyspaces: number;
  readonly saturated: number;
  /**
   * Logs that the next fold takes again: the file of a keyspace was removed or replaced, the fold was stopped,
   * or they name more keyspaces than it takes.
   */
  readonly deferred: number;
}

/** Thrown for a log that is in quarantine, and whose records are in part in the sums: the fold is void. */
export class LogUnusableError extends Error {
  override readonly name = "LogUnusableError";
}

/** What a fold knows of a keyspace. It is asked for its applied generations once. */
interface Known {
  /** Null if it does not exist. */
  readonly applied: Readonly<BigUint64Array> | null;
  /** The logs whose records for it are in the sums. */
  summed: LogSet;
  /** The logs that were left out because it has applied them already. */
  leftOut: LogSet;
}

export class Fold {
  readonly #logs = new FoldLogs();
  readonly #noLogs = LogSet.none();
  /** By the name of the keyspace. */
  readonly #known = new Map<string, Known>();
  /**
   * Keyspaces that were left out once are left out to the end of this fold. The quarantine of one may end
   * between two frames of a log. If the later frames were taken, the applied generation would cover the
   * records that were left out before, and these would never be counted.
   */
  readonly #refused = new Set<string>();
  /** Keyspaces with records in the sums. */
  #keyspaces = 0;
  #records = 0;

  constructor(
    readonly directory: DataDirectory,
    readonly writers: KeyspaceWriters,
    readonly aggregator: Aggregator,
    readonly quarantine: Quarantine,
  ) {
    aggregator.clear();
  }

  get logCount(): number {
    return this.#logs.count;
  }

  /** Bytes in the log that was added last. */
  get lastLength(): number {
    return this.#logs.lastLength;
  }

  /** Logs that were taken, also after `releaseLogs`. */
  get takenCount(): number {
    return this.#logs.takenCount;
  }

  /** `adding` in one turn. */
  add(log: SealedLog): void {
    inOneTurn(this.adding(log));
  }

  /** `applying` in one turn. */
  applyAndRecycle(): FoldResult {
    return inOneTurn(this.applying());
  }

  /**
   * Fold, step 2, for one log, which this fold then owns. A damaged log is released into quarantine. Throws
   * `LogUnusableError` if a frame that verifies holds bytes that are not records, or could be read only
   * once: the sums are then wrong, and the caller must abort the fold. So it must if it stops the steps: then this
   * returns true.
   */
  *adding(log: SealedLog): Steps<boolean> {
    const { storage } = this.directory;
    storage.reach("fold.2.before");
    try {
      this.#records += log.verify().records;
    } catch (error) {
      log.release();
      if (!(error instanceof CorruptError)) throw error;
      this.quarantine.addLog(log.slot, error);
      return false;
    }
    this.#logs.add(log);
    const accepts = (name: Uint8Array) => this.#accepts(name, log.identity);
    try {
      const frames = log.eachBatch((bytes, start, end, offset) => {
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
      for (const _frame of frames) if (yield) return true;
    } catch (error) {
      // A part of its records is in the sums, whatever keeps the rest from being read.
      if (!isFailureOf("log", error)) throw error;
      this.quarantine.addLog(log.slot, error);
      throw new LogUnusableError(error.message, { cause: error });
    }
    storage.reach("fold.2.after");
    return false;
  }

  /** Whether a keyspace has not applied a log and can take its records. */
  #accepts(name: Uint8Array, identity: LogIdentity): boolean {
    const key = nameKey(name);
    let known = this.#known.get(key);
    if (known?.summed.has(identity)) return true;
    const { slot } = identity;
    if (this.#refused.has(key) || this.quarantine.hasKeyspace(name)) return this.#refuse(key, slot);
    const isNew = known === undefined || known.summed.size === 0;
    if (isNew && this.#keyspaces >= this.aggregator.limits.keyspacesMax) {
      // Refused to the end of this fold, because the number never falls. The next fold leaves out what is applied.
      this.#logs.defer([slot]);
      return false;
    }
    try {
      if (known === undefined) {
        const applied = this.writers.generations(name);
        known = { applied, summed: this.#noLogs, leftOut: this.#noLogs };
        this.#known.set(key, known);
      }
      if (this.#hasApplied(name, known.applied, identity)) {
        known.leftOut = known.leftOut.with(identity);
        return false;
      }
    } catch (error) {
      if (!isFailureOf("keyspace", error)) throw error;
      this.quarantine.addKeyspace(name, error);
      return this.#refuse(key, slot);
    }
    this.#logs.noteSummed(slot);
    if (isNew) this.#keyspaces++;
    known.summed = known.summed.with(identity);
    return true;
  }

  /** Throws `CorruptError` if the keyspace has applied what the log does not hold yet. */
  #hasApplied(
    name: Uint8Array,
    generations: Readonly<BigUint64Array> | null,
    { slot, generation }: LogIdentity,
  ): boolean {
    const applied = generations?.[slot] ?? 0n;
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
    this.#logs.block([slot]);
    return false;
  }

  /**
   * Fold, steps 3 to 7. Steps 3 to 6 take a group of keyspaces at a time. If the steps are stopped, the other
   * keyspaces are left to the next fold. Throws `FoldTooLargeError` if the disk is full, and what a sync
   * throws: then the page cache cannot be trusted any more.
   */
  *applying(): Steps<FoldResult> {
    const { directory, writers, quarantine } = this;
    const group = new KeyspaceGroup({
      directory,
      writers,
      quarantine,
      logs: this.#logs,
      clock: quarantine.clock,
      pinned: directory.control.isHeldElsewhere(directoryLocks.pin),
    });
    let isStopped = false;
    for (const item of this.aggregator.takeBatches()) {
      const { applied, summed } = this.#known.get(nameKey(item.keyspace))!;
      group.write(item, { generations: summed.generations, isMissing: applied === null });
      if (!group.isFull) continue;
      group.publish();
      if ((isStopped = yield)) break;
    }
    if (isStopped) this.#logs.deferUnsynced();
    else group.publish();
    for (const [key, { leftOut, summed }] of this.#known) {
      if (leftOut.size === 0) continue;
      if (isStopped) this.#logs.defer(leftOut.generations.keys());
      else {
        const keyspace = bytesOfKey(key);
        const isRead = this.#deferUnapplied(keyspace, leftOut);
        // Nothing has to be written, and what was asked of it could be read.
        const isSound = isRead && summed.size === 0 && !this.#refused.has(key);
        if (isSound) quarantine.removeKeyspace(keyspace);
        isStopped = yield;
      }
    }
    const { recycled, deferred } = this.#logs.recycle(quarantine);
    const { published: keyspaces, saturated } = group;
    return { recycled, records: this.#records, keyspaces, saturated, deferred };
  }

  /** Defers logs that a keyspace had applied in a file that has lost its name since. False if it is damaged. */
  #deferUnapplied(keyspace: Uint8Array, leftOut: LogSet): boolean {
    const slots = leftOut.generations.keys();
    try {
      const applied = this.writers.generations(keyspace);
      for (const [slot, generation] of leftOut.generations) {
        if (!this.#hasApplied(keyspace, applied, { slot, generation })) this.#logs.defer([slot]);
      }
      return true;
    } catch (error) {
      if (!isFailureOf("keyspace", error)) throw error;
      this.quarantine.addKeyspace(keyspace, error);
      this.#logs.block(slots);
      return false;
    }
  }

  /** Releases the logs of an aborted fold, sealed as they were. */
  releaseLogs(): void {
    this.#logs.release();
  }
}

/** The name of which this is the `nameKey`. */
function bytesOfKey(key: string): Uint8Array {
  return Uint8Array.from(textOfMapKey(key), (letter) => letter.charCodeAt(0));
}
