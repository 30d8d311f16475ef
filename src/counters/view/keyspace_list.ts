/**
 * Lists the keyspaces and how many counters each has, with what is not folded yet. The question is rare, so
 * every pending log is read for it and nothing is kept.
 */

import { Buffer } from "node:buffer";
import { CorruptError } from "../../base/errors.ts";
import { type FormatError, isFormatError } from "../../base/format.ts";
import { concernsOneFile } from "../../file/mod.ts";
import { type DataDirectory, HEAD_PAGE_BYTES } from "../commitlog/mod.ts";
import { mapKey } from "../../base/map_key.ts";
import { listKeyspaces, SnapshotLostError } from "../keyspace/mod.ts";
import { StoredKeyspace } from "./keyspace_file.ts";
import { KeySums } from "./ranking/key_sums.ts";
import type { LogWatch, WatchedLog } from "./deltas/log_watch.ts";
import { Overlay } from "./ranking/overlay.ts";
import type { PageBudget } from "./page_budget.ts";
import { RecordWalk } from "./deltas/record_walk.ts";
import type { RowBuffer } from "./ranking/row_buffer.ts";

/** Rows of one answer; a caller that wants more asks again with the last name. */
export const TOTALS_MAX = 1024;

export interface KeyspaceTotal {
  readonly name: Uint8Array;
  /** Null if the keyspace's file is damaged, of another format, or cannot be opened. */
  readonly counters: number | null;
  /** Why `counters` is null, if that is another format; a server does not tell. */
  readonly otherFormat?: FormatError;
}

export interface TotalsSources {
  readonly directory: DataDirectory;
  /** Null reads the files alone. */
  readonly watch: LogWatch | null;
  readonly changedKeysMax: number;
  readonly block: RowBuffer;
  readonly budget: PageBudget;
}

/** What the logs hold of one keyspace, by slot. */
interface Pending {
  readonly name: Uint8Array;
  readonly deltas: Map<number, { readonly generation: bigint; readonly sums: KeySums }>;
}

/**
 * Keyspaces whose names follow `after`, as of the last refresh of the logs, at most `TOTALS_MAX`; and the
 * number of all. Null if the logs change more keys than may be held. Throws `CorruptError` and `FormatError` if a
 * file hides names.
 */
export function listTotals(
  sources: TotalsSources,
  after: Uint8Array,
): { readonly total: number; readonly rows: readonly KeyspaceTotal[] } | null {
  const { storage, paths } = sources.directory;
  const pending = new Map<string, Pending>();
  const { watch, changedKeysMax } = sources;
  if (watch !== null && !readPending(watch, changedKeysMax, pending)) return null;
  // The files after the logs, as in Refresh: a log that was folded in between is in the files.
  const names = new Map(Array.from(pending, ([key, { name }]) => [key, name]));
  const refuse = (error: Error): never => {
    throw error;
  };
  for (const { name } of listKeyspaces(storage, paths.keyspaces, refuse)) {
    names.set(nameKey(name), name);
  }
  const sorted = [...names.values()].sort(Buffer.compare);
  const rows = sorted
    .filter((name) => Buffer.compare(name, after) > 0)
    .slice(0, TOTALS_MAX)
    .map((name) => {
      const deltas = pending.get(nameKey(name))?.deltas;
      return { name, ...countersOf(sources, name, deltas) };
    });
  return { total: sorted.length, rows };
}

/** False if the logs change more keys than may be held. */
function readPending(watch: LogWatch, changedKeysMax: number, into: Map<string, Pending>): boolean {
  let keys = 0;
  for (const watched of watch.logs) {
    if (!watched.isPending) continue;
    const found = readLog(watched, changedKeysMax - keys);
    if (found === null) return false;
    for (const { name, sums } of found) {
      const key = nameKey(name);
      let entry = into.get(key);
      if (entry === undefined) into.set(key, entry = { name, deltas: new Map() });
      entry.deltas.set(watched.slot, { generation: watched.capture!.generation, sums });
      keys += sums.count;
    }
  }
  return true;
}

/** Everything that one log holds; nothing if it is in another use by now. Null if it has too many keys. */
function readLog(
  watched: WatchedLog,
  keysMax: number,
): readonly { readonly name: Uint8Array; readonly sums: KeySums }[] | null {
  const capture = watched.capture!;
  const found = new Map<string, { name: Uint8Array; sums: KeySums }>();
  const walk = new RecordWalk((words, at, length) => {
    const name = new Uint8Array(words.buffer, words.byteOffset + at * 4, length).slice();
    const key = nameKey(name);
    let entry = found.get(key);
    if (entry === undefined) found.set(key, entry = { name, sums: new KeySums() });
    return entry.sums;
  });
  for (let from = HEAD_PAGE_BYTES; from < capture.limit;) {
    let brokenAt: number | null = null;
    const next = watched.readSome(capture, from, (words, start, end) => {
      if (!walk.batch(words, start, end)) brokenAt ??= start * 4;
    });
    if (!watched.isStill(capture)) return [];
    if (brokenAt !== null) throw watched.damage(brokenAt);
    if (next === from) {
      if (watched.log.isDamagedAt(capture, from)) throw watched.damage(from);
      break;
    }
    from = next;
    let keys = 0;
    for (const { sums } of found.values()) keys += sums.count;
    if (keys > keysMax) return null;
  }
  return [...found.values()];
}

function countersOf(
  { directory, block, budget }: TotalsSources,
  name: Uint8Array,
  deltas: Pending["deltas"] | undefined,
): Omit<KeyspaceTotal, "name"> {
  const { storage, paths } = directory;
  using file = new StoredKeyspace(storage, paths.keyspaces, { name, budget });
  while (true) {
    try {
      file.refresh();
      const overlay = new Overlay(file.ranking, block);
      for (const [slot, { generation, sums }] of deltas ?? []) {
        if (file.applied(slot) < generation) overlay.addAll(sums);
      }
      return { counters: overlay.total() };
    } catch (error) {
      if (isFormatError(error)) return { counters: null, otherFormat: error };
      if (error instanceof CorruptError || concernsOneFile(error, "keyspace")) {
        return { counters: null };
      }
      if (!(error instanceof SnapshotLostError)) throw error;
    }
  }
}

function nameKey(name: Uint8Array): string {
  return mapKey(String.fromCharCode(...name));
}
