/**
 * Lists the keyspaces and how many counters each has, with what is not folded yet, a page at a time. The names in
 * the directory are kept from page to page. Every pending log is read for a page, and nothing of it is kept.
 */

import { Buffer } from "node:buffer";
import { byteText } from "../../base/byte_text.ts";
import type { Clock } from "../../base/clock.ts";
import { CorruptError } from "../../base/errors.ts";
import { type FormatError, isFormatError } from "../../base/format.ts";
import { concernsOneFile } from "../../file/mod.ts";
import { inTurns, type Steps } from "../../base/steps.ts";
import { type Capture, type DataDirectory, HEAD_PAGE_BYTES } from "../commitlog/mod.ts";
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
/** Keys that are added to others before others get a turn: about a millisecond. */
const ADDED_A_STEP = 4096;

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

/** What is in the logs, by name, and the names of the files, in order. */
interface Look {
  readonly pending: ReadonlyMap<string, Pending>;
  readonly stored: readonly string[];
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
  /** Ends with the look at the logs and the directory that is under way: they follow each other. */
  #lastLook: Promise<unknown> = Promise.resolve();

  constructor(sources: TotalsSources) {
    const { directory: { storage, paths }, clock } = sources;
    this.#sources = sources;
    this.#listing = new KeyspaceListing(storage, paths.keyspaces, clock);
  }

  /**
   * Keyspaces whose names follow `after`, at most `TOTALS_MAX`. Without a watch the files alone are read. Null if
   * the logs change more keys than may be held. Throws `CorruptError` and `FormatError` if a file hides names,
   * and what `LogWatch.refresh` throws.
   */
  async page(after: Uint8Array, watch: LogWatch | null): Promise<Totals | null> {
    const turns = { clock: this.#sources.clock, turnMs: TURN_MS };
    const look = this.#lastLook.then(() => inTurns(this.#look(watch), turns));
    this.#lastLook = look.catch(() => {});
    const found = await look;
    if (found === null) return null;
    const { pending, stored } = found;
    const unfolded = [...pending.values()].map(({ name }) => byteText(name)).sort();
    const added = unfolded.filter((name) => !hasText(stored, name));
    const page = namesAfter(byteText(after), stored, added);
    const rows = await inTurns(rowsOf(this.#sources, page, pending), turns);
    return { total: stored.length + added.length, rows };
  }

  /** The files after the logs, as in Refresh: a log that was folded in between is in the files. */
  *#look(watch: LogWatch | null): Steps<Look | null> {
    let pending: Look["pending"] | null | "lost" = new Map();
    if (watch !== null) {
      do pending = yield* readPending(watch, this.#sources.changedKeysMax); while (
        pending === "lost"
      );
    }
    return pending && { pending, stored: yield* this.#listing.refreshed() };
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
    rows.push({ name, ...yield* countersOf(sources, name, pending.get(mapKey(text))?.deltas) });
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

/**
 * What the logs hold now, by name. Null if they change more keys than may be held, "lost" if one of them was
 * closed before it was read. Throws what `LogWatch.refresh` throws.
 */
function* readPending(
  watch: LogWatch,
  changedKeysMax: number,
): Steps<Map<string, Pending> | null | "lost"> {
  watch.refresh();
  const { losses } = watch;
  const into = new Map<string, Pending>();
  let keys = 0;
  // Others may refresh the logs between the steps.
  const captured = watch.logs.filter(({ isPending }) => isPending)
    .map((watched) => ({ watched, capture: watched.capture! }));
  for (const { watched, capture } of captured) {
    const reading = readLog(watched, capture, changedKeysMax - keys);
    let read = reading.next();
    for (; !read.done; read = reading.next()) {
      yield;
      if (watch.losses !== losses) return "lost";
    }
    if (read.value === null) return null;
    for (const { name, sums } of read.value) {
      const key = nameKey(name);
      let entry = into.get(key);
      if (entry === undefined) into.set(key, entry = { name, deltas: new Map() });
      entry.deltas.set(watched.slot, { generation: capture.generation, sums });
      keys += sums.count;
    }
  }
  return into;
}

type SumsOfLog = readonly { readonly name: Uint8Array; readonly sums: KeySums }[];

/** Everything that one log holds; nothing if it is in another use by now. Null if it has too many keys. */
function* readLog(
  watched: WatchedLog,
  capture: Capture,
  keysMax: number,
): Generator<void, SumsOfLog | null, void> {
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
    yield;
  }
  return [...found.values()];
}

function* countersOf(
  { directory, block, budget }: TotalsSources,
  name: Uint8Array,
  deltas: Pending["deltas"] | undefined,
): Steps<Omit<KeyspaceTotal, "name">> {
  const { storage, paths } = directory;
  try {
    if (deltas === undefined) {
      const head = keyspaceHead(storage, keyspacePath(paths.keyspaces, name));
      const isForeign = head !== null && Buffer.compare(head.name, name) !== 0;
      return { counters: isForeign ? null : head?.counters ?? 0 };
    }
    using file = new StoredKeyspace(storage, paths.keyspaces, { name, budget });
    return { counters: yield* changedCounters(file, block, deltas) };
  } catch (error) {
    if (isFormatError(error)) return { counters: null, otherFormat: error };
    const isOfOne = error instanceof CorruptError || concernsOneFile(error, "keyspace");
    if (isOfOne) return { counters: null };
    throw error;
  }
}

function* changedCounters(
  file: StoredKeyspace,
  block: RowBuffer,
  deltas: Pending["deltas"],
): Steps<number> {
  while (true) {
    try {
      file.refresh();
      const overlay = new Overlay(file.ranking, block);
      for (const [slot, { generation, sums }] of deltas) {
        if (file.applied(slot) >= generation) continue;
        for (let from = 0; from < sums.count; from += ADDED_A_STEP) {
          overlay.addAll(sums, from, from + ADDED_A_STEP);
          yield;
        }
      }
      while (!overlay.lookUpSome()) yield;
      return overlay.total();
    } catch (error) {
      if (!(error instanceof SnapshotLostError)) throw error;
    }
  }
}

function nameKey(name: Uint8Array): string {
  return mapKey(byteText(name));
}
