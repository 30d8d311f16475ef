/**
 * The log as others see it: the seam for whoever replicates. Entries are appended with their terms,
 * replaced where another leader knows better, and reach the map only when they are committed.
 */

import { UsageError } from "../../base/errors.ts";
import { type Entry, type EntryInput, requireEntry } from "../format/entry.ts";
import type { Journal } from "./journal.ts";
import type { Owner } from "./owner.ts";

/** Entries that an iteration reads ahead. */
const ENTRIES_AHEAD = 256;

/** The entries of a log, read from the file when they are asked for. */
export class EntryList implements Iterable<Entry> {
  readonly #journal: Journal;

  constructor(journal: Journal) {
    this.#journal = journal;
  }

  get length(): number {
    return this.#journal.length;
  }

  /** The entry at an index, counted from the end where it is negative; undefined outside. */
  at(index: number): Entry | undefined {
    const number = index < 0 ? this.length + index : index;
    return this.slice(number, number + 1)[0];
  }

  /** The entries from … to (without). Throws `CorruptError` where the file is damaged. */
  slice(from = 0, to = this.length): Entry[] {
    if (from < 0 || from >= to) return [];
    return [...this.#journal.entries(from, to)];
  }

  /** The same one at a time, to be read in one go: not across an `await`. */
  range(from: number, to: number): Generator<Entry, void, void> {
    return this.#journal.entries(from, to);
  }

  /** May be left open while the log grows. */
  *[Symbol.iterator](): Generator<Entry, void, void> {
    for (let from = 0; from < this.length; from += ENTRIES_AHEAD) {
      yield* this.slice(from, Math.min(from + ENTRIES_AHEAD, this.length));
    }
  }
}

/** The log of a database. All calls go through the owner, in order with reads and writes. */
export class Log {
  readonly #owner: Owner;
  readonly #journal: Journal;
  /** What the log holds now, committed or not. */
  readonly entries: EntryList;

  constructor(owner: Owner, journal: Journal) {
    this.#owner = owner;
    this.#journal = journal;
    this.entries = new EntryList(journal);
  }

  /** Entries in the log. */
  get length(): number {
    return this.#journal.length;
  }

  /** Entries that are committed: they, and no others, are in the map. */
  get committed(): number {
    return this.#journal.committed;
  }

  /**
   * Adds one entry, uncommitted; resolves to its index, with `--sync always` when it is on the disk.
   * Throws `UsageError` for what is not text or not a term, `StorageFullError` where there is no space.
   */
  appendEntry(entry: EntryInput): Promise<number> {
    return this.appendEntries([entry]);
  }

  /** Adds several in one step: after a crash all are there, or none. Resolves to the first index. */
  async appendEntries(inputs: readonly EntryInput[]): Promise<number> {
    const entries = inputs.map(requireEntry);
    return await this.#owner.ask({ kind: "append", entries });
  }

  /**
   * Makes the log exactly these entries, in one step. What stands already stays, so only the
   * difference is written. The map keeps what was committed. Resolves to the new length.
   */
  async setEntries(inputs: readonly EntryInput[]): Promise<number> {
    const entries = inputs.map(requireEntry);
    return await this.#owner.ask({ kind: "set", entries });
  }

  /** As `setEntries`, for callers that know where the difference begins. */
  async replaceFrom(from: number, inputs: readonly EntryInput[]): Promise<number> {
    if (!Number.isSafeInteger(from) || from < 0) {
      throw new UsageError(`Invalid index ${from}: the first entry is 0`);
    }
    const entries = inputs.map(requireEntry);
    return await this.#owner.ask({ kind: "replace", from, entries });
  }

  /**
   * Commits the first `length` entries: those that were not, change the map now, in order. Resolves to
   * the committed length. Throws `UsageError` where the log is shorter.
   */
  async commit(length: number): Promise<number> {
    if (!Number.isSafeInteger(length) || length < 0) {
      throw new UsageError(`Invalid length ${length} of a commit`);
    }
    return await this.#owner.ask({ kind: "commit", length });
  }
}
