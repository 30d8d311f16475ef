/**
 * Lists the keyspaces and how many counters each has, with what is not folded yet, a page at a time. The names in
 * the directory are kept from page to page. Every pending log is read for a page, and nothing of it is kept.
 */

import { Buffer } from "node:buffer";
import type { Clock } from "../../base/clock.ts";
import { CorruptError } from "../../base/errors.ts";
import { type FormatError, isFormatError } from "../../base/format.ts";
import { concernsOneFile } from "../../file/mod.ts";
import { inTurns, type Steps } from "../../base/steps.ts";
import { type DataDirectory, HEAD_PAGE_BYTES } from "../commitlog/mod.ts";
import { mapKey } from "../../base/map_key.ts";
import { keyspaceHead, KeyspaceListing, keyspacePath, SnapshotLostError } from "../keyspace/mod.ts";
import { StoredKeyspace } from "./keyspace_file.ts";
import { KeySums } from "./ranking/key_sums.ts";
import type { LogWatch, WatchedLog } from "./deltas/log_watch.ts";
import { Overlay } from "./ranking/overlay.ts";
import type { PageBudget } from "./page_budget.ts";
import { RecordWalk } from "./deltas/record_walk.ts";
import type { RowBuffer } from "./ranking/row_buffer.ts";

/**
 * Rows of one answer; a caller that wants more asks again with the last name. Each opens a file, and a page
 * should take less than 20 ms.
 */
const TOTALS_MAX = 512;
/** Requests of others wait no longer than this for a part of a page. */
const TURN_MS = 4;

export interface KeyspaceTotal {
  readonly name: Uint8Array;
  /** Null if the keyspace's file is damaged, of another format, or cannot be opened. */
  readonly counters: number | null;
  /** Why `counters` is null, if that is another format; a server does not tell. */
  readonly otherFormat?: FormatError;
}

export interface TotalsSources {
  readonly directory: DataDirectory;
  readonly clock: Clock;
  readonly changedKeysMax: number;
  readonly block: RowBuffer;
  readonly budget: PageBudget;
}

/** What the logs hold of one keyspace, by slot. */
interface Pending {
  readonly name: Uint8Array;
  readonly deltas: Map<number, { readonly generation: bigint; readonly sums: KeySums }>;
}

/** A page of the list. */
export interface Totals {
  /** The number of all keyspaces. */
  readonly total: number;
  readonly rows: readonly KeyspaceTotal[];
}

export class KeyspaceList {
  readonly #sources: TotalsSources;
  readonly #listing: KeyspaceListing;
  /** Ends with the look at the directory that is under way: they follow each other. */
  #lastLook: Promise<unknown> = Promise.resolve();

  constructor(sources: TotalsSources) {
    const { directory: { storage, paths }, clock } = sources;
    this.#sources = sources;
    this.#listing = new KeyspaceListing(storage, paths.keyspaces, clock);
  }

  /**
   * Keyspaces whose names follow `after`, as of the last refresh of the logs, at most `TOTALS_MAX`. Without a
   * watch the files alone are read. Null if the logs change more keys than may be held. Throws `CorruptError`
   * and `FormatError` if a file hides names.
   */
  async page(after: Uint8Array, watch: LogWatch | null): Promise<Totals | null> {
    const pending = new Map<string, Pending>();
    const { changedKeysMax, clock } = this.#sources;
    if (watch !== null && !readPending(watch, changedKeysMax, pending)) return null;
    // The files after the logs, as in Refresh: a log that was folded in between is in the files.
    const turns = { clock, turnMs: TURN_MS };
    const look = this.#lastLook.then(() => inTurns(this.#listing.refreshed(), turns));
    this.#lastLook = look.catch(() => {});
    const stored = await look;
    const unfolded = [...pending.values()].map(({ name }) => textOf(name)).sort();
    const added = unfolded.filter((name) => !hasText(stored, name));
    const page = namesAfter(textOf(after), stored, added);
    const rows = await inTurns(rowsOf(this.#sources, page, pending), turns);
    return { total: stored.length + added.length, rows };
  }
}

/** The first names of two sorted lists that follow a name. */
function namesAfter(after: string, left: readonly string[], right: readonly string[]): string[] {
  const first = placeBehind(left, after);
  const second = placeBehind(right, after);
  const both = [
    ...left.slice(first, first + TOTALS_MAX),
    ...right.slice(second, second + TOTALS_MAX),
  ];
  // Characters are bytes, so this is the order of the bytes.
  return both.sort().slice(0, TOTALS_MAX);
}

function* rowsOf(
  sources: TotalsSources,
  names: readonly string[],
  pending: ReadonlyMap<string, Pending>,
): Steps<KeyspaceTotal[]> {
  const rows: KeyspaceTotal[] = [];
  for (const text of names) {
    const name = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
    rows.push({ name, ...countersOf(sources, name, pending.get(mapKey(text))?.deltas) });
    yield;
  }
  return rows;
}

/** The place of the first text behind `text` in a sorted list. */
function placeBehind(sorted: readonly string[], text: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle]! <= text) low = middle + 1;
    else high = middle;
  }
  return low;
}

function hasText(sorted: readonly string[], text: string): boolean {
  return sorted[placeBehind(sorted, text) - 1] === text;
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
  try {
    if (deltas === undefined) {
      const head = keyspaceHead(storage, keyspacePath(paths.keyspaces, name));
      const isForeign = head !== null && Buffer.compare(head.name, name) !== 0;
      return { counters: isForeign ? null : head?.counters ?? 0 };
    }
    using file = new StoredKeyspace(storage, paths.keyspaces, { name, budget });
    return { counters: changedCounters(file, block, deltas) };
  } catch (error) {
    if (isFormatError(error)) return { counters: null, otherFormat: error };
    const isOfOne = error instanceof CorruptError || concernsOneFile(error, "keyspace");
    if (isOfOne) return { counters: null };
    throw error;
  }
}

function changedCounters(
  file: StoredKeyspace,
  block: RowBuffer,
  deltas: Pending["deltas"],
): number {
  while (true) {
    try {
      file.refresh();
      const overlay = new Overlay(file.ranking, block);
      for (const [slot, { generation, sums }] of deltas) {
        if (file.applied(slot) < generation) overlay.addAll(sums);
      }
      return overlay.total();
    } catch (error) {
      if (!(error instanceof SnapshotLostError)) throw error;
    }
  }
}

/** A name with one character for each byte. */
function textOf(name: Uint8Array): string {
  return String.fromCharCode(...name);
}

function nameKey(name: Uint8Array): string {
  return mapKey(textOf(name));
}
