/**
 * Extends files ahead of the writes, between turns of the event loop. So a non-blocking write finds
 * capacity, and a blocking one rarely extends the file in its own path.
 *
 * How far ahead follows the pace of each file since its last extension: twice what it writes in
 * `HORIZON_MS` at that pace. It is at least one growth step, and at most `AHEAD_BYTES_MAX` at a time.
 */

import { clearImmediate, setImmediate } from "node:timers";
import type { Clock } from "../../base/clock.ts";
import type { Aof } from "./aof.ts";
import { FileState } from "./file_state.ts";
import type { ErrorFunc } from "../tail/reactor.ts";

/** For how long a file should not have to be extended again. */
const HORIZON_MS = 100;
/** Allocation holds the event loop: more than this is not asked for at once. */
const AHEAD_BYTES_MAX = 64 * 1024 * 1024;

interface Pace {
  sizeBytes: number;
  atMs: number;
}

export class Extender {
  readonly #clock: Clock;
  readonly #onError: ErrorFunc;
  readonly #paces = new Map<Aof, Pace>();
  /** Files to extend in the next turn, and the bytes of file that a waiting write needs. */
  readonly #wanted = new Map<Aof, number>();
  #turn: ReturnType<typeof setImmediate> | null = null;

  /** `onError` gets the error of a failed extension; the write that needs it will throw one as well. */
  constructor({ clock, onError }: { readonly clock: Clock; readonly onError: ErrorFunc }) {
    this.#clock = clock;
    this.#onError = onError;
  }

  watch(aof: Aof): void {
    if (aof.state !== FileState.Opened || aof.isReadOnly || aof.isAnonymous()) return;
    this.#paces.set(aof, { sizeBytes: aof.size, atMs: this.#clock.nowMs() });
    const { growthStep } = aof.geometry;
    aof.onLowCapacity(growthStep / 2, (_, neededBytes) => this.#want(aof, neededBytes));
  }

  forget(aof: Aof): void {
    this.#paces.delete(aof);
    this.#wanted.delete(aof);
  }

  close(): void {
    if (this.#turn !== null) clearImmediate(this.#turn);
    this.#turn = null;
    this.#paces.clear();
    this.#wanted.clear();
  }

  #want(aof: Aof, neededBytes: number): void {
    this.#wanted.set(aof, Math.max(neededBytes, this.#wanted.get(aof) ?? 0));
    this.#turn ??= setImmediate(() => this.#run());
  }

  #run(): void {
    this.#turn = null;
    const wanted = [...this.#wanted];
    this.#wanted.clear();
    for (const [aof, neededBytes] of wanted) {
      if (aof.state !== FileState.Opened) continue;
      try {
        this.#extend(aof, neededBytes);
      } catch (error) {
        this.#onError(error);
      }
    }
  }

  #extend(aof: Aof, neededBytes: number): void {
    const { growthStep, sizeUpper } = aof.geometry;
    const aheadBytes = Math.max(growthStep, Math.min(this.#paceBytes(aof), AHEAD_BYTES_MAX));
    const enough = Math.max(neededBytes, aof.size) + aheadBytes;
    const stepped = Math.ceil(enough / growthStep) * growthStep;
    aof.extend(Math.min(stepped, sizeUpper));
    aof.onLowCapacity(aheadBytes / 2, (_, needed) => this.#want(aof, needed));
  }

  /** Twice the bytes of one horizon, at the pace since the last extension. */
  #paceBytes(aof: Aof): number {
    const pace = this.#paces.get(aof);
    if (pace === undefined) return 0;
    const nowMs = this.#clock.nowMs();
    // A pause before the burst must not make it look slow for ever; one millisecond bounds the other end.
    const elapsedMs = Math.max(nowMs - pace.atMs, 1);
    const bytes = aof.size - pace.sizeBytes;
    pace.sizeBytes = aof.size;
    pace.atMs = nowMs;
    return 2 * bytes * (HORIZON_MS / elapsedMs);
  }
}
