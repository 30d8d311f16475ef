/**
 * The logs of one fold, and what becomes of each: recycled, if every keyspace that it names has applied it
 * durably, or released, sealed as it was.
 */

import { assert } from "../../base/assert.ts";
import type { LogIdentity, SealedLog } from "../commitlog/mod.ts";
import { OsError, type Storage } from "../../file/mod.ts";
import type { Quarantine } from "./quarantine.ts";

/** Some of the logs: those whose records of one keyspace are in the sums. Most keyspaces share a few sets. */
export class LogSet {
  readonly #larger = new Map<string, LogSet>();

  private constructor(readonly generations: ReadonlyMap<number, bigint>) {}

  get size(): number {
    return this.generations.size;
  }

  has({ slot, generation }: LogIdentity): boolean {
    return this.generations.get(slot) === generation;
  }

  /** An empty set of a fold. Larger sets are found from it, and forgotten with it. */
  static none(): LogSet {
    return new LogSet(new Map());
  }

  /** This set and one log more: the same object each time. */
  with({ slot, generation }: LogIdentity): LogSet {
    const key = `${slot} ${generation}`;
    let larger = this.#larger.get(key);
    if (larger === undefined) {
      larger = new LogSet(new Map([...this.generations, [slot, generation]]));
      this.#larger.set(key, larger);
    }
    return larger;
  }
}

export class FoldLogs {
  readonly #logs: SealedLog[] = [];
  /** Slots that name a keyspace which was left out. */
  readonly #blocked = new Set<number>();
  /** Slots that the next fold takes again. */
  readonly #deferred = new Set<number>();
  /** By slot, how many keyspaces have records of its log that are not on disk by sync B yet. */
  readonly #unsynced = new Map<number, number>();
  #areDurable = false;
  #taken = 0;

  get count(): number {
    return this.#logs.length;
  }

  /** Logs that were taken, also after `release`. */
  get takenCount(): number {
    return this.#taken;
  }

  /** Bytes in the log that was added last. */
  get lastLength(): number {
    return this.#logs.at(-1)?.length ?? 0;
  }

  add(log: SealedLog): void {
    this.#logs.push(log);
    this.#taken++;
  }

  /** For logs that wait for a keyspace in quarantine. */
  block(slots: Iterable<number>): void {
    for (const slot of slots) this.#blocked.add(slot);
  }

  /** Leaves logs to the next fold, which reads the applied generations of the files that are there then. */
  defer(slots: Iterable<number>): void {
    for (const slot of slots) this.#deferred.add(slot);
  }

  /** Defers every log of which not all is on disk: the fold stops here. */
  deferUnsynced(): void {
    for (const [slot, keyspaces] of this.#unsynced) if (keyspaces > 0) this.#deferred.add(slot);
  }

  /** Notes that one keyspace has records of this log in the sums. */
  noteSummed(slot: number): void {
    this.#unsynced.set(slot, (this.#unsynced.get(slot) ?? 0) + 1);
  }

  /** Notes that one keyspace has nothing of these logs any more that is not on disk. */
  noteSynced(slots: Iterable<number>): void {
    for (const slot of slots) this.#unsynced.set(slot, (this.#unsynced.get(slot) ?? 0) - 1);
  }

  /**
   * Fold, step 4, for the logs that their headers do not call durable to their end. A power cut must not take
   * the frames of a log that a keyspace on disk has applied: they may come again, in another log.
   */
  sync(storage: Storage): void {
    if (this.#areDurable) return;
    storage.reach("fold.4.logs.before");
    for (const { held, durable, length } of this.#logs) {
      if (durable < length) held.file.syncData();
    }
    storage.reach("fold.4.logs.after");
    this.#areDurable = true;
  }

  /** Fold, step 7. */
  recycle(quarantine: Quarantine): { readonly recycled: number; readonly deferred: number } {
    let recycled = 0;
    let deferred = 0;
    // One by one: if a log cannot be recycled, `release` still finds it and the others.
    for (let log; (log = this.#logs[0]) !== undefined; this.#logs.shift()) {
      if (this.#blocked.has(log.slot)) {
        quarantine.addBlockedLog(log.slot);
        log.release();
      } else if (this.#deferred.has(log.slot)) {
        log.release();
        deferred++;
      } else {
        assert(
          (this.#unsynced.get(log.slot) ?? 0) === 0,
          "A log is recycled only after sync B of every keyspace that it names",
        );
        quarantine.removeLog(log.slot);
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
  release(): void {
    for (const log of this.#logs.splice(0)) {
      try {
        log.release();
      } catch (error) {
        if (!(error instanceof OsError)) throw error;
      }
    }
  }
}
