/**
 * Reads a data directory while other processes write, fold and recycle in it: the views of the keyspaces
 * that are asked for, over one watch of the logs. It changes nothing.
 *
 * A caller calls `refresh` and then `ask` any number of times: all answers are as of that refresh.
 */

import { joinInt64 } from "../../base/int64.ts";
import { assert } from "../../base/assert.ts";
import { BusyError } from "../../base/errors.ts";
import type { Clock } from "../../base/clock.ts";
import type { Events } from "../../base/events.ts";
import { DataDirectory, describeSelf } from "../commitlog/mod.ts";
import type { Storage } from "../../file/mod.ts";
import { SnapshotLostError } from "../keyspace/mod.ts";
import { checkKey, checkKeyspaceName, decodeRows, REPLY_ROWS_MAX, type Row } from "../wire/mod.ts";
import { StoredKeyspace } from "./keyspace_file.ts";
import { KeyspaceList, type KeyspaceTotal, type Totals } from "./keyspace_list.ts";
import { KeyspaceView, NEEDS_FOLD, NEEDS_TIME } from "./keyspace_view.ts";
import { LogWatch } from "./deltas/log_watch.ts";
import type { Overlay } from "./ranking/overlay.ts";
import { PageBudget } from "./page_budget.ts";
import type { RefreshLimit } from "./refresh_limit.ts";
import type { RowCopy } from "./row_copy.ts";
import { RowBuffer } from "./ranking/row_buffer.ts";
import { ViewCache } from "./view_cache.ts";

/** Changed keys that a reader holds for one keyspace; beyond that it waits for a fold. */
export const CHANGED_KEYS_MAX = 200_000;
/**
 * Memory that the deltas of the logs may take for one keyspace. Eight logs of the default size always fit,
 * whatever they hold, and some sixteen if all change as many short keys as they can.
 */
const DELTA_BYTES_MAX = 128 * 1024 * 1024;
/** How long an answer waits for a fold before it is refused. */
export const FOLD_WAIT_MS = 10_000;

const FOLD_POLL_MS = 10;
/** How long the event loop may be held between two polls. */
const ASK_MS = 5;
/** How often a reader compares what it has open with the names, if it is asked. */
const NAMES_MS = 1000;
/** A snapshot is lost if two folds end during one answer, which does not happen often in a row. */
const SNAPSHOT_TRIES = 100;

export interface ReaderOptions {
  /** Answer from the keyspace files alone. */
  readonly stale: boolean;
  readonly clock: Clock;
  readonly events: Events;
  readonly changedKeysMax?: number;
  readonly deltaBytesMax?: number;
  readonly foldWaitMs?: number;
}

export interface AskOptions {
  /** Without one, the call works until the view is fresh, however long that takes. */
  readonly limit?: RefreshLimit;
  /** The number of the refresh that the answer must be as fresh as. Default: the last one. */
  readonly asOf?: number;
}

/**
 * The questions that a data directory and a server can answer. Each call sees every increment that was
 * accepted before it. Numbers of rows are exact below 2^53, values always.
 */
export interface CounterReader extends Disposable {
  /** Returns rows from `offset` on, possibly fewer than asked for; an unknown keyspace has the total 0. */
  page(
    keyspace: Uint8Array,
    range: { readonly offset: number; readonly length: number },
  ): Promise<{ readonly total: number; readonly rows: readonly Row[] }>;
  /** Returns null if the counter does not exist. */
  key(
    keyspace: Uint8Array,
    key: Uint8Array,
  ): Promise<{ readonly rank: number; readonly value: bigint } | null>;
  value(keyspace: Uint8Array, key: Uint8Array): Promise<bigint | null>;
  /** Returns some of the keyspaces behind a name, in byte order; an empty list at the end. */
  keyspaces(after: Uint8Array): Promise<readonly KeyspaceTotal[]>;
}

export class Reader implements CounterReader {
  readonly directory: DataDirectory;
  readonly #options: ReaderOptions;
  readonly #watch: LogWatch | null;
  readonly #views: ViewCache;
  readonly #list: KeyspaceList;
  readonly #budget = new PageBudget();
  /** Whether the directory was opened for this reader alone. */
  #isOwner = false;
  #refreshes = 0;
  #namesMs: number;
  readonly #block = new RowBuffer(16 * 1024, 1024 * 1024);

