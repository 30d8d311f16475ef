/**
 * All commit logs of a data directory as a reader sees them: the captures of Refresh, step 1 (see the README
 * of this room). Slots are opened once and kept; a capture is what a slot held at the last refresh. If
 * nothing has changed, a refresh loads the live word of each slot, and checks once whether the pool has a
 * new file.
 *
 * Invariants:
 * 1. After `refresh`, every frame that was published before it is below the limit of a capture, or its log
 *    has been recycled, which happens only after all of its keyspaces have applied it. If a log has lost its
 *    header or its length, this cannot be known, and `refresh` throws `CorruptError`.
 * 2. `version` changes whenever a capture does, and `losses` whenever a log is closed that had lost its name.
 */

import type { Clock } from "../../../base/clock.ts";
import { BusyError, CorruptError, CountdError } from "../../../base/errors.ts";
import type { Events } from "../../../base/events.ts";
import { OsError } from "../../../file/mod.ts";
import {
  type Capture,
  type DataDirectory,
  FRAME_LENGTH_MAX,
  HEAD_PAGE_BYTES,
  listReadableSlots,
  lockPathOfSlot,
  LogReader,
  nameOfSlot,
  pathOfSlot,
} from "../../commitlog/mod.ts";

import { LogNames, NameHashes } from "./log_names.ts";
import { RecordWalk } from "./record_walk.ts";

/** Bytes of frames that are read before others get a turn. */
const READ_AT_ONCE_BYTES = 256 * 1024;
/** Tries to open a slot whose mode forbids it while another process holds it: the holder widens it soon. */
const OPEN_TRIES = 200;
const OPEN_PAUSE_MS = 5;
/** `prepare` holds the event loop no longer than this at once. */
const PREPARE_MS = 5;
/**
 * Between two looks for the name of the next slot, new logs are seen by their live words. A process may end after
 * it has made a slot, and before it claims it: the log with the next number is seen behind fewer of these.
 */
const UNCLAIMED_MAX = 16;

/** What the logs of a watch share. */
interface WatchEnvironment {
  readonly logSize: number;
  readonly hashes: NameHashes;
}

export class WatchedLog {
  /** Null before the first refresh, and if no header tells what the log holds. */
  capture: Capture | null = null;
  #names: LogNames | null = null;

  constructor(readonly log: LogReader, readonly environment: WatchEnvironment) {}

  get slot(): number {
    return this.log.slot;
  }

  /** True if the log holds frames that some keyspace may not have applied. */
  get isPending(): boolean {
    return this.capture !== null && this.capture.state !== "free" &&
      this.capture.limit > HEAD_PAGE_BYTES;
  }

  /** Visits batches of frames as ranges of words, a few milliseconds of work; returns the offset behind them. */
  readSome(
    capture: Capture,
    from: number,
    visit: (words: Int32Array, start: number, end: number, offset: number) => void,
  ): number {
    const next = this.#readUpTo(capture, from, from + READ_AT_ONCE_BYTES, visit);
    // The next frame is larger.
    return next === from ? this.#readUpTo(capture, from, from + FRAME_LENGTH_MAX, visit) : next;
  }

  /**
   * Brings the names of keyspaces up to date with a capture, a few milliseconds of work at a time. True when
   * all are known.
   */
  readNames(capture: Capture): boolean {
    const { logSize, hashes } = this.environment;
    if (this.#names?.generation !== capture.generation) {
      this.#names = new LogNames(capture.generation, logSize, hashes);
    }
    const names = this.#names;
    if (names.mayHaveAny || names.indexedTo >= capture.limit) return true;
    const walk = new RecordWalk((words, at, length) => {
      names.add(words, at, length);
      return null;
    });
    const next = this.readSome(capture, names.indexedTo, (words, start, end) => {
      if (!walk.batch(words, start, end)) names.mayHaveAny = true;
    });
    // A reader of the records finds the reason: damage, a torn tail, or another use of the log.
    if (next === names.indexedTo || !this.isStill(capture)) names.mayHaveAny = true;
    names.indexedTo = next;
    return names.mayHaveAny || next >= capture.limit;
  }

  /** False if the frames of a capture, whose names are read, have nothing of this keyspace. */
  mayName(capture: Capture, nameWords: Int32Array, length: number): boolean {
    const names = this.#names;
    if (names?.generation !== capture.generation || names.indexedTo < capture.limit) return true;
    return names.mayHave(nameWords, length);
  }

