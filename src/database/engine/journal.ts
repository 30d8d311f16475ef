/**
 * The log as a list of entries: the meaning of its frames, and the number of committed entries.
 *
 * Invariants:
 *   1  committed ≤ entries
 *   2  replaying the stored frames in order gives the same entries, commits and map
 */

import { assert } from "../../base/assert.ts";
import type { CorruptError } from "../../base/errors.ts";
import { type Entry, SET_COMMAND } from "../format/entry.ts";
import { type EntryBlocks, EntryIndex } from "./entry_index.ts";
import { damaged } from "./errors.ts";
import { EntryCursor } from "../format/frame.ts";
import { frameKinds } from "../format/layout.ts";
import { LogSums, type Sums } from "../files/log_sums.ts";
import type { LogFile } from "../files/log_file.ts";
import type { ValueMap } from "./value_map.ts";

/** The meaning of all frames before an offset. */
export interface JournalState {
  readonly blocks: EntryBlocks;
  readonly sums: Sums;
  readonly committed: number;
}

/** Replays the frames of a log (entries, truncations and commits) from bytes in memory. */
export class JournalReplay {
  readonly index: EntryIndex;
  readonly sums: LogSums;
  committed: number;
  readonly #bytes: Uint8Array;
  readonly #seed: number;
  readonly #path: string;

  constructor(
    bytes: Uint8Array,
    source: { readonly seed: number; readonly path: string },
    state: Partial<JournalState> = {},
  ) {
    this.#bytes = bytes;
    this.#seed = source.seed;
    this.#path = source.path;
    this.index = new EntryIndex(state.blocks);
    this.sums = new LogSums(source.seed, state.sums);
    this.committed = state.committed ?? 0;
  }

  /** Replays one frame of a whole step, and passes each entry that it commits to `apply`. */
  take(frame: EntryCursor, apply: (entry: Entry) => void): void {
    if (frame.kind === frameKinds.entry) {
      if (frame.index !== this.index.length) throw this.#broken(frame, "skips an entry");
      this.index.add(frame.offset);
    } else if (frame.kind === frameKinds.truncation) {
      if (frame.index > this.index.length) {
        throw this.#broken(frame, "truncates beyond the end of the log");
      }
      this.index.truncate(frame.index);
      this.committed = Math.min(this.committed, frame.index);
    } else if (frame.index !== this.index.length) {
      throw this.#broken(frame, "names another length of the log");
    }
    if (frame.committed < this.committed || frame.committed > this.index.length) {
      throw this.#broken(frame, "commits a length that is impossible there");
    }
    if (frame.committed > this.committed) this.#commit(frame, apply);
    if (!frame.continues) this.sums.advance(this.#bytes, frame.end);
  }

  #commit(frame: EntryCursor, apply: (entry: Entry) => void): void {
    const through = frame.committed;
    const isOnlyThis = frame.kind === frameKinds.entry && through === this.committed + 1 &&
      through === frame.index + 1;
    if (isOnlyThis) apply(frame.entry());
    else {
      const source = { bytes: this.#bytes, seed: this.#seed, path: this.#path };
      for (const entry of entriesBetween(this.index, source, [this.committed, through])) {
        apply(entry);
      }
    }
    this.committed = through;
  }

  #broken(frame: EntryCursor, what: string): CorruptError {
    return damaged(this.#path, frame.offset, `the frame ${what}`);
  }
}

/** Reads the entries from `from` up to, not including, `to` out of the log, one at a time. */
export function* entriesBetween(
  index: EntryIndex,
  source: { readonly bytes: Uint8Array; readonly seed: number; readonly path: string },
  [from, to]: readonly [number, number],
): Generator<Entry, void, void> {
  assert(from <= to && to <= index.length, "Entries are read inside the log");
  for (let next = from; next < to;) {
    const block = index.find(next);
    const end = Math.min(to, index.endOfBlock(next));
    const cursor = new EntryCursor(source.bytes, source.seed);
    let number = block.first;
    for (let offset = block.offset; number < end; offset = cursor.end) {
      if (!cursor.at(offset, source.bytes.length)) {
        throw damaged(source.path, offset, "the frame does not fit its checksum");
      }
      if (cursor.kind !== frameKinds.entry) continue;
      if (number >= next) yield cursor.entry();
      number++;
    }
    next = end;
  }
}

/** The live log: writes the frames that `JournalReplay` reads. */
export class Journal {
  readonly log: LogFile;
  readonly #index: EntryIndex;
  readonly #sums: LogSums;
  #committed: number;

