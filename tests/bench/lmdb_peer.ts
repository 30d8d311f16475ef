/**
 * The same counters in LMDB, in a process of its own: `lmdb_peer.ts DIRECTORY COUNTERS INCREMENTS`, where
 * DIRECTORY has the npm package. Fills the database; then for each line on stdin it adds INCREMENTS by
 * Zipf's law and prints how many microseconds that took.
 */

import { createRequire } from "node:module";
import { drawFrom, increments, KEY_BYTES, writeKey } from "./fold_workload.ts";

type Next = () => { readonly key: number; readonly increment: number };

const TRANSACTION_INCREMENTS = 10_000;

/** What we use of the npm package `lmdb`. */
interface LmdbDatabase {
  get(key: Uint8Array): Uint8Array | undefined;
  putSync(key: Uint8Array, value: Uint8Array): void;
  removeSync(key: Uint8Array): void;
  transactionSync(body: () => void): void;
  openDB(name: string, options: object): LmdbDatabase;
  close(): Promise<void>;
}

/** Two trees, by key and by rank, kept in step in transactions of 10,000. */
class LmdbSubject {
  readonly #root: LmdbDatabase;
  readonly #byKey: LmdbDatabase;
  readonly #byRank: LmdbDatabase;
  readonly #name = new Uint8Array(KEY_BYTES);
  readonly #place = new Uint8Array(8 + KEY_BYTES);
  readonly #placeView = new DataView(this.#place.buffer);
  readonly #nothing = new Uint8Array(0);

  constructor(root: LmdbDatabase) {
    const options = { keyEncoding: "binary", encoding: "binary" };
    this.#root = root;
    this.#byKey = root.openDB("key", options);
    this.#byRank = root.openDB("rank", options);
  }

  add(count: number, next: Next): void {
    for (let done = 0; done < count;) {
      const end = Math.min(count, done + TRANSACTION_INCREMENTS);
      this.#root.transactionSync(() => {
        for (; done < end; done++) this.#addOne(next());
      });
    }
  }

  #addOne({ key, increment }: { readonly key: number; readonly increment: number }): void {
    writeKey(key, this.#name, 0);
    const stored = this.#byKey.get(this.#name);
    let value = BigInt(increment);
    if (stored !== undefined) {
      const old = new DataView(stored.buffer, stored.byteOffset, 8).getBigInt64(0);
      this.#byRank.removeSync(this.#placeOf(old));
      value += old;
    }
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigInt64(0, value);
    this.#byKey.putSync(this.#name, bytes);
    this.#byRank.putSync(this.#placeOf(value), this.#nothing);
  }

  /** Counts are positive here: the key holds their complement, so that the greatest sorts first. */
  #placeOf(value: bigint): Uint8Array {
    this.#placeView.setBigInt64(0, 2n ** 62n - value);
    this.#place.set(this.#name, 8);
    return this.#place;
  }

  close(): Promise<void> {
    return this.#root.close();
  }
}

async function main(directory: string, counters: number, count: number): Promise<void> {
  const { open } = createRequire(`${directory}/package.json`)("lmdb");
  const subject = new LmdbSubject(open({ path: `${directory}/data`, mapSize: 2 ** 34 }));
  let key = 0;
  subject.add(counters, () => ({ key: key++, increment: 1 }));
  console.log("ready");
  const next = increments(drawFrom("zipf", counters), 11);
  const into = new Uint8Array(64);
  while (await Deno.stdin.read(into) !== null) {
    const start = performance.now();
    subject.add(count, next);
    console.log((performance.now() - start) * 1000);
  }
  await subject.close();
}

if (import.meta.main) {
  await main(Deno.args[0] as string, Number(Deno.args[1]), Number(Deno.args[2]));
}