  /** Does not close the directory. */
  constructor(directory: DataDirectory, options: ReaderOptions) {
    this.directory = directory;
    this.#options = options;
    this.#namesMs = options.clock.nowMs();
    this.#watch = options.stale ? null : new LogWatch(directory, options.events);
    this.#views = new ViewCache((name) => this.#makeView(name));
    this.#list = new KeyspaceList({
      directory,
      clock: options.clock,
      changedKeysMax: options.changedKeysMax ?? CHANGED_KEYS_MAX,
      block: this.#block,
      budget: this.#budget,
    });
  }

  /** Opens a data directory, which is closed with the reader. Throws `NotFoundError` if it does not exist. */
  static open(storage: Storage, data: string, options: ReaderOptions): Reader {
    const directory = DataDirectory.open(storage, data, {
      self: describeSelf(storage),
      access: "read",
    });
    const reader = new Reader(directory, options);
    reader.#isOwner = true;
    return reader;
  }

  /**
   * Brings the captures of all logs up to date: later answers hold what was accepted before. Each second it also
   * compares what is open with its names. Files that were replaced are opened again. Throws `CorruptError` if the
   * directory was, or if a log that held increments is gone. Returns the number of this refresh.
   */
  refresh(): number {
    const nowMs = this.#options.clock.nowMs();
    if (nowMs - this.#namesMs >= NAMES_MS) {
      this.directory.refuseLost();
      this.directory.control.live.renew();
      this.#watch?.closeLost();
      this.#views.invalidateLost();
      // Not before: as long as the directory is lost, each refresh says so.
      this.#namesMs = nowMs;
    }
    this.#watch?.refresh();
    return ++this.#refreshes;
  }

  /** Opens the logs, with pauses: the first refresh of a pool with many logs would take long. */
  async prepare(): Promise<void> {
    await this.#watch?.prepare(this.#options.clock);
  }

  /** How often another keyspace was asked for than before: such an answer may read all logs. */
  get switches(): number {
    return this.#views.switches;
  }

  /**
   * Calls `question` with the ranking of a keyspace, as of the last `refresh`; again if the snapshot was
   * overwritten during the call. Returns `NEEDS_FOLD` if only `askAfterFold` helps, and `NEEDS_TIME` if the
   * limit is used up: then the same call goes on in a later turn of the event loop. Throws `CorruptError` for
   * a damaged file, or for a damaged log that may hold a delta of the keyspace.
   */
  ask<T>(
    name: Uint8Array,
    question: (ranking: Overlay) => T,
    { limit, asOf = this.#refreshes }: AskOptions = {},
  ): T | typeof NEEDS_FOLD | typeof NEEDS_TIME {
    const view = this.#views.get(name);
    for (let tries = 0; tries < SNAPSHOT_TRIES; tries++) {
      try {
        const result = view.refresh(limit, asOf, this.#refreshes);
        if (result === "fresh") return question(view.ranking);
        if (result === NEEDS_TIME) return result;
        // Nothing that the view still holds may be taken for fresh.
        view.invalidate();
        return NEEDS_FOLD;
      } catch (error) {
        // Also after damage: what was read of the file before cannot be trusted.
        view.invalidate();
        if (!(error instanceof SnapshotLostError)) throw error;
        this.refresh();
      }
    }
    throw new BusyError("Folds follow each other too fast to read a snapshot: try again");
  }

  /** As `ask`, begins to copy rows of a long page to `out`; see `RowCopy`. */
  copy(
    name: Uint8Array,
    range: { readonly offset: number; readonly length: number },
    { out, onGrown, ...options }: AskOptions & {
      readonly out: RowBuffer;
      readonly onGrown: () => void;
    },
  ): RowCopy | typeof NEEDS_FOLD | typeof NEEDS_TIME {
    return this.ask(name, () => this.#views.get(name).startCopy(range, out, onGrown), options);
  }

  /**
   * As `ask`, if the logs change more keys than may be held: waits until everything that they hold now is
   * folded, and then asks the file alone, or until so much is folded that the rest may be held. Throws
   * `BusyError` if that takes too long.
   */
  async askAfterFold<T>(name: Uint8Array, question: (ranking: Overlay) => T): Promise<T> {
    const { clock, foldWaitMs = FOLD_WAIT_MS } = this.#options;
    this.refresh();
    const pending = this.#views.get(name).pendingLogs();
    for (const endMs = clock.nowMs() + foldWaitMs; clock.nowMs() <= endMs;) {
      // Looked up each time: during the sleep the cache may have closed the view.
      const view = this.#views.get(name);
      try {
        const answer = view.isFolded(pending)
          ? question(view.ranking)
          : this.ask(name, question, { limit: limitOf(clock) });
        if (answer !== NEEDS_FOLD && answer !== NEEDS_TIME) return answer;
      } catch (error) {
        if (!(error instanceof SnapshotLostError)) throw error;
        view.invalidate();
      }
      await clock.sleep(FOLD_POLL_MS);
    }
    throw foldTooSlow();
  }

  /** `refresh`, and `ask` or `askAfterFold`. */
  async #askNow<T>(name: Uint8Array, question: (ranking: Overlay) => T): Promise<T> {
    this.refresh();
    const answer = this.ask(name, question);
    assert(answer !== NEEDS_TIME, "Without a limit the time is not used up");
    return answer === NEEDS_FOLD ? await this.askAfterFold(name, question) : answer;
  }

  /** Rows from `offset` on, at most `REPLY_ROWS_MAX`. An unknown keyspace has the total 0. */
  async page(
    keyspace: Uint8Array,
    { offset, length }: { readonly offset: number; readonly length: number },
  ): Promise<{ readonly total: number; readonly rows: readonly Row[] }> {
    checkKeyspaceName(keyspace, this.directory.sizes.keyspaceSize);
    const out = new RowBuffer(4096);
    return await this.#askNow(keyspace, (ranking) => {
      out.truncate(0);
      const count = ranking.copyRows(offset, Math.min(length, REPLY_ROWS_MAX), out);
      return { total: ranking.total(), rows: [...decodeRows(out.filled(), count)] };
    });
  }

  /** Rank and value of one key, or null if the counter does not exist. */
  async key(
    keyspace: Uint8Array,
    key: Uint8Array,
  ): Promise<{ readonly rank: number; readonly value: bigint } | null> {
    const view = this.#viewOfKey(keyspace, key);
    return await this.#askNow(keyspace, (ranking) => {
      if (!ranking.find(view, 0, key.length)) return null;
      const value = joinInt64(ranking.foundHigh, ranking.foundLow);
      return { rank: ranking.rankOfFound(view, 0, key.length), value };
    });
  }

  /** As `key`, but the value alone, which does not need the order of the changed keys. */
  async value(keyspace: Uint8Array, key: Uint8Array): Promise<bigint | null> {
    const view = this.#viewOfKey(keyspace, key);
    return await this.#askNow(keyspace, (ranking) => {
      if (!ranking.find(view, 0, key.length)) return null;
      return joinInt64(ranking.foundHigh, ranking.foundLow);
    });
  }

  #viewOfKey(keyspace: Uint8Array, key: Uint8Array): DataView {
    checkKeyspaceName(keyspace, this.directory.sizes.keyspaceSize);
    checkKey(key, this.directory.sizes.keySize);
    return new DataView(key.buffer, key.byteOffset, key.byteLength);
  }

  /** The next keyspaces whose names follow `after` in byte order; an empty list at the end. */
  async keyspaces(after: Uint8Array): Promise<readonly KeyspaceTotal[]> {
    return (await this.totals(after)).rows;
  }

  /** As `keyspaces`, with the number of all keyspaces. */
  async totals(after: Uint8Array): Promise<Totals> {
    const { clock, foldWaitMs = FOLD_WAIT_MS } = this.#options;
    this.refresh();
    const pending = this.#watch?.pendingLogs() ?? new Map<number, bigint>();
    for (const endMs = clock.nowMs() + foldWaitMs; clock.nowMs() <= endMs;) {
      const totals = await this.#list.page(after, this.#watch);
      if (totals !== null) return totals;
      // Each try reads all logs, so the next one waits until some of them are folded.
      const before = pending.size;
      while (pending.size === before && clock.nowMs() <= endMs) {
        await clock.sleep(FOLD_POLL_MS);
        this.#watch!.removeRecycled(pending);
      }
      if (pending.size === 0) {
        const ofFiles = await this.#list.page(after, null);
        assert(ofFiles !== null, "Files alone need no fold");
        return ofFiles;
      }
      this.refresh();
    }
    throw foldTooSlow();
  }

  [Symbol.dispose](): void {
    this.#views[Symbol.dispose]();
    this.#watch?.close();
    if (this.#isOwner) this.directory.close();
  }

  #makeView(name: Uint8Array): KeyspaceView {
    const { storage, paths } = this.directory;
    return new KeyspaceView({
      name,
      file: new StoredKeyspace(storage, paths.keyspaces, {
        name,
        budget: this.#budget,
      }),
      watch: this.#watch,
      changedKeysMax: this.#options.changedKeysMax ?? CHANGED_KEYS_MAX,
      deltaBytesMax: this.#options.deltaBytesMax ?? DELTA_BYTES_MAX,
      block: this.#block,
    });
  }
}

/** A few milliseconds from now on. */
function limitOf(clock: Clock): RefreshLimit {
  const endMs = clock.nowMs() + ASK_MS;
  return {
    get isUsedUp() {
      return clock.nowMs() >= endMs;
    },
  };
}

function foldTooSlow(): BusyError {
  return new BusyError(
    "No fresh answer now: the logs change more keys than a reader can hold, and no worker has folded " +
      "them; try again, start countd worker, or read with --stale",
  );
}
