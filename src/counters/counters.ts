/** The embedded engine: increments, answers and folds in one process. */

import { type Clock, systemClock } from "../base/clock.ts";
import { BusyError, UsageError } from "../base/errors.ts";
import { type Events, noEvents } from "../base/events.ts";
import { Metrics } from "../base/metrics.ts";
import { poolDefaults } from "../base/pool_defaults.ts";
import { type Storage, systemStorage } from "../file/mod.ts";
import { DataDirectory, describeSelf, type DirectorySizes } from "./commitlog/mod.ts";
import { Reader } from "./view/mod.ts";
import { checkKey, checkKeyspaceName } from "./wire/mod.ts";
import { Worker } from "./worker/mod.ts";
import { type Increment, LogWriter, type LogWriterOptions, RecordBatch } from "./write/mod.ts";

/**
 * The name of a keyspace or a key. Text is taken as UTF-8. A keyspace has 1 to 256 bytes, a key 0 to 256,
 * or less if the directory was made with smaller sizes. No byte is NUL.
 */
export type Name = string | Uint8Array;

/** A signed 64-bit integer. A number must be a safe integer. */
export type Count = bigint | number;

/** One addition to one counter. */
export interface CounterIncrement {
  /** The keyspace of the counter. The first increment makes it. */
  readonly keyspace: Name;
  /** The key of the counter. */
  readonly key: Name;
  /** The increment; the default is 1. 0 changes nothing and makes no counter. */
  readonly by?: Count;
}

/** A counter of a ranking. */
export interface CounterRow {
  /** The key in bytes. */
  readonly key: Uint8Array;
  /** The key as text, with U+FFFD for what is not UTF-8. */
  readonly name: string;
  /** The count. A sum beyond a signed 64-bit integer is clamped to its limits. */
  readonly value: bigint;
}

/** Options of `Counters.open`. */
export interface CountersOptions {
  /**
   * When an increment counts as accepted: when it is durable (`always`), or when it is in the log and the
   * system writes it to the disk in its own time (`os`). Default: `always`.
   */
  readonly sync?: "always" | "os";
  /**
   * Bytes of each commit log, 64 KiB to 1 GiB, for a new directory. For one that exists it must be the same
   * size. Default: 16 MiB.
   */
  readonly logSize?: number;
  /**
   * Bytes that all commit logs together may take, at most those of 1,024 logs. Beyond them increments wait for
   * a fold. Default: 4 GiB, or 1,024 logs if that is less.
   */
  readonly backlogBytes?: number;
  /**
   * How long an increment waits while the disk or the backlog is full, in milliseconds. Then it throws
   * `BusyError`, and what was not appended by then is not counted. Default: it waits until there is space.
   */
  readonly spaceTimeoutMs?: number;
  /** Receiver of events: recovered logs, full disks, folds. Default: nothing is reported. */
  readonly events?: Events;
  /** The disk. Default: the file system of this machine. */
  readonly storage?: Storage;
  /** The time. Default: the system's. */
  readonly clock?: Clock;
}

interface Appended {
  readonly writer: LogWriter;
  readonly position: number;
  readonly isFull: boolean;
}

/** A writer that is being started. */
interface Start {
  readonly abort: AbortController;
  /** Resolves also if the start was aborted. */
  readonly ended: Promise<void>;
}

interface OpenWriter {
  readonly writer: LogWriter;
  readonly directory: DataDirectory;
}

const FOLD_LOCK_TIMEOUT_MS = 30_000;

const utf8 = new TextEncoder();
const utf8Text = new TextDecoder();

/**
 * The counters of one data directory, in this process and without a server. Servers, other processes and
 * other engines may use the same directory at the same time.
 *
 * Calls may overlap. Every call throws `UsageError` after the end, `OsError` of the file system, and
 * `DirectoryFailedError` once a sync has failed: what is on the disk is then not known, and the directory
 * is served by no process until `countd check --clear-failed` has read it back.
 */
