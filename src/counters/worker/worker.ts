/**
 * `countd worker`: takes the fold lease, recovers the logs of dead writers, and folds sealed logs. `fold.ts`
 * is one fold; this file decides when to fold, and how much at a time.
 */

import { assert } from "../../base/assert.ts";
import type { Clock } from "../../base/clock.ts";
import type { Events } from "../../base/events.ts";
import { BusyError, CorruptError, FailedError } from "../../base/errors.ts";
import type { Metrics } from "../../base/metrics.ts";
import {
  type DataDirectory,
  directoryLocks,
  errorToEndWith,
  FREE_MODE,
  HEAD_PAGE_BYTES,
  headerOfSlot,
  listSlots,
  LogReader,
  pathOfSlot,
  reportRecovery,
  resolveLoneLockNames,
  SealedLog,
  slotLock,
} from "../commitlog/mod.ts";
import { isDiskFull, isOutOfResources, makeDirectories } from "../../file/mod.ts";
import { Aggregator, sweepKeyspaces } from "../keyspace/mod.ts";
import { Fold, FoldTooLargeError, LogUnusableError } from "./fold.ts";
import { takeLease, tryTakeLease } from "./fold_lease.ts";
import { FoldReport } from "./fold_report.ts";
import { Gathering } from "./gathering.ts";
import { HeldLogs } from "./held_logs.ts";
import { KeyspaceWriters } from "./keyspace_writers.ts";
import { isFailureOf, Quarantine } from "./quarantine.ts";

export interface Environment {
  readonly clock: Clock;
  readonly events: Events;
  readonly metrics: Metrics;
}

/** Pause between two walks through the pool: short after work and while a fold gathers, then longer. */
const POLL_MS_FIRST = 10;
const POLL_MS_LAST = 100;
/** After so long without a fold the keyspaces return the space of their older versions to the system. */
const REST_MS = 1000;
/** Pause between two tries while there is too little of something for even one log. */
const SHORTAGE_RETRY_MS = 500;

/** A log that a walk has found, in the order of the claims. */
interface FoundLog {
  readonly slot: number;
  readonly order: bigint;
  /** To take a free log only sets its label right. */
  readonly isFree: boolean;
  /** Set for an active log that another process holds, which is not taken. */
  readonly active?: { readonly generation: bigint; readonly end: number };
}

function byOrder(left: FoundLog, right: FoundLog): number {
  return left.order < right.order ? -1 : 1;
}

export class Worker {
  readonly #writers: KeyspaceWriters;
  readonly #aggregator = new Aggregator();
  readonly #quarantine: Quarantine;
  readonly #gathering: Gathering;
  readonly #report: FoldReport;
  /** A fold that waits for more logs. */
  #open: Fold | null = null;
  /** Time that it has used so far, without the waiting. */
  #openMs = 0;
  /** False until a sync has made sure that the applied generations that are read are on disk. */
  #areGenerationsDurable = false;
  /** Walks read the headers of all logs, whatever their labels say, until one walk has read them all. */
  #isThorough = true;
  #logsMax = Infinity;
  readonly #heldLogs: HeldLogs;
  /** The last walk ended at a log that another process held. */
  #isCut = false;
  /** The last fold was aborted for lack of space; a smaller one is tried next. */
  #wasTooLarge = false;
  /** The last fold has deferred logs to the next one. */
  #hasDeferred = false;
  #hasSealed = false;

