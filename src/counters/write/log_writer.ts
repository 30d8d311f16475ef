/**
 * The writing end of the pool: it has one active log and one spare, and decides when to sync, seal and wait.
 *
 * A position is the number of bytes appended since the start, over all logs. A position is durable when
 * every log before it and its own log up to it are.
 *
 * Invariants:
 *  1. Appends go to one log at a time, so positions and logs have the same order.
 *  2. A log is sealed only if another one is claimed, or if the writer stops; and after those before it.
 *  3. After a sync that failed nothing is answered any more: the directory is marked failed and every wait
 *     is rejected.
 *  4. The same holds after the log has lost its name, but the directory is not marked. The name is checked
 *     after each sync, each second, and before a seal.
 */

import { assert } from "../../base/assert.ts";
import { CorruptError } from "../../base/errors.ts";
import {
  type ActiveLog,
  type BatchFiller,
  type DataDirectory,
  DirectoryFailedError,
  directoryLocks,
  errorToEndWith,
  HEAD_PAGE_BYTES,
  LogPool,
  reportRecovery,
} from "../commitlog/mod.ts";
import { GroupCommit, type SyncedLog } from "../../file/checked_log/mod.ts";
import { hasCode, isPassing } from "../../file/mod.ts";
import { claimOrWait } from "./claim_or_wait.ts";
import type { Environment, LogWriterOptions } from "./log_writer_options.ts";
import { reasonToWait, SpaceWait, type WaitReason } from "./space_wait.ts";
import { SpareLog } from "./spare_log.ts";

/** If input pauses this long, a log that holds enough is sealed for a waiting worker. */
const IDLE_SEAL_MS = 20;
const IDLE_SEAL_BYTES = 64 * 1024;
const TICK_MS = 20;
/** How often a writer checks whether the directory is marked failed, and whether its log has its name. */
const CHECK_MS = 1000;
/** Logs whose last sync is still running; more would only hold memory. */
const SEALING_MAX = 4;

interface OpenLog {
  readonly log: ActiveLog;
  /** Position of the log's first frame. */
  readonly base: number;
  firstAppendMs: number;
}

export class LogWriter {
  #active: OpenLog;
  readonly #spare: SpareLog;
  readonly #sealing = new Map<OpenLog, Promise<void>>();
  /** The end of the last seal, or null: the next log is sealed after it. */
  #lastSeal: Promise<void> | null = null;
  #rotation: Promise<void> | null = null;
  /** Waits for what the last append into the active log did not find, such as disk space. */
  readonly #spaceWait: SpaceWait;
  #waitsFor: WaitReason | null = null;
  /** Readers were not told of the last frame. */
  #isUntold = false;
  readonly #commit: GroupCommit;
  #position = 0;
  #lastAppendMs = 0;
  #lastSyncMs = 0;
  #lastCheckMs = 0;
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #stop = new AbortController();
  #isStopping = false;
  #failure: Error | null = null;
  #durableAtFailure: number | null = null;
  readonly #onFailure = Promise.withResolvers<never>();

