/**
 * One keyspace as it is now: its file, and the shares of the logs that the file has not applied
 * (Refresh, steps 1 to 3). A view exists only for a keyspace that somebody has asked for.
 *
 * Invariants:
 * 1. The shares of all logs are read *before* the newest snapshot of the file is taken. A log that is
 *    folded in between is then in the snapshot, and its share is dropped by its mark: nothing is
 *    missed, nothing counted twice.
 * 2. A share belongs to one use (slot, generation) of a log. It is dropped when the file has applied it
 *    or the log is in another use: logs are recycled only when all their keyspaces have applied them.
 * 3. The overlay holds exactly the sums of the shares, over exactly the snapshot that is open.
 * 4. Damage in a log that the file has not applied is an error: it may hold a delta of this keyspace. A
 *    torn tail, above what was durable, is not.
 */

import type { Capture } from "../commitlog/mod.ts";
import type { LogWatch, WatchedLog } from "./log_watch.ts";
import type { BaseRanking } from "./base_ranking.ts";
import { Overlay } from "./overlay.ts";
import { nameWords, RecordWalk, sameName, type SumTarget } from "./record_walk.ts";
import type { RowBuffer } from "./row_buffer.ts";
import { Delta } from "./delta.ts";

/** A keyspace's file, or what stands for one that does not exist yet. */
export interface KeyspaceFile extends Disposable {
  /** Takes the newest snapshot; false when it is the one at hand. */
  refresh(): boolean;
  /** Greatest generation of a slot that is in the snapshot. */
  applied(slot: number): bigint;
  readonly ranking: BaseRanking;
}

/** The logs change more than a reader may hold: the answer has to wait for their fold. */
export class TooManyChanges extends Error {
  override readonly name = "TooManyChanges";
}

export interface ViewOptions {
  readonly name: Uint8Array;
  readonly file: KeyspaceFile;
  /** Null reads the file alone. */
  readonly watch: LogWatch | null;
  readonly changedKeysMax: number;
  /** Of the shares of all logs together. Logs that bring the same keys have a share each. */
  readonly shareBytesMax: number;
  /** Scratch memory of the overlay. */
  readonly block: RowBuffer;
}

export class KeyspaceView implements Disposable {
  readonly #options: ViewOptions;
  readonly #nameWords: Int32Array;
  readonly #shares = new Map<number, Delta>();
  readonly #walk: RecordWalk;
  readonly #target: SumTarget;
  #shareBytes = 0;
  #filling: Delta | null = null;
  #overlay: Overlay;
  /** The captures that this view has seen; −1 for none. */
  #seenVersion = -1;
  /** The overlay no longer holds the sums of the shares over the open snapshot. */
  #mustRebuild = false;
  /** Set when the bound was passed: the shares were given up, only a newer snapshot can help. */
  #isOverflowing = false;

