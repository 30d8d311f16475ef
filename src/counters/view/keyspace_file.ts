/**
 * The file of a keyspace, which need not exist yet: a keyspace that only the logs know gets its file from a
 * later fold. A file that was removed or replaced is closed, and the file that has its name now is opened, at the
 * first refresh after a log has changed, or after the names were compared.
 */

import { Buffer } from "node:buffer";
import { assert } from "../../base/assert.ts";
import { CorruptError } from "../../base/errors.ts";
import { hasCode, leadsTo, type Storage } from "../../file/mod.ts";
import { COPY_BYTES_MIN, keyspacePath, KeyspaceReader } from "../keyspace/mod.ts";
import type { KeyspaceFile } from "./keyspace_view.ts";
import type { BaseRanking } from "./ranking/base_ranking.ts";
import type { PageBudget } from "./page_budget.ts";
import type { RowBuffer } from "./ranking/row_buffer.ts";

/** Bytes a row that are reserved before a copy; longer rows reserve more. */
const ROW_BYTES_GUESS = 40;

export class StoredKeyspace implements KeyspaceFile {
  readonly #storage: Storage;
  readonly #name: Uint8Array;
  readonly #path: string;
  readonly #budget: PageBudget;
  #cacheBytes = 0;
  #reader: KeyspaceReader | null = null;
  #ranking: BaseRanking = emptyRanking;

  constructor(
    storage: Storage,
    directory: string,
    { name, budget }: { readonly name: Uint8Array; readonly budget: PageBudget },
  ) {
    this.#storage = storage;
    this.#name = name;
    this.#path = keyspacePath(directory, name);
    this.#budget = budget;
  }

  get ranking(): BaseRanking {
    return this.#ranking;
  }

  get exists(): boolean {
    return this.#reader !== null;
  }

  get isLost(): boolean {
    if (this.#reader !== null) return !leadsTo(this.#storage, this.#path, this.#reader.identity);
    return this.#storage.statusOrNull(this.#path) !== null;
  }

  refresh(): boolean {
    const isLost = this.#reader !== null && this.isLost;
    if (isLost) this[Symbol.dispose]();
    if (this.#reader !== null) return this.#reader.refresh();
    this.#reader = this.#openOrNull();
    if (this.#reader === null) return isLost;
    this.#ranking = new FileRanking(this.#reader);
    return true;
  }

  applied(slot: number): bigint {
    return this.#reader?.applied(slot) ?? 0n;
  }

  [Symbol.dispose](): void {
    if (this.#reader === null) return;
    this.#reader.close();
    this.#budget.release(this.#cacheBytes);
    this.#reader = null;
    this.#ranking = emptyRanking;
  }

  #openOrNull(): KeyspaceReader | null {
    const cacheBytes = this.#budget.take();
    let reader: KeyspaceReader;
    try {
      reader = KeyspaceReader.open(this.#storage, this.#path, { cacheBytes });
    } catch (error) {
      this.#budget.release(cacheBytes);
      if (hasCode(error, "ENOENT", "ENOTDIR")) return null;
      throw error;
    }
    this.#cacheBytes = cacheBytes;
    if (Buffer.compare(reader.name, this.#name) === 0) return reader;
    this.#budget.release(cacheBytes);
    reader.close();
    throw new CorruptError(`${this.#path} holds another keyspace: run countd check`, {
      path: this.#path,
      offset: 0,
    });
  }
}

/** A ranking without counters. */
const emptyRanking: BaseRanking = {
  total: 0,
  find: () => false,
  foundHigh: 0,
  foundLow: 0,
  rowsBefore: () => 0,
  copyRows: () => {},
};

class FileRanking implements BaseRanking {
  readonly #reader: KeyspaceReader;

  constructor(reader: KeyspaceReader) {
    this.#reader = reader;
  }

  get total(): number {
    return this.#reader.total;
  }

  get foundHigh(): number {
    return this.#reader.foundHigh;
  }

  get foundLow(): number {
    return this.#reader.foundLow;
  }

  find(key: DataView, start: number, end: number): boolean {
    return this.#reader.find(key, start, end);
  }

  rowsBefore(high: number, low: number, key: DataView, start: number, end: number): number {
    return this.#reader.rowsBefore(high, low, key, start, end);
  }

  copyRows(offset: number, length: number, out: RowBuffer): void {
    for (let copied = 0; copied < length;) {
      out.reserve(Math.max(COPY_BYTES_MIN, (length - copied) * ROW_BYTES_GUESS));
      const rows = this.#reader.copyRows(offset + copied, length - copied, out.bytes, out.length);
      assert(rows > 0, "Rows below the total are there");
      copied += rows;
      out.extend(this.#reader.copiedBytes);
    }
  }
}