  private constructor(
    readonly directory: DataDirectory,
    readonly options: LogWriterOptions,
    readonly environment: Environment,
    readonly pool: LogPool,
    active: ActiveLog,
  ) {
    this.#active = { log: active, base: 0, firstAppendMs: 0 };
    this.#spaceWait = new SpaceWait(directory, environment);
    this.#spare = new SpareLog(pool, (error) => this.#fail(error));
    this.#lastSyncMs = environment.clock.nowMs();
    this.#commit = new GroupCommit(LogWriter.#synced(this), {
      // The tick of the writer starts the syncs of an interval.
      mode: options.sync === "always" ? "always" : "os",
      intervalMs: options.syncIntervalMs,
      clock: environment.clock,
      onDurable: () => {},
      onFailure: (error) => this.#fail(error),
    });
    this.#timer = setInterval(() => this.#attempt(() => this.#tick()), TICK_MS);
    this.#onFailure.promise.catch(() => {});
  }

  /**
   * Makes the pool, recovers the logs of dead writers, and claims the first log. Waits if the pool is full.
   * Throws `DirectoryFailedError` on a directory that is marked failed.
   */
  static async start(
    directory: DataDirectory,
    options: LogWriterOptions,
    environment: Environment & { readonly signal?: AbortSignal },
  ): Promise<LogWriter> {
    directory.joinDaemons();
    const { events, clock } = environment;
    const pool = new LogPool(directory, {
      logs: options.logs,
      backlogBytes: options.backlogBytes,
      clock,
      onRecovery: (recovery) => reportRecovery(recovery, environment),
      onDamage: (error) =>
        events.report("error", "log cannot be used", {
          ...(error instanceof CorruptError ? error.where : {}),
          reason: error.message,
        }),
    });
    try {
      await pool.prepare(environment.signal);
      pool.recoverAll();
      const active = await claimOrWait(pool, environment);
      return new LogWriter(directory, options, environment, pool, active);
    } catch (error) {
      throw errorToEndWith(directory, error, environment);
    }
  }

  /** All logs in hand, as one. */
  static #synced(writer: LogWriter): SyncedLog {
    return {
      get tail() {
        return writer.#position;
      },
      get durable() {
        return writer.durablePosition;
      },
      sync: () => writer.#syncOnce(),
    };
  }

  /** Rejects with what ends the writer: a sync that failed, for example. Never resolves. */
  get failed(): Promise<never> {
    return this.#onFailure.promise;
  }

  /** Position behind the last append. */
  get position(): number {
    return this.#position;
  }

  /** Everything before it is durable. After a failure it no longer changes. */
  get durablePosition(): number {
    if (this.#durableAtFailure !== null) return this.#durableAtFailure;
    for (const open of [...this.#sealing.keys(), this.#active]) {
      if (open.log.durable < open.log.tail) return open.base + open.log.durable - HEAD_PAGE_BYTES;
    }
    return this.#position;
  }

  /**
   * Appends as many frames as the filler may fill at once. False if the log or the disk is full, or the system
   * refuses for now: then `await rotate()` and call again. After a failure it throws the failure.
   */
  append(filler: BatchFiller): boolean {
    if (this.#failure !== null) throw this.#failure;
    assert(!this.#isStopping, "Nothing is appended to a writer that stops");
    if (this.#rotation !== null) return false;
    const { log } = this.#active;
    const tail = log.tail;
    let isDone = true;
    try {
      log.append(filler);
    } catch (error) {
      // The log is allocated, but a file system that never writes in place may still find no space.
      this.#waitsFor = reasonToWait(error);
      if (this.#waitsFor === null) {
        this.#fail(error);
        throw error;
      }
      isDone = false;
    }
    if (log.tail === tail) return isDone && log.capacityBytes >= CAPACITY_BYTES_MIN;
    if (isDone && this.#spaceWait.isWaiting) this.#spaceWait.end();
    const nowMs = this.environment.clock.nowMs();
    if (tail === HEAD_PAGE_BYTES) this.#active.firstAppendMs = nowMs;
    this.#position += log.tail - tail;
    this.#lastAppendMs = nowMs;
    this.#commit.appended();
    return isDone;
  }

  /**
   * Takes the spare, or waits for a log, and seals the full one. If the disk was full, or the system refused,
   * it waits for that instead and keeps the log.
   */
  async rotate(): Promise<void> {
    this.#rotation ??=
      (this.#waitsFor === null ? this.#rotateOnce() : this.#waitFor(this.#waitsFor))
        .finally(() => this.#rotation = null);
    await this.#rotation;
  }

  async #waitFor(reason: WaitReason): Promise<void> {
    await this.#orFail(this.#spaceWait.pause(reason, this.#stop.signal));
    this.#waitsFor = null;
  }

  async #rotateOnce(): Promise<void> {
    while (this.#sealing.size >= SEALING_MAX) await Promise.race(this.#sealing.values());
    const waiting = { ...this.environment, signal: this.#stop.signal };
    const next = await this.#spare.claimed() ?? await this.#orFail(claimOrWait(this.pool, waiting));
    if (this.#failure !== null) {
      next.leaveForRecovery();
      throw this.#failure;
    }
    const full = this.#active;
    this.#active = { log: next, base: this.#position, firstAppendMs: 0 };
    this.#spare.claimNext();
    this.#seal(full);
  }

  /** Awaits what `stop` may abort. Any other error ends the writer. */
  async #orFail<Value>(wait: Promise<Value>): Promise<Value> {
    try {
      return await wait;
    } catch (error) {
      if (!this.#stop.signal.aborted) this.#fail(error);
      throw error;
    }
  }

  #seal(open: OpenLog): void {
    const sync = this.options.sync !== "os";
    this.#lastSeal = open.log.seal({ sync, after: this.#lastSeal });
    const sealed = this.#lastSeal.then(
      () => {
        this.#sealing.delete(open);
        this.#commit.resolveDurable();
      },
      (error) => {
        this.#fail(error);
        this.#sealing.delete(open);
        open.log.leaveForRecovery();
      },
    );
    this.#sealing.set(open, sealed);
  }

  /**
   * Resolves when everything up to `position` is durable; at once with `sync: os`, which promises nothing.
   * Rejects if a sync fails.
   */
  whenDurable(position: number): Promise<void> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    return this.options.sync === "os" ? Promise.resolve() : this.#commit.whenDurable(position);
  }

  async #syncOnce(): Promise<void> {
    // Lets the other connections of this turn of the loop join the group commit.
    await Promise.resolve();
    const { clock, metrics } = this.environment;
    const startMs = clock.nowMs();
    const { log } = this.#active;
    const sealing = [...this.#sealing.values()];
    await log.sync();
    await Promise.all(sealing);
    this.#lastSyncMs = clock.nowMs();
    metrics.histogram("countd_fsync_seconds").observe((this.#lastSyncMs - startMs) / 1000);
    metrics.gauge("countd_last_sync_timestamp_seconds").value = clock.wallMs() / 1000;
  }

  #tick(): void {
    if (this.#failure !== null || this.#isStopping) return;
    const { log, firstAppendMs } = this.#active;
    const nowMs = this.environment.clock.nowMs();
    if (nowMs - this.#lastCheckMs >= CHECK_MS) {
      this.#lastCheckMs = nowMs;
      const mark = this.directory.failedMark();
      if (mark !== null) {
        return this.#fail(new DirectoryFailedError(this.directory.paths.data, mark));
      }
      log.held.refuseLost();
      this.directory.refuseLost();
    }
    this.#publishAgain(log);
    const { sync, syncIntervalMs, sealAfterMs } = this.options;
    if (sync === "interval" && log.durable < log.tail) {
      if (nowMs - this.#lastSyncMs >= syncIntervalMs) this.#commit.start();
    }
    const isOld = !log.isEmpty && nowMs - firstAppendMs >= sealAfterMs;
    if (isOld || nowMs - this.#lastAppendMs >= IDLE_SEAL_MS && this.#holdsEnough()) {
      this.#handOver();
    }
  }

  /** If readers could not be told of the last frame: tries again, and takes no input until then. */
  #publishAgain(log: ActiveLog): void {
    if (this.#rotation !== null) return;
    const hadSpace = !this.#isUntold;
    const refusal = log.publishAgain();
    this.#isUntold = refusal !== null;
    if (refusal === null) return hadSpace ? undefined : this.#spaceWait.end();
    this.#waitsFor = reasonToWait(refusal);
    // An error in there is kept as the failure.
    this.rotate().catch(() => {});
  }

  /** The last connection has ended: a log that holds enough is sealed at once, not after a pause. */
  inputEnded(): void {
    if (this.#failure !== null || this.#isStopping || !this.#holdsEnough()) return;
    this.#attempt(() => this.#handOver());
  }

  /**
   * Runs what no caller awaits. To look at the pool takes a descriptor: if there is none for now, the next tick
   * tries again. An error that does not pass ends the writer.
   */
  #attempt(what: () => void): void {
    try {
      what();
    } catch (error) {
      if (!isPassing(error)) this.#fail(error);
    }
  }

  #holdsEnough(): boolean {
    return this.#active.log.tail - HEAD_PAGE_BYTES >= IDLE_SEAL_BYTES;
  }

  /** Seals a log that is not full, if a worker is there to fold it and another log can be taken. */
  #handOver(): void {
    if (this.#rotation !== null) return;
    this.#spare.replenish();
    if (this.#spare.isInHand && this.#hasWorker() && this.pool.hasFreeSlot()) {
      // An error in there is kept as the failure.
      this.rotate().catch(() => {});
    }
  }

  #hasWorker(): boolean {
    return this.directory.control.isHeldElsewhere(directoryLocks.fold);
  }

  #fail(what: unknown): void {
    if (this.#failure !== null) return;
    this.#durableAtFailure = this.durablePosition;
    this.#active.log.end();
    const { metrics } = this.environment;
    metrics.gauge("countd_failed").value = 1;
    const error = errorToEndWith(this.directory, this.#causeOf(what), this.environment);
    this.#failure = error instanceof Error ? error : new Error(String(error));
    metrics.readiness.fail(this.#failure.message);
    this.#commit.fail(this.#failure);
    this.#onFailure.reject(this.#failure);
    clearInterval(this.#timer);
  }

  /** If a name is missing, the active log may have lost its name too: then that is the cause to report. */
  #causeOf(error: unknown): unknown {
    if (!hasCode(error, "ENOENT")) return error;
    try {
      this.#active.log.held.refuseLost();
    } catch (loss) {
      if (loss instanceof CorruptError) return loss;
    }
    return error;
  }

  /**
   * Makes everything durable, seals the active log, and releases the spare. After a failure it leaves the
   * logs to recovery. Throws the failure.
   */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#stop.abort();
    clearInterval(this.#timer);
    if (this.#rotation !== null) await this.#rotation.catch(() => {});
    const spare = await this.#spare.claimed();
    if (this.#failure === null) {
      this.#seal(this.#active);
      while (this.#sealing.size > 0) await Promise.all(this.#sealing.values());
      if (spare !== null) await spare.seal({ sync: false });
    } else {
      await this.#commit.stop();
      // A seal in flight still stores a header, for which it needs the lock.
      await Promise.all(this.#sealing.values());
      this.#active.log.leaveForRecovery();
      spare?.leaveForRecovery();
    }
    this.#commit.resolveDurable();
    if (this.#failure !== null) throw this.#failure;
  }
}

/** With less capacity than this a log counts as full: the largest record with its keyspace fits in it. */
const CAPACITY_BYTES_MIN = 1024;
