/**
 * One fold: sealed logs into keyspaces. Steps are those of the protocol.
 *
 *   2 lock and verify the logs, drop what a keyspace has already, sum per key
 *   3 new pages of every keyspace
 *   4 sync A
 *   5 the older meta page of each; new files get their names
 *   6 sync B, with the directory
 *   then recycle the logs that every keyspace they name has applied
 *
 * Invariants:
 *  1. A log's share is dropped per (keyspace, log) before anything is summed.
 *  2. A log is recycled only after sync B, and only when no keyspace that it names was left out.
 *  3. Whatever stops a fold, the keyspaces are as before or as after, each for itself.
 */

import { CorruptError } from "../base/errors.ts";
import {
  type DataDirectory,
  directoryLocks,
  isDiskFull,
  type LogIdentity,
  type SealedLog,
} from "../commitlog/mod.ts";
import type { Aggregator, KeyspaceBatch, KeyspaceWriter } from "../keyspace/mod.ts";
import { BadRecordError } from "../wire/mod.ts";
import { type KeyspaceWriters, nameKey } from "./keyspace_writers.ts";
import type { SetAside } from "./set_aside.ts";

/** From so many files on one sync of the file system is cheaper than a sync of each. */
const syncEachMax = 4;

export interface FoldResult {
  readonly recycled: number;
  readonly records: number;
  readonly keyspaces: number;
  readonly saturated: number;
}

/** Thrown where the disk is too full for a fold of this size; nothing has changed. */
export class FoldTooLargeError extends Error {
  override readonly name = "FoldTooLargeError";
}

interface Share {
  readonly keyspace: Uint8Array;
  readonly marks: Map<number, bigint>;
}

export class Fold {
  readonly #logs: SealedLog[] = [];
  /** By keyspace: the logs whose records are in the sums. */
  readonly #shares = new Map<string, Share>();
  /** Slots that name a keyspace which was left out. */
  readonly #blocked = new Set<number>();
  #records = 0;
  #saturated = 0;
  #taken = 0;

  constructor(
    readonly directory: DataDirectory,
    readonly writers: KeyspaceWriters,
    readonly aggregator: Aggregator,
    readonly aside: SetAside,
  ) {
    aggregator.clear();
  }

  get logCount(): number {
    return this.#logs.length;
  }

  /** Logs that were taken, also after the fold was given up. */
  get takenCount(): number {
    return this.#taken;
  }

  /**
   * Step 2 for one log, which this fold then owns. A damaged log is put back and set aside. Throws
   * `BadRecordError` where a frame that verifies holds no proper records: the sums are then worthless
   * and the fold must be given up.
   */
  add(log: SealedLog): void {
    const { storage } = this.directory;
    storage.reach("fold.2.before");
    try {
      this.#records += log.verify().records;
    } catch (error) {
      log.putBack();
      if (!(error instanceof CorruptError)) throw error;
      this.aside.addLog(log.slot, error);
      return;
    }
    this.#logs.push(log);
    this.#taken++;
    const accepts = (name: Uint8Array) => this.#accepts(name, log.identity);
    try {
      log.forEachBatch((bytes, start, end) => this.aggregator.add(bytes, start, end, accepts));
    } catch (error) {
      if (error instanceof BadRecordError) {
        const { path } = log.held;
        const damage = new CorruptError(`${path} holds no proper records: ${error.message}`, {
          path,
          offset: error.offset,
        });
        this.aside.addLog(log.slot, damage);
      }
      throw error;
    }
    storage.reach("fold.2.after");
  }

  /** Whether a keyspace still wants the records of a log. */
  #accepts(name: Uint8Array, { slot, generation }: LogIdentity): boolean {
    const key = nameKey(name);
    const share = this.#shares.get(key);
    if (share?.marks.get(slot) === generation) return true;
    if (this.aside.hasKeyspace(name)) {
      this.#blocked.add(slot);
      return false;
    }
    try {
      if (this.writers.get(name).applied(slot) >= generation) return false;
    } catch (error) {
      if (!(error instanceof CorruptError)) throw error;
      this.aside.addKeyspace(name, error);
      this.#blocked.add(slot);
      return false;
    }
    if (share !== undefined) share.marks.set(slot, generation);
    else this.#shares.set(key, { keyspace: name.slice(), marks: new Map([[slot, generation]]) });
    return true;
  }

  /**
   * Steps 3 to 6 and the recycling. Throws `FoldTooLargeError` where the disk is full, and what a sync
   * throws: then nobody may trust the page cache any more.
   */
  finish(): FoldResult {
    const written = this.#writePages();
    this.#syncAll(4, written, (writer) => writer.syncPages());
    const isNew = written.some((writer) => writer.isNew);
    for (const writer of written) writer.publish();
    this.#syncAll(6, written, (writer) => writer.syncMeta());
    if (isNew) this.directory.storage.syncDirectory(this.directory.paths.keyspaces);
    const recycled = this.#recycle();
    return {
      recycled,
      records: this.#records,
      keyspaces: written.length,
      saturated: this.#saturated,
    };
  }

  /** Step 3. */
  #writePages(): KeyspaceWriter[] {
    const pinned = this.directory.control.isHeldElsewhere(directoryLocks.pin);
    const batches = new Map(
      this.aggregator.batches().map((item): [string, KeyspaceBatch] => [
        nameKey(item.keyspace),
        item,
      ]),
    );
    const written: KeyspaceWriter[] = [];
    for (const [key, { keyspace, marks }] of this.#shares) {
      const batch = batches.get(key)?.batch;
      const writer = this.writers.get(keyspace);
      // Zero increments make no sums, but their logs are through with this keyspace all the same.
      if (batch === undefined) continue;
      try {
        this.#saturated += writer.apply(batch, marks, { pinned }).saturated;
        written.push(writer);
      } catch (error) {
        if (error instanceof CorruptError) {
          this.#leaveOut(keyspace, marks, error);
          continue;
        }
        this.#abandon([...written, writer]);
        if (!isDiskFull(error)) throw error;
        throw new FoldTooLargeError("No space for the pages of a fold", { cause: error });
      }
    }
    return written;
  }

  #leaveOut(keyspace: Uint8Array, marks: Map<number, bigint>, error: CorruptError): void {
    this.aside.addKeyspace(keyspace, error);
    this.writers.drop(keyspace);
    for (const slot of marks.keys()) this.#blocked.add(slot);
  }

  #abandon(writers: readonly KeyspaceWriter[]): void {
    for (const writer of writers) {
      if (writer.isNew) this.writers.drop(writer.name);
      else writer.abandon();
    }
  }

  #syncAll(
    step: 4 | 6,
    writers: readonly KeyspaceWriter[],
    sync: (writer: KeyspaceWriter) => void,
  ): void {
    if (writers.length <= syncEachMax) {
      for (const writer of writers) sync(writer);
      return;
    }
    const { storage, paths } = this.directory;
    storage.reach(`fold.${step}.before`);
    storage.syncFileSystem(paths.keyspaces);
    storage.reach(`fold.${step}.after`);
  }

  #recycle(): number {
    let recycled = 0;
    for (const log of this.#logs.splice(0)) {
      if (this.#blocked.has(log.slot)) {
        this.aside.addBlockedLog(log.slot);
        log.putBack();
      } else {
        this.aside.removeLog(log.slot);
        log.recycle();
        recycled++;
      }
    }
    return recycled;
  }

  /** Gives the logs back unfolded. */
  giveUp(): void {
    for (const log of this.#logs.splice(0)) log.putBack();
  }
}