  /** Frees the memory for names of a log that holds nothing. */
  forgetNames(): void {
    this.#names = null;
  }

  #readUpTo(
    capture: Capture,
    from: number,
    end: number,
    visit: (words: Int32Array, start: number, end: number, offset: number) => void,
  ): number {
    const limit = Math.min(capture.limit, end);
    return this.log.readWords({ ...capture, limit }, from, visit);
  }

  /** True if the log is in the same use as at the capture: what was read is what was written. */
  isStill(capture: Capture): boolean {
    return this.log.isStill(capture);
  }

  /** What the log holds now, or null if no header tells. */
  captureNow(): Capture | null {
    const capture = this.log.capture();
    if (capture?.state !== "free" || this.log.lostHeaderOffset === null) return capture;
    // A claim stores its live word before it writes a frame: if the word moved, the header is not lost.
    return this.isStill(capture) ? null : capture;
  }

  /** The error for damage in a part of the log that no answer may leave out. */
  damage(offset: number): CorruptError {
    return damagedLog(this.log.path, offset, `is damaged at byte ${offset}`);
  }
}

/** The error for a log that cannot be read: it may change any counter, so an answer could be wrong. */
function damagedLog(path: string, offset: number, what: string): CorruptError {
  return new CorruptError(
    `Commit log ${path} ${what} and may hold increments of any counter, so nothing is answered: run ` +
      "countd repair",
    { path, offset },
  );
}

function removedLog(path: string): CorruptError {
  return new CorruptError(
    `Commit log ${path} was removed, and it may have held increments of any counter that were not folded, ` +
      "so nothing is answered: put it back, or start the reader again",
    { path, offset: 0 },
  );
}

export class LogWatch implements Disposable {
  readonly #directory: DataDirectory;
  readonly #events: Events;
  readonly #shared: WatchEnvironment;
  readonly #logs = new Map<number, WatchedLog>();
  /** The same, sorted; null after a claim. */
  #inOrder: WatchedLog[] | null = null;
  /** Slots whose names lead to something that is not a file: each was reported. */
  readonly #foreign = new Set<number>();
  #nextSlot = 0;
  #version = 0;
  #losses = 0;
  /** Logs that held frames when they lost their name, and whose name leads nowhere. */
  readonly #removed = new Set<number>();
  #isListed = false;
  /** Whether the name of the next slot was looked for since the last `closeLost`. */
  #hasLooked = false;
  #isClosed = false;

  constructor(directory: DataDirectory, events: Events) {
    this.#directory = directory;
    this.#events = events;
    this.#shared = { logSize: directory.sizes.logSize, hashes: new NameHashes() };
  }

  get version(): number {
    return this.#version;
  }

  /** How many logs were closed: what was read of them is no longer part of any answer. */
  get losses(): number {
    return this.#losses;
  }

