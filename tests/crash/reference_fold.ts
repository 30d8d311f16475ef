/**
 * The shortest fold that is possible: the same protocol on the same logs, with a text file for a keyspace.
 * It is a second opinion on the logs alone, and the place to plant bugs of a fold.
 */

import { crc32 } from "node:zlib";
import { type DataDirectory, listSlots, SealedLog } from "../../src/counters/commitlog/mod.ts";
import { publishFile, type Storage } from "../../src/file/mod.ts";
import { RECORD_KIND_KEYSPACE, RecordCursor } from "../../src/counters/wire/mod.ts";
import type { Totals } from "./counter_oracle.ts";

export type FoldBug =
  | "applied generation in a second step"
  | "applied generation before the data"
  | "recycle before the keyspaces are durable"
  | "fold twice after a restart"
  | "count as a double"
  | "one applied generation for all keyspaces"
  | "zero slot accepted";

interface StoredKeyspace {
  counts: Map<string, bigint>;
  applied: Map<number, bigint>;
}

/** Directories in which this process has folded before: it has held the lease since then. */
const leased = new WeakSet<DataDirectory>();

const STORE = "/store";
const decoder = new TextDecoder();

/** Folds every sealed log, and after recovery the logs of dead writers. */
export function referenceFold(directory: DataDirectory, bug: FoldBug | null = null): void {
  const { storage, paths } = directory;
  if (storage.statusOrNull(STORE) === null) {
    storage.makeDirectory(STORE, 0o700);
    storage.syncDirectory("/");
  }
  if (!leased.has(directory)) {
    using fileSystem = storage.openFileSystem(paths.data);
    fileSystem.sync();
  }
  leased.add(directory);
  const logs: SealedLog[] = [];
  for (const slot of listSlots(storage, paths.logs).slots) {
    let taken = SealedLog.take(directory, slot);
    if (taken.kind === "recovered") taken = SealedLog.take(directory, slot);
    if (taken.kind === "sealed") logs.push(taken.log);
  }
  const keyspaces = new Map<string, StoredKeyspace>();
  for (const log of logs) addLog(storage, { log, keyspaces, bug });
  if (bug === "recycle before the keyspaces are durable") { for (const log of logs) log.recycle(); }
  for (const [name, keyspace] of keyspaces) {
    const applied = new Map(keyspace.applied);
    for (const { identity } of logs) applied.set(identity.slot, identity.generation);
    if (bug === "applied generation before the data") {
      store(storage, name, { counts: loadKeyspace(storage, name).counts, applied });
    }
    if (bug === "applied generation in a second step") {
      store(storage, name, { counts: keyspace.counts, applied: keyspace.applied });
    }
    store(storage, name, { counts: keyspace.counts, applied });
  }
  if (bug !== "recycle before the keyspaces are durable") { for (const log of logs) log.recycle(); }
}

function addLog(
  storage: Storage,
  { log, keyspaces, bug }: {
    log: SealedLog;
    keyspaces: Map<string, StoredKeyspace>;
    bug: FoldBug | null;
  },
): void {
  const scan = log.verify();
  const open = (name: string) => {
    let keyspace = keyspaces.get(name);
    if (!keyspace) keyspaces.set(name, keyspace = loadKeyspace(storage, name));
    return keyspace;
  };
  const { slot, generation } = log.identity;
  const isApplied = (keyspace: StoredKeyspace) => {
    if (bug === "fold twice after a restart") return false;
    if (bug !== "one applied generation for all keyspaces") {
      return (keyspace.applied.get(slot) ?? 0n) >= generation;
    }
    return storedNames(storage).some((name) =>
      (loadKeyspace(storage, name).applied.get(slot) ?? 0n) >= generation
    );
  };
  log.forEachBatch((bytes, start, end) => {
    const cursor = new RecordCursor(bytes, start, end);
    const names: StoredKeyspace[] = [];
    while (cursor.next()) {
      const name = decoder.decode(
        bytes.slice(cursor.nameStart, cursor.nameStart + cursor.nameLength),
      );
      if (cursor.kind === RECORD_KIND_KEYSPACE) {
        names.push(open(name));
        continue;
      }
      const keyspace = names[cursor.keyspace] as StoredKeyspace;
      if (isApplied(keyspace)) continue;
      const increment = (BigInt(cursor.incrementHigh) << 32n) |
        BigInt(cursor.incrementLow >>> 0);
      const sum = (keyspace.counts.get(name) ?? 0n) + increment;
      keyspace.counts.set(name, bug === "count as a double" ? BigInt(Number(sum)) : sum);
    }
  });
  if (bug === "zero slot accepted" && scan.tail < log.held.log.size) {
    // What lies behind the last frame is zeros, which a format without heads reads as "+0 to ''".
    for (const keyspace of keyspaces.values()) keyspace.counts.set("", 0n);
  }
}

/** All stored counters, without what logs still hold. */
export function referenceTotals(storage: Storage): Totals {
  return new Map(
    storedNames(storage).map((name) => [name, loadKeyspace(storage, name).counts]),
  );
}

function storedNames(storage: Storage): string[] {
  if (storage.statusOrNull(STORE) === null) return [];
  return storage.readDirectory(STORE).filter((name) => !name.endsWith(".new"));
}

function store(storage: Storage, name: string, keyspace: StoredKeyspace): void {
  const lines = [
    ...[...keyspace.applied].map(([slot, generation]) => `@${slot} ${generation}`),
    ...[...keyspace.counts].map(([key, count]) => `${key} ${count}`),
  ];
  const body = new TextEncoder().encode(lines.join("\n"));
  const path = `${STORE}/${name}`;
  const temporaryPath = `${path}.new`;
  using file = storage.open(temporaryPath, { access: "write", create: "missing" });
  file.truncate(0);
  const head = new Uint8Array(8);
  new DataView(head.buffer).setUint32(0, body.length, true);
  new DataView(head.buffer).setUint32(4, crc32(body), true);
  file.write(head, 0);
  if (body.length > 0) file.write(body, 8);
  storage.reach("reference.publish.before");
  publishFile(storage, file, { temporaryPath, path });
  storage.reach("reference.publish.after");
}

function loadKeyspace(storage: Storage, name: string): StoredKeyspace {
  const keyspace: StoredKeyspace = { counts: new Map(), applied: new Map() };
  const path = `${STORE}/${name}`;
  if (storage.statusOrNull(path) === null) return keyspace;
  using file = storage.open(path, { access: "read" });
  const bytes = new Uint8Array(file.status().size);
  file.read(bytes, 0);
  const view = new DataView(bytes.buffer);
  const body = bytes.subarray(8, 8 + view.getUint32(0, true));
  if (view.getUint32(4, true) !== crc32(body)) throw new Error(`${path} is damaged`);
  for (const line of decoder.decode(body).split("\n")) {
    const cut = line.lastIndexOf(" ");
    if (cut < 0) continue;
    const [key, value] = [line.slice(0, cut), BigInt(line.slice(cut + 1))];
    if (key.startsWith("@")) keyspace.applied.set(Number(key.slice(1)), value);
    else keyspace.counts.set(key, value);
  }
  return keyspace;
}
