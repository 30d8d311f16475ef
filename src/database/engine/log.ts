/**
 * The public log: the interface for replication. Entries are appended with their terms, and may be
 * replaced when a newer leader contradicts them. They reach the map only when they are committed.
 */

import { UsageError } from "../../base/errors.ts";
import { type Entry, type EntryInput, requireEntry } from "../format/entry.ts";
import type { Journal } from "./journal.ts";
import type { Owner } from "./owner.ts";

/** How many entries an iteration reads ahead. */
const ENTRIES_AHEAD = 256;

/** The entries of a log. They are read from the file on each access. */
export class EntryList implements Iterable<Entry> {
  readonly #journal: Pick<Journal, "length" | "entries">;

  /** Made by `Log`; not for callers. */
  constructor(journal: Pick<Journal, "length" | "entries">) {
    this.#journal = journal;
  }

  /** Number of entries in the log, committed or not. */
  get length(): number {
    return this.#journal.length;
  }

  /**
   * The entry at an index. A negative index counts from the end; outside the log the answer is
   * undefined. Throws `CorruptError` if the file is damaged there.
   */
  at(index: number): Entry | undefined {
    const number = index < 0 ? this.length + index : index;
    return this.slice(number, number + 1)[0];
  }

  /**
   * The entries from index `from` up to, not including, index `to`. Throws `CorruptError` if the file
   * is damaged there.
   */
  slice(from = 0, to = this.length): Entry[] {
    if (from < 0 || from >= to) return [];
    return [...this.#journal.entries(from, to)];
  }

  /** Yields the entries of `slice` one at a time. It must not be kept across an `await`. */
  range(from: number, to: number): Generator<Entry, void, void> {
    return this.#journal.entries(from, to);
  }

  /** Yields all entries. The iteration may stay open while the log grows. */
  *[Symbol.iterator](): Generator<Entry, void, void> {
    for (let from = 0; from < this.length; from += ENTRIES_AHEAD) {
      yield* this.slice(from, Math.min(from + ENTRIES_AHEAD, this.length));
    }
  }
}

/** The log of a database. All calls are carried out in order with reads and writes of the database. */
export class Log {
  readonly #owner: Owner;
  readonly #journal: Journal;
  /** The present entries of the log, committed or not. */
  readonly entries: EntryList;

  /** Made by `Database`; not for callers. */
  constructor(owner: Owner, journal: Journal) {
    this.#owner = owner;
    this.#journal = journal;
    this.entries = new EntryList(journal);
  }

  /** Number of entries in the log. */
  get length(): number {
    return this.#journal.length;
  }

  /** Number of committed entries. Only these have changed the map. */
  get committed(): number {
    return this.#journal.committed;
  }

  /**
   * Appends one entry without committing it. Resolves to its index; with sync mode `always`, once the
   * entry is durable.
   *
   * @throws {UsageError} If the entry is not well-formed text, or its term is not exact.
   * @throws {StorageFullError} If the disk is full. Nothing was changed.
   * @throws {DatabaseBusyError} If too many requests wait, or the database is being closed.
   * @throws {DatabaseFailedError} After a failed sync.
   */
  appendEntry(entry: EntryInput): Promise<number> {
    return this.appendEntries([entry]);
  }

  /**
   * Appends several entries in one step: after a crash the log has all of them, or none. Resolves to
   * the index of the first. Errors as for `appendEntry`.
   */
  async appendEntries(inputs: readonly EntryInput[]): Promise<number> {
    const entries = inputs.map(requireEntry);
    return await this.#owner.ask({ kind: "append", entries });
  }

  /**
   * Replaces the whole log by these entries, in one step. A common beginning is kept, so only the
   * difference is written. The map keeps what was committed. Resolves to the new length. Errors as for
   * `appendEntry`.
   */
  async setEntries(inputs: readonly EntryInput[]): Promise<number> {
    const entries = inputs.map(requireEntry);
    return await this.#owner.ask({ kind: "set", entries });
  }

  /**
   * Replaces the entries from index `from` on, in one step. For callers that know where the difference
   * begins. Resolves to the new length. Errors as for `appendEntry`, and `UsageError` if `from` is
   * beyond the log.
   */
  async replaceFrom(from: number, inputs: readonly EntryInput[]): Promise<number> {
    if (!Number.isSafeInteger(from) || from < 0) {
      throw new UsageError(`Invalid index ${from}: the first entry is 0`);
    }
    const entries = inputs.map(requireEntry);
    return await this.#owner.ask({ kind: "replace", from, entries });
  }

  /**
   * Commits the first `length` entries. Those that were not committed change the map now, in order.
   * Resolves to the committed length, which never falls. Rejects with `UsageError` if the log is
   * shorter, and otherwise as `appendEntry`.
   */
  async commit(length: number): Promise<number> {
    if (!Number.isSafeInteger(length) || length < 0) {
      throw new UsageError(`Invalid length ${length} of a commit: give a whole number from 0 up`);
    }
    return await this.#owner.ask({ kind: "commit", length });
  }
}