  constructor(options: ViewOptions) {
    this.#options = options;
    this.#nameWords = nameWords(options.name);
    this.#overlay = this.#bareOverlay();
    this.#target = {
      add: (words, at, length, low, high, top) =>
        this.#filling!.add(this.#overlay, words, at, length, low, high, top),
    };
    this.#walk = new RecordWalk({
      choose: (words, at, length) =>
        sameName(words, at, length, this.#nameWords, options.name.length) ? this.#target : null,
    });
  }

  /** True where neither file nor logs have anything of the keyspace: somebody asked for any name. */
  get isEmpty(): boolean {
    return this.#options.file.ranking.total === 0 && this.changedKeys === 0;
  }

  /** Keys that the overlay holds. */
  get changedKeys(): number {
    return this.#overlay.sums.count;
  }

  /** Memory of the shares, which stand beside the overlay. */
  get shareBytes(): number {
    return this.#shareBytes;
  }

  /** The ranking after `refresh`. */
  get ranking(): Overlay {
    return this.#overlay;
  }

  /**
   * Brings the view up to date with the captures of the last `look`. Throws `TooManyChanges` past the
   * bound, `CorruptError` for a damaged log, and what reading the file throws.
   */
  refresh(): void {
    const { watch } = this.#options;
    // When no capture has changed, no log was recycled: whatever the file has applied since is in the
    // shares too, so the answer is the same and the file need not be asked.
    if (watch !== null && this.#seenVersion === watch.version && !this.#isOverflowing) return;
    if (this.#isOverflowing && !this.#refreshFile()) throw new TooManyChanges();
    this.#seenVersion = -1;
    if (watch !== null) this.#readShares(watch);
    this.#refreshFile();
    this.#dropApplied();
    this.#measureShares();
    if (this.#mustRebuild) this.#rebuild();
    if (watch !== null) this.#seenVersion = watch.version;
  }

  /** The snapshot is gone: the next refresh takes a new one. */
  forget(): void {
    this.#seenVersion = -1;
    this.#mustRebuild = true;
  }

  /** Logs, by slot and generation, that hold frames which the file may not have applied. */
  pendingLogs(): Map<number, bigint> {
    const pending = this.#options.watch?.pendingLogs() ?? new Map<number, bigint>();
    for (const [slot, generation] of pending) {
      if (this.#options.file.applied(slot) >= generation) pending.delete(slot);
    }
    return pending;
  }

  /**
   * Takes the newest snapshot and strikes from `pending` what it has applied, and what has been
   * recycled. When nothing is left the file alone holds everything that was accepted when `pending`
   * was made: the view then answers from it, until the next refresh.
   */
  isFolded(pending: Map<number, bigint>): boolean {
    const { file, watch } = this.#options;
    // Before the snapshot is taken: a log that is recycled is in whatever snapshot comes after.
    watch?.removeRecycled(pending);
    this.#refreshFile();
    for (const [slot, generation] of pending) {
      if (file.applied(slot) >= generation) pending.delete(slot);
    }
    if (pending.size > 0) return false;
    this.#dropAll();
    this.#seenVersion = -1;
    return true;
  }

  [Symbol.dispose](): void {
    this.#options.file[Symbol.dispose]();
  }

  /** Takes the newest snapshot; false when it is the one at hand. */
  #refreshFile(): boolean {
    if (!this.#options.file.refresh()) return false;
    this.#mustRebuild = true;
    this.#isOverflowing = false;
    return true;
  }

  /** Step 1. */
  #readShares(watch: LogWatch): void {
    for (const watched of watch.logs) {
      const { slot, capture } = watched;
      const isNeeded = capture !== null && watched.isPending &&
        capture.generation > this.#options.file.applied(slot);
      const share = this.#shares.get(slot);
      if (share !== undefined && !(isNeeded && goesOn(share, capture))) this.#drop(slot);
      if (isNeeded) this.#readShare(watched, capture);
    }
  }

  /** Step 3. */
  #dropApplied(): void {
    for (const [slot, share] of this.#shares) {
      if (this.#options.file.applied(slot) >= share.generation) this.#drop(slot);
    }
  }

  #drop(slot: number): void {
    this.#shares.delete(slot);
    this.#mustRebuild = true;
  }

  /** Reads what is new in a log. */
  #readShare(watched: WatchedLog, capture: Capture): void {
    let share = this.#shares.get(watched.slot);
    if (share === undefined) {
      share = new Delta(capture.generation);
      this.#shares.set(watched.slot, share);
    }
    this.#filling = share;
    while (share.indexedTo < capture.limit) {
      if (share.brokenAt !== null) return this.#refuseDamage(watched, capture, share.brokenAt);
      let brokenAt: number | null = null;
      const next = watched.readSome(capture, share.indexedTo, (words, start, end) => {
        if (!this.#walk.batch(words, start, end)) brokenAt ??= start * 4;
      });
      if (!watched.isStill(capture)) {
        // Recycled under our eyes: the snapshot that is taken next has all of it.
        return this.#drop(watched.slot);
      }
      share.brokenAt = brokenAt;
      if (brokenAt !== null) continue;
      if (next === share.indexedTo) {
        if (watched.log.isDamagedAt(capture, next)) this.#refuseDamage(watched, capture, next);
        return;
      }
      share.indexedTo = next;
      this.#holdBound();
      if (this.#shares.get(watched.slot) !== share) return;
    }
    if (capture.state === "sealed") share.close();
  }

  /** Throws `CorruptError`, unless the file has applied the damaged log by now. */
  #refuseDamage(watched: WatchedLog, { generation }: Capture, offset: number): void {
    this.#refreshFile();
    if (this.#options.file.applied(watched.slot) < generation) throw watched.damage(offset);
  }

  /** Throws `TooManyChanges` where the shares, without what is folded by now, pass the bound. */
  #holdBound(): void {
    if (this.#isWithinBound()) return;
    this.#refreshFile();
    this.#dropApplied();
    if (this.#mustRebuild) this.#rebuild();
    if (this.#isWithinBound()) return;
    // Given up, so that they take no memory while the answer waits.
    this.#dropAll();
    this.#isOverflowing = true;
    throw new TooManyChanges();
  }

  #isWithinBound(): boolean {
    const { changedKeysMax, shareBytesMax } = this.#options;
    this.#measureShares();
    return this.changedKeys <= changedKeysMax && this.shareBytes <= shareBytesMax;
  }

  #measureShares(): void {
    this.#shareBytes = 0;
    for (const share of this.#shares.values()) this.#shareBytes += share.bytes;
  }

  #dropAll(): void {
    this.#shares.clear();
    this.#shareBytes = 0;
    this.#rebuild();
  }

  /** The overlay anew from the shares, over the snapshot that is open now. */
  #rebuild(): void {
    this.#overlay = this.#bareOverlay();
    this.#mustRebuild = false;
    for (const share of this.#shares.values()) share.addAllTo(this.#overlay);
  }

  #bareOverlay(): Overlay {
    return new Overlay(this.#options.file.ranking, this.#options.block);
  }
}

/** Whether a share is of this use of its log, and may take what the log holds beyond it. */
function goesOn(share: Delta, { generation, limit }: Capture): boolean {
  return share.generation === generation && (!share.isClosed || share.indexedTo >= limit);
}
