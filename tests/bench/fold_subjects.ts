/** The same counters in countd's keyspace file and in SQLite, to be folded into. */

import { systemStorage } from "../../src/file/mod.ts";
import { Aggregator, KeyspaceWriter } from "../../src/counters/keyspace/mod.ts";
import { DatabaseSync } from "node:sqlite";
import { KEY_BYTES, KEYSPACE, recordBatches, writeKey } from "./fold_workload.ts";

type Next = () => { readonly key: number; readonly increment: number };

/** Counters that are brought in at a time while a subject is filled. */
const LOAD_COUNTERS = 2_000_000;
/** Increments in one transaction of SQLite. */
const TRANSACTION_INCREMENTS = 10_000;

/** A keyspace with a writer and what feeds it: a fold without the logs. */
export class CountdSubject implements Disposable {
  readonly writer: KeyspaceWriter;
  readonly #aggregator = new Aggregator();
  #generation = 0n;

  constructor(directory: string, counters: number) {
    this.writer = KeyspaceWriter.open(systemStorage(), directory, KEYSPACE);
    for (let from = 0; from < counters; from += LOAD_COUNTERS) {
      const count = Math.min(LOAD_COUNTERS, counters - from);
      const pick = (index: number) => ({ key: from + index, increment: 1 });
      this.fold(recordBatches(count, pick));
    }
  }

  get path(): string {
    return this.writer.path;
  }

  get bytesOnDisk(): number {
    return systemStorage().status(this.path).allocatedBytes;
  }

  /** Sums a backlog, merges it and syncs twice: all work of a worker except reading the logs. */
  fold(backlog: readonly Uint8Array[], atPeak: () => void = () => {}): void {
    const { writer } = this;
    for (const bytes of backlog) this.#aggregator.add(bytes, 0, bytes.length, () => true);
    for (const { batch } of this.#aggregator.takeBatches()) {
      writer.apply(batch, new Map([[0, ++this.#generation]]));
      atPeak();
      writer.syncPages();
      writer.publish();
      writer.syncMeta();
    }
    this.#aggregator.clear();
  }

  [Symbol.dispose](): void {
    this.writer.close();
  }
}

/** A table with an index by rank, upserted one increment at a time, 10,000 in a transaction. */
export class SqliteSubject implements Disposable {
  readonly #database: DatabaseSync;

  constructor(path: string, counters: number) {
    this.#database = new DatabaseSync(path);
    this.#database.exec(`
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = NORMAL;
      PRAGMA cache_size = -262144;
      CREATE TABLE counters (key BLOB PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    `);
    this.#inTransactions(counters, counters, () => {
      let key = 0;
      return () => ({ key: key++, increment: 1 });
    });
    this.#database.exec("CREATE INDEX by_rank ON counters (value DESC, key)");
  }

  add(count: number, next: Next): void {
    this.#inTransactions(count, TRANSACTION_INCREMENTS, () => next);
  }

  #inTransactions(count: number, each: number, start: () => Next): void {
    const upsert = this.#database.prepare(`
      INSERT INTO counters VALUES (?, ?)
      ON CONFLICT (key) DO UPDATE SET value = value + excluded.value
    `);
    const next = start();
    const name = new Uint8Array(KEY_BYTES);
    for (let done = 0; done < count;) {
      this.#database.exec("BEGIN");
      for (const end = Math.min(count, done + each); done < end; done++) {
        const { key, increment } = next();
        writeKey(key, name, 0);
        upsert.run(name, increment);
      }
      this.#database.exec("COMMIT");
    }
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }
}