  constructor(log: LogFile, state: { index: EntryIndex; sums: LogSums; committed: number }) {
    this.log = log;
    this.#index = state.index;
    this.#sums = state.sums;
    this.#committed = state.committed;
  }

  /** Entries in the log. */
  get length(): number {
    return this.#index.length;
  }

  get committed(): number {
    return this.#committed;
  }

  /** The entries from `from` up to, not including, `to`, which may be beyond the end. */
  entries(from: number, to: number): Generator<Entry, void, void> {
    const end = Math.min(to, this.length);
    const source = {
      bytes: this.log.bytes,
      seed: this.log.identity.seed,
      path: this.log.path,
    };
    return entriesBetween(this.#index, source, [Math.min(Math.max(0, from), end), end]);
  }

  /** Appends one entry; with `commits`, the same frame commits it and all entries before it. */
  append(entry: Entry, options: { readonly commits: boolean }): void {
    this.log.reserve([entry]);
    const committed = options.commits ? this.length + 1 : this.#committed;
    this.#store(entry, committed, false);
    this.#advance(committed);
  }

  /** Appends all entries in one step: after a crash the log has all of them, or none. */
  appendAll(entries: readonly Entry[]): void {
    this.log.reserve(entries);
    this.#storeAll(entries, this.#committed);
  }

  /** Replaces the entries from `length` on by others, in one step. */
  replace(length: number, entries: readonly Entry[]): void {
    assert(length <= this.length, "A replacement begins inside the log");
    if (length === this.length) return this.appendAll(entries);
    this.log.reserve([null, ...entries]);
    const committed = Math.min(this.#committed, length);
    const continues = entries.length > 0;
    this.log.append(null, { kind: frameKinds.truncation, index: length, committed, continues });
    this.#index.truncate(length);
    this.#storeAll(entries, committed);
  }

  /** Commits the entries before `length`. */
  commit(length: number): void {
    assert(length > this.#committed && length <= this.length, "A commit goes forward");
    this.log.reserve([null]);
    const step = { kind: frameKinds.commit, index: this.length, committed: length };
    this.log.append(null, { ...step, continues: false });
    this.#storeAll([], length);
  }

  /** Stores the entries that end a step. From then on `committed` entries are committed. */
  #storeAll(entries: readonly Entry[], committed: number): void {
    let left = entries.length;
    for (const entry of entries) this.#store(entry, committed, --left > 0);
    this.#advance(committed);
  }

  #store(entry: Entry, committed: number, continues: boolean): void {
    const step = { kind: frameKinds.entry, index: this.length, committed, continues };
    this.#index.add(this.log.append(entry, step));
  }

  /** The end of a step. */
  #advance(committed: number): void {
    this.#committed = committed;
    this.#sums.advance(this.log.mapped, this.log.tail);
  }

  /** A copy of the state of the log at its tail. */
  state(): JournalState & { readonly entries: number; readonly tail: number } {
    const blocks = this.#index.copy();
    return {
      blocks,
      sums: this.#sums.copy(),
      committed: this.#committed,
      entries: blocks.length,
      tail: this.log.tail,
    };
  }
}

/** Applies a committed entry to the map. */
export function applyEntry(map: ValueMap, entry: Entry): void {
  if (entry.command === SET_COMMAND) map.set(entry.key, entry.value);
}
