/**
 * `countd worker`: takes the fold lease, recovers the logs of dead writers, and folds sealed logs. `fold.ts`
 * is one fold; this file decides when to fold, and how much at a time.
 */

import { assert } from "../../base/assert.ts";
import { BusyError, CorruptError, FailedError } from "../../base/errors.ts";
import {
  type DataDirectory,
  directoryLocks,
  errorToEndWith,
  resolveLoneLockNames,
  slotLock,
} from "../commitlog/mod.ts";
import { hasCode, makeDirectories } from "../../file/mod.ts";
import {
  Aggregator,
  type AggregatorLimits,
  DEFAULT_AGGREGATOR_LIMITS,
  sweepKeyspaces,
} from "../keyspace/mod.ts";
import { Fold, LogUnusableError } from "./fold.ts";
import { takeLease, tryTakeLease } from "./fold_lease.ts";
import { FoldReport, shortageOf } from "./fold_report.ts";
import { FoldTooLargeError } from "./keyspace_group.ts";
import { KeyspaceWriters } from "./keyspace_writers.ts";
import { type Environment, LogWalk } from "./log_walk.ts";
import { isFailureOf, Quarantine } from "./quarantine.ts";
import { inTurns } from "../../base/steps.ts";

/** Pause between two walks through the pool: short after work and while a fold gathers, then longer. */
const POLL_MS_FIRST = 10;
const POLL_MS_LAST = 100;
/** After so long without a fold the keyspaces return the space of their older versions to the system. */
const REST_MS = 1000;
/** A signal waits no longer than this and one group of keyspaces. */
const TURN_MS = 50;
/** Pause between two tries while there is too little of something for even one log. */
const SHORTAGE_RETRY_MS = 500;

export type { Environment };

export class Worker {
  readonly #writers: KeyspaceWriters;
  readonly #aggregator: Aggregator;
  readonly #quarantine: Quarantine;
  readonly #walk: LogWalk;
  readonly #report: FoldReport;
  /** A fold that waits for more logs. */
  #open: Fold | null = null;
  /** Time that it has used so far, without the waiting. */
  #openMs = 0;
  /** False until a sync has made sure that the applied generations that are read are on disk. */
  #areGenerationsDurable = false;
  #logsMax = Infinity;
  /** The last fold was aborted for lack of space; a smaller one is tried next. */
  #wasTooLarge = false;
  /** The last fold has deferred logs to the next one. */
  #hasDeferred = false;

  constructor(
    readonly directory: DataDirectory,
    readonly environment: Environment,
    limits: AggregatorLimits = DEFAULT_AGGREGATOR_LIMITS,
  ) {
    this.#aggregator = new Aggregator(limits);
    this.#writers = new KeyspaceWriters(
      directory.storage,
      directory.paths.keyspaces,
      environment.events,
    );
    this.#quarantine = new Quarantine(environment.clock, environment.events);
    this.#walk = new LogWalk(directory, environment, this.#quarantine);
    this.#report = new FoldReport(environment);
    environment.metrics.readiness.addPart(() => this.#quarantine.warnings());
  }