  constructor(readonly directory: DataDirectory, readonly environment: Environment) {
    const { storage, paths } = directory;
    const { clock, events } = environment;
    this.#writers = new KeyspaceWriters(storage, paths.keyspaces, events);
    this.#quarantine = new Quarantine(clock, events);
    this.#gathering = new Gathering(directory, clock);
    this.#report = new FoldReport(environment);
    this.#heldLogs = new HeldLogs(clock);
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
        const worked = this.#foldAvailable({ gathers: true }) > 0;
        const gathers = this.#open !== null;
        this.#report.waiting(this.#hasSealed && !worked && !gathers);
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
        const worked = this.#foldAvailable({ gathers: false });
        if (worked > 0) deadlineMs = clock.nowMs() + lockTimeoutMs;
        if (this.#report.shortage !== null) {
          throw this.#report.error(this.directory.paths.data);
        }
        if (worked > 0 || this.#wasTooLarge || this.#hasDeferred) {
          await clock.sleep(0, signal);
          continue;
        }
        // A reader that opens a log, or a writer that is releasing one, holds it for a moment.
        const held = this.#heldSealedLog();
        if (held === null && !this.#isCut) break;
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

  /** A slot that is sealed and could not be taken, or null. Those in quarantine do not count. */
  #heldSealedLog(): number | null {
    const { storage, control, paths } = this.directory;
    for (const slot of listSlots(storage, paths.logs).slots) {
      if (this.#quarantine.hasLog(slot) || !control.isHeldElsewhere(slotLock(slot))) continue;
      using log = LogReader.open(this.directory, slot);
      // The mode forbids reading and cannot be changed: the log is sealed, and another process holds it.
      if (log === null || log.capture()?.state === "sealed") return slot;
    }
    return null;
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
      this.#open?.releaseLogs();
      this.#open = null;
      this.#gathering.close();
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

  /**
   * One fold of the logs that are there. If it gathers and more logs will come soon, it stays open. Returns
   * the number of logs that were recycled or recovered.
   */
  #foldAvailable({ gathers }: { readonly gathers: boolean }): number {
    const { clock } = this.environment;
    const isHolder = this.directory.control.holds(directoryLocks.fold);
    assert(isHolder, "Only the holder of the fold lease folds");
    this.directory.refuseUnusable();
    const hasMoved = this.#open === null && this.#writers.followDirectory();
    if (hasMoved || !this.#areGenerationsDurable) this.#makeGenerationsDurable();
    const startMs = clock.nowMs();
    const fold = this.#open ??
      new Fold(this.directory, this.#writers, this.#aggregator, this.#quarantine);
    this.#open = null;
    try {
      this.#wasTooLarge = false;
      this.#hasDeferred = false;
      const { recovered, isEnough } = this.#collect(fold);
      if (fold.logCount === 0) return recovered;
      this.#openMs += clock.nowMs() - startMs;
      if (gathers && !isEnough) {
        this.#open = fold;
        return recovered;
      }
      const applyMs = clock.nowMs();
      const result = fold.applyAndRecycle();
      this.#hasDeferred = result.deferred > 0;
      this.#writers.trim();
      this.#report.lacks(null);
      this.#logsMax *= 2;
      this.#report.folded(result, this.#openMs + clock.nowMs() - applyMs);
      this.#openMs = 0;
      return recovered + result.recycled;
    } catch (error) {
      this.#areGenerationsDurable = false;
      this.#openMs = 0;
      fold.releaseLogs();
      // Some may be published and some not: the next fold reads them again.
      this.#writers.dropAll();
      if (error instanceof LogUnusableError) return 1; // in quarantine; the others are tried at once
      // So many logs may wait that a process cannot have them all open: fewer are taken next time.
      const cause = error instanceof FoldTooLargeError ? error.cause : error;
      const isScarce = isOutOfResources(cause);
      if (!isScarce && !isDiskFull(cause)) throw error;
      this.#wasTooLarge = true;
      const isSmallest = fold.takenCount <= 1;
      this.#report.lacks(isSmallest ? isScarce ? "resources" : "space" : null);
      this.#logsMax = Math.max(1, Math.floor(fold.takenCount / 2));
      return 0;
    }
  }

  /**
   * Walks through the pool: recovers the logs of dead writers and adds sealed logs, until the sums are large
   * enough. `isEnough` says that waiting for more logs does not pay.
   */
  #collect(fold: Fold): { readonly recovered: number; readonly isEnough: boolean } {
    const { paths, storage } = this.directory;
    let recovered = 0;
    let isFull = false;
    this.#isCut = false;
    const { slots } = listSlots(storage, paths.logs);
    const found = this.#findLogs(slots);
    this.#hasSealed = found.some(({ isFree, active }) => !isFree && active === undefined);
    for (let next = found.shift(); next !== undefined; next = found.shift()) {
      const { slot, active } = next;
      isFull = this.#aggregator.isFull || fold.logCount >= this.#logsMax;
      if (isFull) break;
      if (active !== undefined) {
        this.#isCut = !this.#mayPass(slot, active) &&
          found.some((log) => !log.isFree && log.active === undefined);
        if (this.#isCut) break;
        continue;
      }
      try {
        let taken = SealedLog.take(this.directory, slot);
        if (taken.kind === "recovered") {
          reportRecovery(taken.recovery, this.environment);
          recovered++;
          // Taken at once: later logs wait for it.
          taken = SealedLog.take(this.directory, slot);
        }
        if (taken.kind === "sealed") {
          const { order } = taken.log;
          // The order was unknown if the log was held and could not be read.
          if (found.some((log) => !log.isFree && log.order < order)) {
            taken.log.release();
            found.push({ ...next, order });
            found.sort(byOrder);
            continue;
          }
          this.#gathering.observeSealed(taken.log.identity, taken.log.length);
          fold.add(taken.log);
          this.#heldLogs.forget(slot);
        } else if (!next.isFree && this.#heldLogs.waitsFor(slot)) {
          // Held elsewhere a moment ago at least: what it is now the next walk finds.
          this.#isCut = true;
          break;
        }
      } catch (error) {
        if (!isFailureOf("log", error)) throw error;
        this.#quarantine.addLog(slot, error);
      }
    }
    // A walk that ended early, here or by an error, has not read the other headers.
    if (!isFull && !this.#isCut) this.#isThorough = false;
    const gathered = {
      logs: fold.logCount,
      keys: this.#aggregator.distinctKeys,
      lastLength: fold.lastLength,
    };
    const isEnough = !this.#gathering.paysToWait(gathered, slots.length) || isFull;
    return { recovered, isEnough };
  }

  /**
   * The logs that may be sealed, and the active ones that are held elsewhere, in their order: the last
   * operation on a counter decides, so an older log is never folded after a later one of the same writer. A
   * log without a header comes first, and is found damaged when it is taken.
   */
  #findLogs(slots: readonly number[]): FoundLog[] {
    const { storage, control, paths } = this.directory;
    const found: FoundLog[] = [];
    for (const slot of slots) {
      if (this.#quarantine.hasLog(slot)) continue;
      const status = storage.statusOrNull(pathOfSlot(paths.logs, slot));
      if (status === null) continue;
      if (!this.#isThorough && status.mode === FREE_MODE && status.links === 1) continue;
      if (control.holds(slotLock(slot))) continue; // gathered already
      const isHeld = control.isHeldElsewhere(slotLock(slot));
      if (!isHeld) this.#heldLogs.forget(slot);
      const header = headerOfSlot(this.directory, slot);
      const isRead = header !== null && header !== "held";
      const order = isRead ? header.order : 0n;
      const isFree = isRead && header.state === "free";
      if (!isHeld || header === "held" || header?.state === "sealed") {
        found.push({ slot, order, isFree });
        continue;
      }
      const end = this.#gathering.observeActive(slot);
      if (header?.state !== "active") continue;
      found.push({ slot, order, isFree, active: { ...header, end } });
    }
    return found.sort(byOrder);
  }

  /**
   * Whether later logs may be folded before an active log that another process holds. That may be its living
   * writer, or a process that recovers the log of a dead one. Not if it is active no longer: what is behind
   * it may have been sealed after it.
   */
  #mayPass(slot: number, { generation, end }: NonNullable<FoundLog["active"]>): boolean {
    const header = headerOfSlot(this.directory, slot);
    if (header === null || header === "held") return !this.#heldLogs.waitsFor(slot);
    if (header.state !== "active" || header.generation !== generation) return false;
    const holder = this.directory.control.describeHolder(slotLock(slot));
    return end === HEAD_PAGE_BYTES ||
      !this.#heldLogs.waitsFor(slot, `${generation} ${holder}`, end);
  }
}
