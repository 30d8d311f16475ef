/**
 * Walks through the pool of logs for a fold: recovers the logs of dead writers, and takes the sealed ones in their
 * order. A log that another process holds may have to be waited for.
 */

import type { Clock } from "../../base/clock.ts";
import type { Events } from "../../base/events.ts";
import type { Metrics } from "../../base/metrics.ts";
import {
  type DataDirectory,
  FREE_MODE,
  HEAD_PAGE_BYTES,
  headerOfSlot,
  listSlots,
  LogReader,
  pathOfSlot,
  reportRecovery,
  SealedLog,
  slotLock,
} from "../commitlog/mod.ts";
import type { Fold } from "./fold.ts";
import { Gathering } from "./gathering.ts";
import { HeldLogs } from "./held_logs.ts";
import { isFailureOf, type Quarantine } from "./quarantine.ts";
import type { Steps } from "../../base/steps.ts";

export interface Environment {
  readonly clock: Clock;
  readonly events: Events;
  readonly metrics: Metrics;
}

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

/** What a walk has done. */
export interface Walked {
  readonly recovered: number;
  /** Waiting for more logs does not pay. */
  readonly isEnough: boolean;
  /** The walk was stopped in the middle of a log: the sums of the fold are void. */
  readonly isStopped: boolean;
}

export class LogWalk {
  readonly directory: DataDirectory;
  readonly environment: Environment;
  readonly #quarantine: Quarantine;
  readonly #gathering: Gathering;
  readonly #heldLogs: HeldLogs;
  /** Walks read the headers of all logs, whatever their labels say, until one walk has read them all. */
  #isThorough = true;
  /** The last walk ended at a log that another process held. */
  #isCut = false;
  #hasSealed = false;

  constructor(directory: DataDirectory, environment: Environment, quarantine: Quarantine) {
    this.directory = directory;
    this.environment = environment;
    this.#quarantine = quarantine;
    this.#gathering = new Gathering(directory, environment.clock);
    this.#heldLogs = new HeldLogs(environment.clock);
  }

  /** The last walk ended at a log that another process held. */
  get isCut(): boolean {
    return this.#isCut;
  }

  /** The last walk found sealed logs. */
  get hasSealed(): boolean {
    return this.#hasSealed;
  }

  close(): void {
    this.#gathering.close();
  }

  /** A slot that is sealed and could not be taken, or null. Those in quarantine do not count. */
  heldSealedLog(): number | null {
    const { storage, control, paths } = this.directory;
    for (const slot of listSlots(storage, paths.logs).slots) {
      if (this.#quarantine.hasLog(slot) || !control.isHeldElsewhere(slotLock(slot))) continue;
      using log = LogReader.open(this.directory, slot);
      // The mode forbids reading and cannot be changed: the log is sealed, and another process holds it.
      if (log === null || log.capture()?.state === "sealed") return slot;
    }
    return null;
  }

  /** Recovers the logs of dead writers and adds sealed logs to a fold, until its sums are large enough. */
  *collect(fold: Fold, logsMax: number): Steps<Walked> {
    const { paths, storage } = this.directory;
    let recovered = 0;
    let isFull = false;
    this.#isCut = false;
    const { slots } = listSlots(storage, paths.logs);
    const found = this.#findLogs(slots);
    this.#hasSealed = found.some(({ isFree, active }) => !isFree && active === undefined);
    for (let next = found.shift(); next !== undefined; next = found.shift()) {
      const { slot, active } = next;
      isFull = fold.aggregator.isFull || fold.logCount >= logsMax;
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
          this.#heldLogs.forget(slot);
          if (yield* fold.adding(taken.log)) return { recovered, isEnough: true, isStopped: true };
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
      keys: fold.aggregator.distinctKeys,
      lastLength: fold.lastLength,
    };
    const isEnough = !this.#gathering.paysToWait(gathered, slots.length) || isFull;
    return { recovered, isEnough, isStopped: false };
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