export class Counters implements AsyncDisposable {
  readonly #directory: DataDirectory;
  readonly #reader: Reader;
  readonly #environment: {
    readonly clock: Clock;
    readonly events: Events;
    readonly metrics: Metrics;
  };
  readonly #options: Pick<LogWriterOptions, "sync" | "backlogBytes">;
  readonly #spaceTimeoutMs: number | null;
  /** Started by the first increment, and by the first one after a fold. */
  #open: OpenWriter | null = null;
  #start: Start | null = null;
  /** Resolves once the previous append or fold has ended: they happen one after the other. */
  #turn: Promise<unknown> = Promise.resolve();
  #isClosed = false;

  private constructor(directory: DataDirectory, options: CountersOptions) {
    const { clock = systemClock, events = noEvents } = options;
    this.#directory = directory;
    this.#environment = { clock, events, metrics: new Metrics() };
    this.#options = {
      sync: options.sync ?? "always",
      backlogBytes: options.backlogBytes,
    };
    this.#spaceTimeoutMs = options.spaceTimeoutMs ?? null;
    this.#reader = new Reader(directory, { stale: false, clock, events });
  }

  /**
   * Open a data directory, and make it if it does not exist. Throws `UsageError` for a size that is not
   * allowed, or not the size of the directory, `FailedError` for a path that leads to a file,
   * `CorruptError` for a damaged control file, and `OsError`.
   */
  static open(directory: string, options: CountersOptions = {}): Promise<Counters> {
    const storage = options.storage ?? systemStorage();
    const wanted: Partial<DirectorySizes> = options.logSize === undefined
      ? {}
      : { logSize: options.logSize };
    const self = describeSelf(storage);
    const opened = DataDirectory.openOrCreate(storage, directory, { wanted, self });
    return Promise.resolve(new Counters(opened, options));
  }

  /**
   * Add `by` (1) to one counter. When this resolves, the increment is accepted as `sync` says, and every
   * later read sees it, also those of other processes. It waits while the disk or the backlog is full, up to
   * `spaceTimeoutMs`. Throws `UsageError` for a name or a count that is not valid, and `BusyError` after that
   * time and while the directory is being repaired.
   */
  increment(keyspace: Name, key: Name, by: Count = 1n): Promise<void> {
    return this.batch([{ keyspace, key, by }]);
  }

  /**
   * Add to many counters with one sync. Names and counts are checked before anything is written. Throws
   * as `increment`. If it throws anything but `UsageError`, some of the increments may count.
   */
  async batch(increments: Iterable<CounterIncrement>): Promise<void> {
    const checked = [...increments].map((one) => this.#check(one)).filter(({ by }) => by !== 0n);
    if (checked.length === 0) return;
    const { writer, position } = await this.#append(checked);
    await writer.whenDurable(position);
  }

  /**
   * Counters by rank: the greatest value first, equal values in the order of their keys' bytes. `offset`
   * is the rank of the first row (default 0), `length` the greatest number of rows (default 10). An unknown
   * keyspace has no rows. The rows are of one moment as long as they are at most 65,536.
   */
  async top(
    keyspace: Name,
    { offset = 0, length = 10 }: { readonly offset?: number; readonly length?: number } = {},
  ): Promise<CounterRow[]> {
    this.#requireOpen();
    const name = bytesOf(keyspace);
    const rows: CounterRow[] = [];
    while (rows.length < length) {
      const range = { offset: offset + rows.length, length: length - rows.length };
      const page = await this.#reader.page(name, range);
      for (const { key, value } of page.rows) rows.push({ key, name: utf8Text.decode(key), value });
      if (page.rows.length === 0) break;
    }
    return rows;
  }

  /** The value of a counter, or null if it does not exist. */
  async get(keyspace: Name, key: Name): Promise<bigint | null> {
    this.#requireOpen();
    return await this.#reader.value(bytesOf(keyspace), bytesOf(key));
  }

  /** The rank of a counter, 0 for the first one, or null if it does not exist. */
  async rank(keyspace: Name, key: Name): Promise<number | null> {
    this.#requireOpen();
    return (await this.#reader.key(bytesOf(keyspace), bytesOf(key)))?.rank ?? null;
  }

  /**
   * Fold everything that was accepted into the keyspace files, and free its commit logs. Reads are right
   * without it, but slower the more is to be folded. A directory without a `countd worker` needs a fold
   * before the backlog is full. Throws `BusyError` if another process folds for longer than 30 s or the
   * disk is full, and `CorruptError` if a damaged log remains.
   */
  async fold(): Promise<void> {
    await this.#inTurn(async () => {
      await this.#stopWriter();
      using directory = this.#openAgain();
      await new Worker(directory, this.#environment).runOnce({
        signal: new AbortController().signal,
        lockTimeoutMs: FOLD_LOCK_TIMEOUT_MS,
      });
    });
    // A loop of folds without work would let no append come to its turn.
    await this.#environment.clock.sleep(0);
  }

  /** Make everything durable and close the directory. Calls that wait for their turn fail. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return;
    await this.#inTurn(async () => {
      this.#isClosed = true;
      try {
        this.#start?.abort.abort();
        await this.#start?.ended.catch(() => {});
        await this.#stopWriter();
      } finally {
        this.#reader[Symbol.dispose]();
        this.#directory.close();
      }
    });
  }

  /** Appends all of a batch; returns the writer and the position behind its last frame. */
  async #append(increments: readonly Increment[]): Promise<Appended> {
    const batch = new RecordBatch(increments);
    const startMs = this.#environment.clock.nowMs();
    while (true) {
      await this.#untilSpace(this.#ensureWriter(), startMs);
      const step = await this.#inTurn(() => Promise.resolve(this.#appendOnce(batch)));
      // A fold has stopped the writer in between.
      if (step === null) continue;
      if (batch.isDone) return step;
      if (step.isFull) await this.#untilSpace(this.#rotate(step.writer), startMs);
    }
  }

  /** Waits for what may wait for space, but not longer than `spaceTimeoutMs` from `startMs` on. */
  async #untilSpace(wait: Promise<void>, startMs: number): Promise<void> {
    const timeoutMs = this.#spaceTimeoutMs;
    if (timeoutMs === null) return await wait;
    const { clock } = this.#environment;
    const ended = new AbortController();
    const leftMs = Math.max(0, startMs + timeoutMs - clock.nowMs());
    const late = clock.sleep(leftMs, ended.signal).then(() => {
      if (ended.signal.aborted) return;
      throw new BusyError(
        `Not counted within ${
          timeoutMs / 1000
        } s, because the disk or the backlog is full: free some space, ` +
          "or start a worker, and try again",
      );
    });
    await Promise.race([wait, late]).finally(() => ended.abort());
  }

  /** Null if no writer is open. */
  #appendOnce(batch: RecordBatch): Appended | null {
    if (this.#open === null) return null;
    const { writer } = this.#open;
    const hasCapacity = writer.append(batch);
    const isFull = !hasCapacity || batch.filledRecords === 0;
    return { writer, position: writer.position, isFull };
  }

  /** Waits for the next log outside of the turn, so that a fold can make one free. */
  async #rotate(writer: LogWriter): Promise<void> {
    try {
      await writer.rotate();
    } catch (error) {
      // A fold has stopped this writer; the next append starts another one.
      if (this.#open?.writer === writer) throw error;
    }
  }

  /** Starts a writer, outside of the turn as well: the start may wait for a free log. */
  async #ensureWriter(): Promise<void> {
    this.#requireOpen();
    if (this.#open === null) await (this.#start ??= this.#startWriter()).ended;
  }

  #startWriter(): Start {
    const abort = new AbortController();
    const ended = this.#openWriter(abort.signal).then((open) => {
      this.#open = open;
    }).catch((error) => {
      if (!abort.signal.aborted) throw error;
    }).finally(() => this.#start = null);
    return { abort, ended };
  }

  /** A writer with an opening of its own, because it holds the daemons' lock for as long as it lives. */
  async #openWriter(signal: AbortSignal): Promise<OpenWriter> {
    using undo = new DisposableStack();
    const directory = undo.use(this.#openAgain());
    const options = { ...poolDefaults, ...this.#options };
    const writer = await LogWriter.start(directory, options, { ...this.#environment, signal });
    // The next increment throws it.
    writer.failed.catch(() => {});
    undo.move();
    return { writer, directory };
  }

  /** Seals what was appended, so that a fold finds it. A writer without increments goes on. */
  async #stopWriter(): Promise<void> {
    const open = this.#open;
    if (open === null || open.writer.position === 0 && !this.#isClosed) return;
    this.#open = null;
    using _directory = open.directory;
    await open.writer.stop();
  }

  #openAgain(): DataDirectory {
    const { storage, paths } = this.#directory;
    return DataDirectory.open(storage, paths.data, { self: describeSelf(storage) });
  }

  #inTurn<Result>(action: () => Promise<Result>): Promise<Result> {
    this.#requireOpen();
    const result = this.#turn.then(() => {
      this.#requireOpen();
      return action();
    });
    this.#turn = result.catch(() => {});
    return result;
  }

  #requireOpen(): void {
    if (this.#isClosed) throw new UsageError("The counters are closed: open them again");
  }

  #check({ keyspace, key, by = 1n }: CounterIncrement): Increment {
    const { sizes } = this.#directory;
    const checked = { keyspace: bytesOf(keyspace), key: bytesOf(key), by: countOf(by) };
    checkKeyspaceName(checked.keyspace, sizes.keyspaceSize);
    checkKey(checked.key, sizes.keySize);
    return checked;
  }
}

function bytesOf(name: Name): Uint8Array {
  return typeof name === "string" ? utf8.encode(name) : name;
}

function countOf(count: Count): bigint {
  if (typeof count === "number" && !Number.isSafeInteger(count)) {
    throw new UsageError(`${count} is not a safe integer: write it as a bigint`);
  }
  const exact = BigInt(count);
  if (BigInt.asIntN(64, exact) !== exact) {
    throw new UsageError(`${exact} does not fit a signed 64-bit integer`);
  }
  return exact;
}
