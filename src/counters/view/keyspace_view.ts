/**
 * One keyspace as it is now: a snapshot of its file, with the deltas of the logs that the file has not
 * applied. `refresh` is Refresh, steps 1 to 3: see the README of this room. A view exists only for a
 * keyspace that a caller has asked for.
 *
 * Invariants:
 * 1. The deltas of all logs are read *before* the newest snapshot of the file is taken. A log that is
 *    folded in between is then in the snapshot, and its delta is dropped by its applied generation:
 *    nothing is missed, nothing is counted twice.
 * 2. A delta belongs to one use (slot, generation) of a log. It is dropped if the file has applied it or
 *    the log is in another use: a log is recycled only after all its keyspaces have applied it.
 * 3. The overlay holds exactly the sums of the deltas, over exactly the snapshot that is open.
 * 4. Damage in a log that the file has not applied is an error, because the damaged part may hold a delta
 *    of this keyspace. A torn tail, above the durable length, is not damage.
 */

import { undoOnError } from "../../base/undo_on_error.ts";
import type { Capture } from "../commitlog/mod.ts";
import type { LogWatch, WatchedLog } from "./deltas/log_watch.ts";
import type { BaseRanking } from "./ranking/base_ranking.ts";
import { Overlay } from "./ranking/overlay.ts";
import { nameWords, RecordWalk, sameName, type SumTarget } from "./deltas/record_walk.ts";
import type { RefreshLimit } from "./refresh_limit.ts";
import { RowCopy } from "./row_copy.ts";
import type { RowBuffer } from "./ranking/row_buffer.ts";
import { Delta } from "./deltas/delta.ts";

/** A keyspace's file, which need not exist yet. */
export interface KeyspaceFile extends Disposable {
  /** True if the name of the keyspace leads to another file than the open one, or none. */
  readonly isLost: boolean;
  /** Takes the newest snapshot; false if it is open already. */
  refresh(): boolean;
  /** Applied generation of a slot: the greatest one that is in the snapshot. */
  applied(slot: number): bigint;
  readonly ranking: BaseRanking;
}

/** The result if the logs change more keys than a reader may hold: the answer has to wait for their fold. */
export const NEEDS_FOLD: unique symbol = Symbol("needs fold");
/** The result if the time was used up before the view was fresh: the next refresh goes on from there. */
export const NEEDS_TIME: unique symbol = Symbol("needs time");

export type RefreshResult = "fresh" | typeof NEEDS_FOLD | typeof NEEDS_TIME;
type ReadResult = "read" | typeof NEEDS_FOLD | typeof NEEDS_TIME;

export interface ViewOptions {
  readonly name: Uint8Array;
  readonly file: KeyspaceFile;
  /** Null reads the file alone. */
  readonly watch: LogWatch | null;
  readonly changedKeysMax: number;
  /** Bound of the deltas of all logs together. Logs that bring the same keys have a delta each. */
  readonly deltaBytesMax: number;
  /** Scratch memory of the overlay. */
  readonly block: RowBuffer;
}

export class KeyspaceView implements Disposable {
  readonly #options: ViewOptions;
  readonly #nameWords: Int32Array;
  readonly #deltas = new Map<number, Delta>();
  readonly #walk: RecordWalk;
  readonly #target: SumTarget;
  #deltaBytes = 0;
  #filling: Delta | null = null;
  #overlay: Overlay;
  /** Version of the captures that the deltas hold; −1 for none. */
  #seenVersion = -1;
  /** `LogWatch.losses` when the deltas were read. */
  #seenLosses = 0;
  /** The overlay no longer holds the sums of the deltas over the open snapshot. */
  #mustRebuild = false;
  /** Set when the bound was exceeded: the deltas were dropped, and only a newer snapshot can help. */
  #isOverflowing = false;
  /** What an overlay that is being rebuilt still has to get: deltas, of the first one the keys from a number on. */
  #toAdd: Delta[] = [];
  #addedTo = 0;
  /** The overlay is not ready for questions: it is being rebuilt, or its order is being made. */
  #isSettling = false;
  /** Rows that are being copied: until the end the view stays as it is. */
  #copy: RowCopy | null = null;
  /** The refresh, by its number, that the view was read for; −1 for none. */
  #readFor = -1;

