/**
 * The pool of commit logs: claiming one, making more, and recovering those of dead processes.
 *
 * Outcomes of taking a slot:
 *   byte held elsewhere        left alone: its holder lives
 *   byte free, header free     claimable
 *   byte free, header sealed   waits for a fold; its label is put right
 *   byte free, header active   its writer is dead: recovered (sealed or freed)
 *   file damaged               reported once and left alone; the pool uses the others
 *   file of another format     the same
 */

import type { Clock } from "../../base/clock.ts";
import {
  BusyError,
  CorruptError,
  type CountdError,
  RefusedError,
  UsageError,
} from "../../base/errors.ts";
import { isFormatError } from "../../base/format.ts";
import { LOG_SIZE_UNIT_BYTES, poolDefaults, SLOTS_MAX } from "../../base/pool_defaults.ts";
import { concernsOneFile, hasCode, isDiskFull, type OsError, syncName } from "../../file/mod.ts";
import { ActiveLog } from "./active_log.ts";
import { slotLock } from "./control.ts";
import { directoryLocks } from "./control_layout.ts";
import { createSlot } from "./create_slot.ts";
import type { DataDirectory } from "./directory.ts";
import { HeldLog } from "./held_log.ts";
import { resolveLoneLockNames } from "./lost_logs.ts";
import { headerOfSlot } from "./open_slot.ts";
import { recoverHeld, type Recovery } from "./recover_slot.ts";
import { FREE_MODE, HELD_MODE, listSlots, pathOfSlot } from "./slot_files.ts";

export interface PoolOptions {
  /** Slots that are made at the first start. */
  readonly logs: number;
  /** Most bytes that all slots together may take. Default: 4 GiB, or those of 1,024 logs if that is less. */
  readonly backlogBytes?: number | undefined;
  readonly clock: Clock;
  /** Called for every log that a claim or a start recovers. */
  readonly onRecovery?: (recovery: Recovery) => void;
  /** Called once for every slot that cannot be used. */
  readonly onDamage?: (error: CountdError | OsError) => void;
}

/** A fold needs space to free a log, so growth leaves this many log sizes on the disk. */
const RESERVED_LOGS = 4;

/**
 * The most slots that a pool may have. Throws `UsageError` for a backlog that is too small for an active log
 * and a spare, or that needs more than 1,024 logs.
 */
export function slotsOfBacklog(backlogBytes: number | undefined, logSize: number): number {
  const slots = Math.floor((backlogBytes ?? poolDefaults.backlogBytes) / logSize);
  if (backlogBytes === undefined) return Math.min(slots, SLOTS_MAX);
  if (slots < 2) {
    throw new UsageError(
      `Invalid --backlog ${backlogBytes}: two logs of ${logSize} bytes are the least (${
        2 * logSize
      })`,
    );
  }
  if (slots > SLOTS_MAX) {
    const fitting = Math.ceil(backlogBytes / SLOTS_MAX / LOG_SIZE_UNIT_BYTES) * LOG_SIZE_UNIT_BYTES;
    throw new UsageError(
      `Invalid --backlog ${backlogBytes} with --log-size ${logSize}: a pool has at most ${SLOTS_MAX} ` +
        `logs. Use --backlog ${SLOTS_MAX * logSize} or less, or a new data directory with ` +
        `--log-size ${fitting}`,
    );
  }
  return slots;
}

/** Why no log can be claimed now. `growth`: another process is adding one, for longer than usual. */
export type PoolFull = "backlog" | "disk" | "growth";

/** How long to wait while another process adds a log: at the start, and in a claim. */
const growthWaitMs = { prepare: 60_000, claim: 1000 } as const;

export class LogPool {
  #next = 0;
  readonly #slotsMax: number;
  readonly #damaged = new Set<number>();

  constructor(readonly directory: DataDirectory, readonly options: PoolOptions) {
    this.#slotsMax = slotsOfBacklog(options.backlogBytes, directory.sizes.logSize);
  }