  /** In the order of their claims; those that no claim has had come first. */
  get logs(): readonly WatchedLog[] {
    return this.#inOrder ??= [...this.#logs.values()].sort((left, right) =>
      (left.capture?.order ?? 0n) < (right.capture?.order ?? 0n) ? -1 : 1
    );
  }

  /** Slot and generation of the logs that hold frames, as of the last refresh. */
  pendingLogs(): Map<number, bigint> {
    const pending = new Map<number, bigint>();
    for (const watched of this.#logs.values()) {
      if (watched.isPending) pending.set(watched.slot, watched.capture!.generation);
    }
    return pending;
  }

  /** Removes from `pending` what has been recycled by now: every keyspace has applied it. */
  removeRecycled(pending: Map<number, bigint>): void {
    for (const [slot, generation] of pending) {
      const capture = this.#logs.get(slot)?.log.capture() ?? null;
      if (capture === null) continue;
      if (capture.generation > generation || capture.state === "free") pending.delete(slot);
    }
  }

  /**
   * Brings every capture up to date. Throws `BusyError` if a slot cannot be opened now, and
   * `CorruptError` for a log whose content cannot be known.
   */
  refresh(): void {
    this.#openNew();
    for (const slot of this.#removed) {
      if (!this.#logs.has(slot)) throw removedLog(pathOfSlot(this.#directory.paths.logs, slot));
      this.#removed.delete(slot);
    }
    let lost: WatchedLog | null = null;
    for (const watched of this.#logs.values()) {
      const { capture, log } = watched;
      if (capture !== null && !log.hasChanged(capture)) continue;
      const next = watched.captureNow();
      if (next === null) lost = watched;
      if (next === null && capture === null) continue;
      watched.capture = next;
      if (!watched.isPending) watched.forgetNames();
      if (next?.order !== capture?.order) this.#inOrder = null;
      this.#version++;
    }
    if (lost !== null) throw damagedLog(lost.log.path, 0, "has lost its header");
  }

  /**
   * Closes each log that has lost its name. The next `refresh` opens the file that has the name then, and throws
   * `CorruptError` if there is none and the log held frames.
   */
  closeLost(): void {
    this.#hasLooked = false;
    for (const { log, slot, isPending, capture } of [...this.#logs.values()]) {
      if (log.isNamed) continue;
      // It may have been claimed and filled since it was captured.
      const hasGrown = capture !== null && log.hasChanged(capture);
      this.#events.report("warn", "log was removed or replaced: its name is opened again", {
        path: log.path,
      });
      log.close();
      this.#logs.delete(slot);
      if (isPending || hasGrown) this.#removed.add(slot);
      this.#inOrder = null;
      this.#losses++;
      this.#version++;
      this.#nextSlot = 0;
    }
    // A log may have only its lock name, which the list finds.
    if (this.#removed.size > 0) this.#isListed = false;
  }

  /**
   * Opens and captures the logs that are there, with pauses, so that not even the first refresh takes long.
   * What it cannot open it leaves to `refresh`, which says why.
   */
  async prepare(clock: Clock): Promise<void> {
    let startMs = clock.nowMs();
    try {
      for (const slot of listReadableSlots(this.#directory)) {
        if (clock.nowMs() - startMs > PREPARE_MS) {
          await clock.sleep(0);
          startMs = clock.nowMs();
        }
        if (this.#isClosed) return;
        const log = this.#logs.has(slot) ? null : LogReader.open(this.#directory, slot);
        if (log === null) continue;
        this.#add(log);
        log.capture();
      }
    } catch (error) {
      if (!(error instanceof CountdError || error instanceof OsError)) throw error;
    }
  }

  #add(log: LogReader): void {
    this.#logs.set(log.slot, new WatchedLog(log, this.#shared));
    this.#inOrder = null;
    this.#version++;
  }

  #openNew(): void {
    const { storage, paths, control } = this.#directory;
    if (!this.#isListed) {
      for (const slot of listReadableSlots(this.#directory)) {
        if (!this.#logs.has(slot)) this.#open(slot);
      }
      this.#isListed = true;
    }
    // A pool grows by the lowest number that is missing, and never loses a slot. A look goes on to the last one.
    const trustsWords = this.#hasLooked;
    this.#hasLooked = true;
    while (true) {
      while (this.#logs.has(this.#nextSlot)) this.#nextSlot++;
      // A name costs a system call or two for each batch of questions.
      if (trustsWords && control.live.areUnused(this.#nextSlot, UNCLAIMED_MAX)) return;
      if (storage.statusOrNull(pathOfSlot(paths.logs, this.#nextSlot)) === null) return;
      this.#open(this.#nextSlot);
    }
  }

  #open(slot: number): void {
    for (let tries = 0; tries < OPEN_TRIES; tries++) {
      const log = LogReader.open(this.#directory, slot);
      if (log !== null) {
        this.#add(log);
        return;
      }
      if (!this.#isThere(slot)) return;
      pause(OPEN_PAUSE_MS);
    }
    throw new BusyError(
      `Cannot open commit log ${
        nameOfSlot(slot)
      }: its mode forbids it while another process holds ` +
        "it; try again",
    );
  }

  /** Throws `CorruptError` for what cannot be a log: the log that had its name may hold anything. */
  #isThere(slot: number): boolean {
    const { storage, paths, sizes } = this.#directory;
    const path = pathOfSlot(paths.logs, slot);
    const status = storage.statusOrNull(path) ??
      storage.statusOrNull(lockPathOfSlot(paths.logs, slot));
    if (status === null) return false;
    if (status.kind === "file") {
      if (status.size === sizes.logSize) return true;
      throw damagedLog(path, 0, `has ${status.size} bytes and not ${sizes.logSize}`);
    }
    if (!this.#foreign.has(slot)) this.#events.report("error", "not a commit log", { path });
    this.#foreign.add(slot);
    throw damagedLog(path, 0, "is not a file");
  }

  close(): void {
    this.#isClosed = true;
    for (const { log } of this.#logs.values()) log.close();
    this.#logs.clear();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Blocks this thread. */
function pause(delayMs: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, delayMs);
}