  /**
   * Folds until the signal fires. Waits while another process holds the lease. Calls `onReady` once it has
   * the lease or waits for it. Throws `DirectoryFailedError` on a directory that is marked failed.
   */
  async run(signal: AbortSignal, onReady: () => void = () => {}): Promise<void> {
    const { clock, events } = this.environment;
    this.directory.joinDaemons();
    const isFirst = tryTakeLease(this.directory);
    onReady();
    if (!isFirst) {
      events.report("info", "standing by: another worker folds", {
        holder: this.directory.control.describeHolder(directoryLocks.fold),
      });
      if (!await takeLease(this.directory, { clock, signal, timeoutMs: Infinity })) return;
    }
    await this.#withLease(async () => {
      let delayMs = POLL_MS_FIRST;
      let restsFromMs = clock.nowMs() + REST_MS;
      while (!signal.aborted) {
        const worked = await this.#foldAvailable({ gathers: true, signal }) > 0;
        const gathers = this.#open !== null;
        this.#report.waiting(this.#walk.hasSealed && !worked && !gathers);
        if (worked || gathers) restsFromMs = clock.nowMs() + REST_MS;
        else if (clock.nowMs() >= restsFromMs) {
          restsFromMs = Infinity;
          this.#releaseSpace();
        }
        delayMs = worked || gathers ? POLL_MS_FIRST : Math.min(POLL_MS_LAST, delayMs * 2);
        const pauseMs = worked && !gathers ? 0 : delayMs;
        await clock.sleep(this.#report.shortage === null ? pauseMs : SHORTAGE_RETRY_MS, signal);
      }
    });
  }

  /**
   * Recovers every log without a living holder, folds and recycles until no sealed log remains. Throws
   * `BusyError` if the lease cannot be taken in time or the disk is full, `CorruptError` if something
   * damaged remains, and `FailedError` if only logs or keyspaces of another format do.
   */
  async runOnce({ signal, lockTimeoutMs }: {
    readonly signal: AbortSignal;
    readonly lockTimeoutMs: number;
  }): Promise<void> {
    const { clock } = this.environment;
    this.directory.joinDaemons();
    if (!await takeLease(this.directory, { clock, signal, timeoutMs: lockTimeoutMs })) return;
    await this.#withLease(async () => {
      let deadlineMs = clock.nowMs() + lockTimeoutMs;
      while (!signal.aborted) {
        const worked = await this.#foldAvailable({ gathers: false, signal });
        if (worked > 0) deadlineMs = clock.nowMs() + lockTimeoutMs;
        if (this.#report.shortage !== null) {
          throw this.#report.error(this.directory.paths.data);
        }
        if (worked > 0 || this.#wasTooLarge || this.#hasDeferred) {
          await clock.sleep(0, signal);
          continue;
        }
        // A reader that opens a log, or a writer that is releasing one, holds it for a moment.
        const held = this.#walk.heldSealedLog();
        if (held === null && !this.#walk.isCut) break;
        if (held !== null && clock.nowMs() >= deadlineMs) {
          throw new BusyError(
            `Sealed log ${held} is held by ` +
              `${this.directory.control.describeHolder(slotLock(held))}: try again`,
          );
        }
        await clock.sleep(POLL_MS_FIRST, signal);
      }
    });
    const { logCount, formatError } = this.#quarantine;
    if (logCount > 0) {
      const logs = `${logCount} logs of ${this.directory.paths.data}`;
      if (formatError !== null) throw new FailedError(`${logs} wait. ${formatError.message}`);
      throw new CorruptError(
        `${logs} are in quarantine: run countd check, then countd repair`,
        { path: this.directory.paths.logs, offset: 0 },
      );
    }
  }

  /** Not while a backup reads older versions. */
  #releaseSpace(): void {
    if (this.directory.control.isHeldElsewhere(directoryLocks.pin)) return;
    this.#writers.releaseSpace((name, error) => {
      if (!isFailureOf("keyspace", error)) throw error;
      this.#quarantine.addKeyspace(name, error);
    });
  }

  async #withLease(body: () => Promise<void>): Promise<void> {
    const { storage, control, paths } = this.directory;
    try {
      storage.reach("fold.1.before");
      makeDirectories(storage, paths.keyspaces, 0o700);
      this.#makeGenerationsDurable();
      storage.reach("fold.1.after");
      sweepKeyspaces(storage, paths.keyspaces);
      resolveLoneLockNames(this.directory);
      await body();
    } catch (error) {
      throw errorToEndWith(this.directory, error, this.environment);
    } finally {
      this.#dropOpenFold();
      this.#walk.close();
      this.#writers.close();
      control.unlock(directoryLocks.fold);
    }
  }

  /**
   * Fold, step 1. An applied generation may have been published by a process that ended before its sync. It
   * must be on disk before a log is recycled because of it. The keyspaces may have their own file system.
   */
  #makeGenerationsDurable(): void {
    const { storage, paths } = this.directory;
    const { fileSystem } = this.#writers;
    fileSystem.sync();
    if (storage.status(paths.data).device !== fileSystem.device) {
      using around = storage.openFileSystem(paths.data);
      around.sync();
    }
    this.#areGenerationsDurable = true;
  }

  /** Releases the logs that a fold has gathered: the next one takes them again. */
  #dropOpenFold(): void {
    this.#open?.releaseLogs();
    this.#open = null;
    this.#openMs = 0;
  }

  /**
   * One fold of the logs that are there. If it gathers and more logs will come soon, it stays open. Once the
   * signal has fired, it stops between two groups of keyspaces. Returns the number of logs that were recycled
   * or recovered, and of keyspaces that were published.
   */
  async #foldAvailable(
    { gathers, signal }: { readonly gathers: boolean; readonly signal: AbortSignal },
  ): Promise<number> {
    const { clock } = this.environment;
    const isHolder = this.directory.control.holds(directoryLocks.fold);
    assert(isHolder, "Only the holder of the fold lease folds");
    this.directory.refuseUnusable();
    const hasMoved = this.#writers.followDirectory();
    if (hasMoved) this.#dropOpenFold();
    if (hasMoved || !this.#areGenerationsDurable) this.#makeGenerationsDurable();
    const startMs = clock.nowMs();
    const fold = this.#open ??
      new Fold(this.directory, this.#writers, this.#aggregator, this.#quarantine);
    this.#open = null;
    try {
      this.#wasTooLarge = false;
      this.#hasDeferred = false;
      const turns = { clock, turnMs: TURN_MS, signal };
      const walked = await inTurns(this.#walk.collect(fold, this.#logsMax), turns);
      const { recovered, isEnough } = walked;
      if (walked.isStopped) {
        fold.releaseLogs();
        return recovered;
      }
      if (fold.logCount === 0) return recovered;
      this.#openMs += clock.nowMs() - startMs;
      if (gathers && !isEnough) {
        this.#open = fold;
        return recovered;
      }
      const applyMs = clock.nowMs();
      const result = await inTurns(fold.applying(), turns);
      this.#hasDeferred = result.deferred > 0;
      this.#writers.trim();
      this.#report.lacks(null);
      this.#logsMax *= 2;
      this.#report.folded(result, this.#openMs + clock.nowMs() - applyMs);
      this.#openMs = 0;
      return recovered + result.recycled + result.keyspaces;
    } catch (error) {
      this.#areGenerationsDurable = false;
      this.#openMs = 0;
      fold.releaseLogs();
      // Some may be published and some not: the next fold reads them again.
      this.#writers.dropAll();
      if (error instanceof LogUnusableError) return 1; // in quarantine; the others are tried at once
      if (hasCode(error, "ENOENT") && this.#writers.hasLostDirectory) {
        // The next fold makes it again, or goes on in the one that is there.
        this.#hasDeferred = true;
        return 0;
      }
      // So many logs may wait that a process cannot have them all open: fewer are taken next time.
      const cause = error instanceof FoldTooLargeError ? error.cause : error;
      const shortage = shortageOf(cause);
      if (shortage === null) throw error;
      this.#wasTooLarge = true;
      const isSmallest = fold.takenCount <= 1;
      this.#report.lacks(isSmallest ? shortage : null);
      this.#logsMax = Math.max(1, Math.floor(fold.takenCount / 2));
      return 0;
    }
  }
}