  /**
   * Makes the first slots; on a full disk two are enough. The names that lead to them are durable
   * afterwards, even if another process made them. Throws the signal's reason if it fires first, and
   * `BusyError` if another process is adding slots and makes no progress. Throws `RefusedError` if there are
   * more slots than a pool can have.
   */
  async prepare(signal?: AbortSignal): Promise<void> {
    const { storage, control, paths } = this.directory;
    const { clock } = this.options;
    for (const path of [paths.data, paths.control]) syncName(storage, path);
    storage.syncDirectory(paths.logs);
    const last = this.#list().slots.at(-1) ?? 0;
    if (last >= SLOTS_MAX) {
      throw new RefusedError(
        `${pathOfSlot(paths.logs, last)} has a number above ${
          SLOTS_MAX - 1
        }, and a pool has at most ` +
          `${SLOTS_MAX} logs. Fold everything with the countd that made it (OLD/countd worker --once ` +
          `--data ${paths.data}), and load the counters into a new directory: README.md has the ` +
          `commands under "Move from format 1". To move the log away is enough only if no keyspace ` +
          "has applied it: countd check then reports no rule 12",
      );
    }
    const wanted = Math.min(this.options.logs, this.#slotsMax);
    let most = 0;
    let movedMs = clock.nowMs();
    while (true) {
      const { slots } = this.#list();
      if (slots.length >= wanted) return;
      signal?.throwIfAborted();
      if (slots.length > most) movedMs = clock.nowMs();
      most = Math.max(most, slots.length);
      if (clock.nowMs() - movedMs > growthWaitMs.prepare) {
        throw new BusyError(
          `${control.describeHolder(directoryLocks.growth)} has been creating commit logs in ` +
            `${paths.data} for over ${growthWaitMs.prepare / 1000} s without progress: ` +
            "wait for it or stop it, and try again",
        );
      }
      try {
        if (!(await this.#grow())) await clock.sleep(10, signal);
      } catch (error) {
        if (!isDiskFull(error) || slots.length < 2) throw error;
        return;
      }
    }
  }

  /**
   * Claims a log: the next free one after the last claimed, wrapping around, or else a new one. Returns the
   * reason if there is none now. Claim, steps 1 and 2, are `HeldLog.take`; steps 3 and 4 are
   * `ActiveLog.claim`.
   */
  async claim(): Promise<ActiveLog | PoolFull> {
    const { clock } = this.options;
    const startMs = clock.nowMs();
    while (true) {
      const { slots } = this.#list();
      const start = slots.findIndex((slot) => slot >= this.#next);
      const order = start === -1 ? slots : [...slots.slice(start), ...slots.slice(0, start)];
      for (const slot of order) {
        const active = await this.#claimSlot(slot);
        if (active === null) continue;
        this.#next = slot + 1;
        return active;
      }
      const full = this.#whyNoMore(slots.length);
      if (full !== null) return full;
      try {
        if (await this.#grow()) continue;
        if (clock.nowMs() - startMs > growthWaitMs.claim) return "growth";
        await clock.sleep(1);
      } catch (error) {
        if (isDiskFull(error)) return "disk";
        throw error;
      }
    }
  }

  /** True if a log has the label of a free one. Cheap, and only a hint. */
  hasFreeSlot(): boolean {
    const { storage, paths } = this.directory;
    return this.#list().slots.some((slot) =>
      storage.statusOrNull(pathOfSlot(paths.logs, slot))?.mode === FREE_MODE
    );
  }

  async #claimSlot(slot: number): Promise<ActiveLog | null> {
    const { storage, paths } = this.directory;
    if (this.#damaged.has(slot)) return null;
    const mode = storage.statusOrNull(pathOfSlot(paths.logs, slot))?.mode;
    if (mode !== FREE_MODE && mode !== HELD_MODE) return null;
    const log = this.#take(slot);
    if (log === null) return null;
    const header = log.header();
    if (header?.state === "free") {
      try {
        return await ActiveLog.claim(log, header, this.options.clock);
      } catch (error) {
        log.leaveForRecovery();
        throw error;
      }
    }
    this.#recover(log);
    return null;
  }

  #take(slot: number): HeldLog | null {
    try {
      return HeldLog.take(this.directory, slot);
    } catch (error) {
      this.#reportDamage(slot, error);
      return null;
    }
  }

  #recover(log: HeldLog): void {
    try {
      const recovery = recoverHeld(log);
      if (recovery.wasActive) this.options.onRecovery?.(recovery);
    } catch (error) {
      this.#reportDamage(log.slot, error);
    }
  }

  #reportDamage(slot: number, error: unknown): void {
    const isOfLog = error instanceof CorruptError || isFormatError(error) ||
      concernsOneFile(error, "log");
    if (!isOfLog) throw error;
    this.#damaged.add(slot);
    this.options.onDamage?.(error);
  }

  /**
   * Recovers every log whose holder is dead, in the order of their claims, as they were sealed if their writer
   * had lived. Called once when a daemon starts.
   */
  recoverAll(): void {
    const { storage, control, paths } = this.directory;
    // A log whose name is restored is recovered below; an unfinished one only takes space.
    resolveLoneLockNames(this.directory);
    const left: { slot: number; order: bigint }[] = [];
    for (const slot of this.#list().slots) {
      if (control.holds(slotLock(slot))) continue;
      const status = storage.statusOrNull(pathOfSlot(paths.logs, slot));
      // Two names or the mode of a held log: a process holds it, or died while it did.
      if (status === null || (status.mode !== HELD_MODE && status.links < 2)) continue;
      left.push({ slot, order: this.#orderOf(slot) });
    }
    for (const { slot } of left.sort((one, other) => one.order < other.order ? -1 : 1)) {
      const log = this.#take(slot);
      if (log !== null) this.#recover(log);
    }
  }

  /** 0 if the log cannot be read: it is found damaged when it is taken. */
  #orderOf(slot: number): bigint {
    const header = headerOfSlot(this.directory, slot);
    return header === null || header === "held" ? 0n : header.order;
  }

  #list(): { slots: number[] } {
    return listSlots(this.directory.storage, this.directory.paths.logs);
  }

  #whyNoMore(slots: number): PoolFull | null {
    if (slots >= this.#slotsMax) return "backlog";
    const { freeBytes } = this.directory.storage.space(this.directory.paths.logs);
    const { logSize } = this.directory.sizes;
    return freeBytes < logSize * (1 + RESERVED_LOGS) ? "disk" : null;
  }

  /** Adds the next slot. False if another process is adding one now. */
  async #grow(): Promise<boolean> {
    const { control } = this.directory;
    if (!control.tryLock(directoryLocks.growth)) return false;
    try {
      const { slots } = this.#list();
      let next = 0;
      while (slots.includes(next)) next++;
      return await createSlot(this.directory, next);
    } catch (error) {
      if (hasCode(error, "EEXIST")) return false;
      throw error;
    } finally {
      control.unlock(directoryLocks.growth);
    }
  }
}
