/** A directory of keyspaces for tests, with a short fold: records, aggregator, all steps. */

import { assertEquals } from "@std/assert";
import { type Storage, systemStorage } from "../../../src/file/mod.ts";
import {
  Aggregator,
  checkKeyspaces,
  keyspacePath,
  KeyspaceReader,
  KeyspaceWriter,
} from "../../../src/counters/keyspace/mod.ts";
import {
  encodeCounter,
  encodeDefinition,
  RECORD_BYTES_MAX,
} from "../../../src/counters/wire/mod.ts";

export type Increment = readonly [
  keyspace: string | Uint8Array,
  key: string | Uint8Array,
  increment: bigint,
];

export function nameBytes(name: string | Uint8Array): Uint8Array {
  return typeof name === "string" ? new TextEncoder().encode(name) : name;
}

/** One record batch, as in a frame of a commit log. */
export function recordBatch(increments: readonly Increment[]): Uint8Array {
  const bytes = new Uint8Array((increments.length * 2 + 1) * RECORD_BYTES_MAX);
  const numbers = new Map<string, number>();
  let at = 0;
  for (const [keyspace, key, increment] of increments) {
    const name = nameBytes(keyspace);
    const text = String(name);
    let number = numbers.get(text);
    if (number === undefined) {
      number = numbers.size;
      numbers.set(text, number);
      at = encodeDefinition(bytes, at, { number, name });
    }
    at = encodeCounter(bytes, at, { keyspace: number, key: nameBytes(key), increment });
  }
  return bytes.slice(0, at);
}

export class KeyspaceFixture {
  readonly storage: Storage;
  #generation = 0n;

  constructor(readonly directory: string, storage: Storage = systemStorage()) {
    this.storage = storage;
  }

  /** Folds increments as one log; every fold is a new generation of slot 0. */
  fold(...increments: Increment[]): void {
    const aggregator = new Aggregator();
    const bytes = recordBatch(increments);
    aggregator.add(bytes, 0, bytes.length, () => true);
    const generations = new Map([[0, ++this.#generation]]);
    for (const { keyspace, batch } of aggregator.takeBatches()) {
      using writer = KeyspaceWriter.open(this.storage, this.directory, keyspace, {
        pageSize: 1024,
      });
      writer.apply(batch, generations);
      writer.syncPages();
      writer.publish();
      writer.syncMeta();
    }
  }

  reader(keyspace: string | Uint8Array): KeyspaceReader {
    return KeyspaceReader.open(this.storage, keyspacePath(this.directory, nameBytes(keyspace)));
  }

  /** Rows of a keyspace in rank order, as `key count`. */
  rows(keyspace: string | Uint8Array, offset = 0, length = 65536): string[] {
    using reader = this.reader(keyspace);
    return rowTexts(reader.page(offset, length).bytes);
  }

  assertSound(): void {
    assertEquals(checkKeyspaces(this.storage, this.directory), []);
  }
}

export function rowTexts(bytes: Uint8Array): string[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const rows: string[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = at + 10 + view.getUint16(at + 8, true);
    const key = new TextDecoder().decode(bytes.subarray(at + 10, end));
    rows.push(`${key} ${view.getBigInt64(at, true)}`);
    at = end;
  }
  return rows;
}
