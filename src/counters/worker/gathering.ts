/**
 * Decides when a fold should wait for more logs. While writers fill log after log, one fold of four logs
 * costs little more than a fold of one, because they bring the same keys. Readers do not wait for folds,
 * because they see what is in the logs. So logs are summed as they come, and applied together.
 */

import type { Clock } from "../../base/clock.ts";
import {
  type Capture,
  type DataDirectory,
  HEAD_PAGE_BYTES,
  type LogIdentity,
  LogReader,
} from "../commitlog/mod.ts";
import { OsError } from "../../file/mod.ts";

/** A fold waits no longer than this after its first log. */
const GATHER_MS = 500;
/** Nor with more logs than this, or half the pool: writers need them. */
const GATHERED_LOGS_MIN = 4;
/** Nor with so many different keys: readers hold all keys that are not folded. */
const GATHERED_KEYS_MAX = 150_000;
/** Writers that have not been fast for so long have paused. */
const PAUSE_MS = 40;
/** Part of its size that a log has when it is sealed as full. With less, its writer has paused. */
const FULL_RATIO = 0.75;

/** What a fold holds so far. */
export interface Gathered {
  readonly logs: number;
  /** Different keys in its sums. */
  readonly keys: number;
  /** Bytes of the log that was added last. */
  readonly lastLength: number;
}

export class Gathering {
  readonly #directory: DataDirectory;
  readonly #clock: Clock;
  readonly #probes = new Map<number, LogReader>();
  /** Tails of the active logs at the last walk through the pool, and at this one. */
  #tails = new Map<number, { readonly generation: bigint; readonly tail: number }>();
  #seen = new Map<number, { readonly generation: bigint; readonly tail: number }>();
  #appended = 0;
  #walkMs = 0;
  #fastMs = -Infinity;
  #sinceMs: number | null = null;

  constructor(directory: DataDirectory, clock: Clock) {
    this.#directory = directory;
    this.#clock = clock;
  }

  /** A slot that another process holds, found on the walk. Returns the end of its frames; 0 if unknown. */
  observeActive(slot: number): number {
    const capture = this.#capture(slot);
    if (capture?.state !== "active") return 0;
    const { generation, limit: tail } = capture;
    this.#countAppended({ slot, generation }, tail);
    this.#seen.set(slot, { generation, tail });
    return tail;
  }

  /** A sealed log that the fold took on the walk: the rest of it was filled since the last walk. */
  observeSealed(identity: LogIdentity, length: number): void {
    this.#countAppended(identity, length);
  }

  #countAppended({ slot, generation }: LogIdentity, tail: number): void {
    const before = this.#tails.get(slot);
    const isSame = before?.generation === generation;
    this.#appended += tail - (isSame ? before.tail : HEAD_PAGE_BYTES);
  }

  /** After the walk: whether the fold that has `gathered` so much should wait for another log. */
  paysToWait({ logs, keys, lastLength }: Gathered, slots: number): boolean {
    const nowMs = this.#clock.nowMs();
    const { logSize } = this.#directory.sizes;
    const bytesPerMs = this.#appended / Math.max(1, nowMs - this.#walkMs);
    this.#closeAllBut(this.#seen);
    this.#tails = this.#seen;
    this.#seen = new Map();
    this.#appended = 0;
    this.#walkMs = nowMs;
    if (bytesPerMs * GATHER_MS >= logSize) this.#fastMs = nowMs;
    if (logs === 0) {
      this.#sinceMs = null;
      return false;
    }
    this.#sinceMs ??= nowMs;
    const waits = nowMs - this.#sinceMs < GATHER_MS && nowMs - this.#fastMs < PAUSE_MS &&
      logs < Math.max(GATHERED_LOGS_MIN, slots / 2) && keys < GATHERED_KEYS_MAX &&
      lastLength >= logSize * FULL_RATIO;
    if (!waits) this.#sinceMs = null;
    return waits;
  }

  #capture(slot: number): Capture | null {
    try {
      const reader = this.#probes.get(slot) ?? LogReader.open(this.#directory, slot);
      if (reader === null) return null;
      this.#probes.set(slot, reader);
      return reader.captureKnown();
    } catch (error) {
      // Missing a writer only means not to wait for it.
      if (error instanceof OsError) return null;
      throw error;
    }
  }

  close(): void {
    this.#closeAllBut(new Map());
  }

  #closeAllBut(kept: ReadonlyMap<number, unknown>): void {
    for (const [slot, probe] of this.#probes) {
      if (kept.has(slot)) continue;
      probe.close();
      this.#probes.delete(slot);
    }
  }
}