  constructor(options: ViewOptions) {
    this.#options = options;
    this.#nameWords = nameWords(options.name);
    this.#overlay = this.#bareOverlay();
    this.#target = {
      add: (words, at, length, top, high, low) =>
        this.#filling!.add(this.#overlay, words, at, length, top, high, low),
    };
    this.#walk = new RecordWalk((words, at, length) =>
      sameName(words, at, length, this.#nameWords, options.name.length) ? this.#target : null
    );
  }

  /** True if neither the file nor a log has a counter of the keyspace: its name may be made up. */
  get isEmpty(): boolean {
    return this.#options.file.ranking.total === 0 && this.changedKeys === 0;
  }

  /** Keys that the overlay holds. */
  get changedKeys(): number {
    return this.#overlay.sums.count;
  }

  /** Memory of the deltas, without that of the overlay. */
  get deltaBytes(): number {
    return this.#deltaBytes;
  }

  /** The ranking after `refresh`. */
  get ranking(): Overlay {
    return this.#overlay;
  }

  /**
   * Brings the view up to date with the captures of the last `LogWatch.refresh`. `NEEDS_FOLD` past the bound:
   * only a fold helps. Throws `CorruptError` for a damaged log, and what reading the file throws.
   *
   * With a limit it works in steps, and returns `NEEDS_TIME` until the view is at least as fresh as the
   * refresh number `asOf`, and in order. What was read is brought into order before anything else is read:
   * else new increments could delay an answer without end.
   */
  refresh(limit?: RefreshLimit, asOf = Infinity, refreshes = 0): RefreshResult {
    if (this.#copy !== null) {
      if (!this.#copy.advance(limit)) return NEEDS_TIME;
      if (this.#copy.isLost) this.invalidate();
      this.#copy = null;
    }
    if (this.#isSettling) {
      if (!this.#settle(limit)) return NEEDS_TIME;
      if (this.#readFor >= asOf) return "fresh";
    }
    const { watch } = this.#options;
    // If no capture has changed, no log was recycled: whatever the file has applied since is in the deltas
    // too. So the answer is the same, and steps 2 and 3 are not needed.
    if (watch !== null && this.#seenVersion === watch.version && !this.#isOverflowing) {
      return "fresh";
    }
    if (this.#isOverflowing && !this.#refreshFile()) return NEEDS_FOLD;
    this.#seenVersion = -1;
    if (watch !== null) {
      if (watch.losses !== this.#seenLosses) this.#dropAll();
      this.#seenLosses = watch.losses;
      const read = this.#readDeltas(watch, limit);
      if (read !== "read") return read;
    }
    this.#refreshFile();
    this.#dropApplied();
    this.#measureDeltas();
    if (this.#mustRebuild) this.#beginRebuild();
    if (watch !== null) this.#seenVersion = watch.version;
    this.#readFor = refreshes;
    this.#isSettling = true;
    return this.#settle(limit) ? "fresh" : NEEDS_TIME;
  }

  /** Makes the overlay ready for questions; false if the time is used up before. */
  #settle(limit: RefreshLimit | undefined): boolean {
    while (!this.#addSome()) if (limit?.isUsedUp) return false;
    // Without a limit a question does the rest, or only what it needs of it.
    while (limit !== undefined || this.#overlay.isPreparing) {
      if (this.#overlay.prepareSome()) break;
      if (limit?.isUsedUp) return false;
    }
    this.#isSettling = false;
    return true;
  }

  /** Makes the next refresh do all steps: the snapshot is lost, or what was read of it is wrong. */
  invalidate(): void {
    this.#copy?.lose();
    this.#seenVersion = -1;
    this.#mustRebuild = true;
    this.#isSettling = false;
    this.#toAdd = [];
  }

  /** As `invalidate`, if the file was removed or replaced. */
  invalidateIfLost(): void {
    if (this.#options.file.isLost) this.invalidate();
  }

  /** Logs, by slot and generation, with frames that the file may not have applied. */
  pendingLogs(): Map<number, bigint> {
    const pending = this.#options.watch?.pendingLogs() ?? new Map<number, bigint>();
    for (const [slot, generation] of pending) {
      if (this.#options.file.applied(slot) >= generation) pending.delete(slot);
    }
    return pending;
  }

  /**
   * Takes the newest snapshot, and removes from `pending` what it has applied and what has been recycled.
   * If nothing is left, the file alone holds all increments that were accepted before `pending` was made.
   * Then the view answers from the file until the next refresh.
   */
  isFolded(pending: Map<number, bigint>): boolean {
    const { file, watch } = this.#options;
    this.#copy?.lose();
    // Before the snapshot is taken: a log that is recycled by now is in every later snapshot.
    watch?.removeRecycled(pending);
    this.#refreshFile();
    for (const [slot, generation] of pending) {
      if (file.applied(slot) >= generation) pending.delete(slot);
    }
    if (pending.size > 0) return false;
    this.#dropAll();
    this.#seenVersion = -1;
    this.#isSettling = false;
    return true;
  }

  /** Begins to copy rows, after `refresh`: the next refresh goes on with it. */
  startCopy(
    range: { readonly offset: number; readonly length: number },
    out: RowBuffer,
    onGrown: () => void,
  ): RowCopy {
    return this.#copy = new RowCopy(this.#overlay, range, out, onGrown);
  }

  [Symbol.dispose](): void {
    this.#copy?.lose();
    this.#options.file[Symbol.dispose]();
  }

  /**
   * Refresh, step 2: takes the newest snapshot; false if it is open already. The ranking under the overlay is then
   * the newer one, and what the overlay adds to it is too much: nothing of it may go on, or be taken for fresh.
   */
  #refreshFile(): boolean {
    if (!this.#options.file.refresh()) return false;
    this.#mustRebuild = true;
    this.#seenVersion = -1;
    this.#isSettling = false;
    this.#toAdd = [];
    this.#isOverflowing = false;
    return true;
  }

  /** Refresh, step 1, for all logs; `watch` has made the captures. */
  #readDeltas(watch: LogWatch, limit: RefreshLimit | undefined): ReadResult {
    for (const watched of watch.logs) {
      const { slot, capture } = watched;
      const isNeeded = capture !== null && watched.isPending &&
        capture.generation > this.#options.file.applied(slot);
      const delta = this.#deltas.get(slot);
      if (delta !== undefined && !(isNeeded && canGrow(delta, capture))) this.#drop(slot);
      if (!isNeeded) continue;
      while (!watched.readNames(capture)) if (limit?.isUsedUp) return NEEDS_TIME;
      if (!watched.mayName(capture, this.#nameWords, this.#options.name.length)) continue;
      const read = this.#readDelta(watched, capture, limit);
      if (read !== "read") return read;
    }
    return "read";
  }

  /** Refresh, step 3. */
  #dropApplied(): void {
    for (const [slot, delta] of this.#deltas) {
      if (this.#options.file.applied(slot) >= delta.generation) this.#drop(slot);
    }
  }

  #drop(slot: number): void {
    this.#deltas.delete(slot);
    this.#mustRebuild = true;
  }

  /** Reads the new records of one log into its delta. */
  #readDelta(
    watched: WatchedLog,
    capture: Capture,
    limit: RefreshLimit | undefined,
  ): ReadResult {
    let delta = this.#deltas.get(watched.slot);
    if (delta === undefined) {
      delta = new Delta(capture.generation);
      this.#deltas.set(watched.slot, delta);
    }
    this.#filling = delta;
    while (delta.indexedTo < capture.limit) {
      if (delta.brokenAt !== null) {
        this.#refuseDamage(watched, capture, delta.brokenAt);
        return "read";
      }
      let brokenAt: number | null = null;
      // After an error the delta has the frames that were read, and would take them again.
      const [next, isStill] = undoOnError(() => this.#drop(watched.slot), () => [
        watched.readSome(capture, delta.indexedTo, (words, start, end, offset) => {
          if (!this.#walk.batch(words, start, end)) brokenAt ??= offset;
        }),
        watched.isStill(capture),
      ]);
      if (!isStill) {
        // Recycled during the reading: the snapshot that step 2 takes has all of it.
        this.#drop(watched.slot);
        return "read";
      }
      delta.brokenAt = brokenAt;
      if (brokenAt !== null) continue;
      if (next === delta.indexedTo) {
        if (watched.log.isDamagedAt(capture, next)) this.#refuseDamage(watched, capture, next);
        return "read";
      }
      delta.indexedTo = next;
      if (!this.#enforceBound()) return NEEDS_FOLD;
      if (this.#deltas.get(watched.slot) !== delta) return "read";
      if (delta.indexedTo < capture.limit && limit?.isUsedUp) return NEEDS_TIME;
    }
    if (capture.state === "sealed") delta.close();
    return "read";
  }

  /** Throws `CorruptError` unless the file has applied the damaged log by now. */
  #refuseDamage(watched: WatchedLog, { generation }: Capture, offset: number): void {
    this.#refreshFile();
    if (this.#options.file.applied(watched.slot) < generation) throw watched.damage(offset);
  }

  /** Drops the deltas, and returns false, if those that are not folded by now exceed the bound. */
  #enforceBound(): boolean {
    if (this.#isWithinBound()) return true;
    this.#refreshFile();
    this.#dropApplied();
    if (this.#mustRebuild) this.#rebuild();
    if (this.#isWithinBound()) return true;
    // Dropped, so that they take no memory while the answer waits.
    this.#dropAll();
    this.#isOverflowing = true;
    return false;
  }

  #isWithinBound(): boolean {
    const { changedKeysMax, deltaBytesMax } = this.#options;
    this.#measureDeltas();
    return this.changedKeys <= changedKeysMax && this.deltaBytes <= deltaBytesMax;
  }

  #measureDeltas(): void {
    this.#deltaBytes = 0;
    for (const delta of this.#deltas.values()) this.#deltaBytes += delta.bytes;
  }

  #dropAll(): void {
    this.#deltas.clear();
    this.#deltaBytes = 0;
    this.#rebuild();
  }

  /** Makes a new overlay from the deltas, over the snapshot that is open now. */
  #rebuild(): void {
    this.#beginRebuild();
    while (!this.#addSome());
  }

  #beginRebuild(): void {
    this.#overlay = this.#bareOverlay();
    this.#mustRebuild = false;
    this.#toAdd = [...this.#deltas.values()];
    this.#addedTo = 0;
  }

  /** Adds keys of the deltas to an overlay that is being rebuilt; true if it has all. */
  #addSome(): boolean {
    const [delta] = this.#toAdd;
    if (delta === undefined) return true;
    const next = delta.addSomeTo(this.#overlay, this.#addedTo);
    if (next === null) this.#toAdd.shift();
    this.#addedTo = next ?? 0;
    return this.#toAdd.length === 0;
  }

  #bareOverlay(): Overlay {
    return new Overlay(this.#options.file.ranking, this.#options.block);
  }
}

/** Whether a delta belongs to this use of its log, and can take the frames that it does not hold yet. */
function canGrow(delta: Delta, { generation, limit }: Capture): boolean {
  return delta.generation === generation && (!delta.isClosed || delta.indexedTo >= limit);
}
