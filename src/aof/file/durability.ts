/**
 * Forcing a file to disk.
 *
 *   1. A size is called durable only after a sync that began when it was reached has succeeded, and if the
 *      file has its name then. A lost name counts as a failure of one sync alone: it may come back.
 *   2. A sync or flush that failed is never tried again: the system may have dropped the pages it could
 *      not write, and would call the next one good. The failure is kept for the life of the instance.
 */

import { dirname } from "node:path/posix";
import type { Clock } from "../../base/clock.ts";
import { leadsTo, type Storage, syncName } from "../../file/mod.ts";
import { ErrLostName } from "./errors.ts";
import type { Naming } from "./parts.ts";
import { type Region, timed } from "./region.ts";
import { countersOf, type Stats } from "./stats.ts";

export class Durability {
  readonly #region: Region;
  readonly #storage: Storage | null;
  readonly #clock: Clock;
  readonly #stats: Stats;
  /** Whether a sync may be skipped when nothing was appended. False if the caller also changes bytes itself. */
  readonly #mayLeaveOut: boolean;
  readonly #onFailure: () => void;
  #naming: Naming;
  /** Whether the instance has opened the file by its name, to write to it. */
  readonly #isNamed: boolean;
  #failure: unknown = null;
  #syncedSize = -1;
  #flushedEnd = 0;
  #syncsInFlight = 0;

  constructor({ region, storage, clock, stats, ownsBytes, naming }: {
    readonly region: Region;
    readonly storage: Storage | null;
    readonly clock: Clock;
    readonly stats: Stats;
    readonly ownsBytes: boolean;
    readonly naming: Naming;
  }, onFailure: () => void) {
    this.#onFailure = onFailure;
    this.#region = region;
    this.#storage = storage;
    this.#clock = clock;
    this.#stats = stats;
    this.#mayLeaveOut = ownsBytes;
    this.#naming = naming;
    this.#isNamed = naming !== "ensured";
  }

  /** What a sync or a flush threw, or null. */
  get failure(): unknown {
    return this.#failure;
  }

  get isSyncing(): boolean {
    return this.#syncsInFlight > 0;
  }

  throwIfFailed(): void {
    if (this.#failure !== null) throw this.#failure;
  }

  /** Makes the first `size` bytes durable. */
  sync(size: number): void {
    const { file } = this.#region;
    if (file === null || size === this.#syncedSize) return;
    try {
      timed(this.#clock, countersOf(this.#stats, "sync"), () => file.syncData());
      this.#syncName();
    } catch (error) {
      throw this.#fail(error);
    }
    this.#refuseLost();
    this.#noteSynced(size);
  }

  async syncAsync(size: number): Promise<void> {
    const { file } = this.#region;
    if (file === null || size === this.#syncedSize) return;
    const counters = countersOf(this.#stats, "sync");
    const startMs = this.#clock.nowMs();
    this.#syncsInFlight++;
    try {
      await file.syncDataAsync();
      this.#syncName();
      counters.count.add();
      counters.duration.add(this.#clock.nowMs() - startMs);
    } catch (error) {
      counters.errors.add();
      counters.errorsDuration.add(this.#clock.nowMs() - startMs);
      throw this.#fail(error);
    } finally {
      this.#syncsInFlight--;
    }
    this.#refuseLost();
    this.#noteSynced(size);
  }

  /** Makes a finished file durable with its size and mode. */
  syncAll(): void {
    try {
      this.#region.file?.sync();
      this.#syncName();
    } catch (error) {
      throw this.#fail(error);
    }
    this.#refuseLost();
  }

  /** A descriptor of the caller may have any name, or none. */
  #refuseLost(): void {
    const { file } = this.#region;
    if (file === null || this.#storage === null || !this.#isNamed) return;
    if (leadsTo(this.#storage, file.path, file.status())) return;
    // If it comes back, it is made anew: no earlier sync of its directory keeps it.
    this.#naming = "found";
    throw new ErrLostName(file.path);
  }

  /** Write out the bytes from the end of the last flush to `end`. */
  flush(end: number): void {
    this.throwIfFailed();
    if (this.#region.file === null || end <= this.#flushedEnd) return;
    try {
      timed(
        this.#clock,
        countersOf(this.#stats, "flush"),
        () => this.#region.flush(this.#flushedEnd, end - this.#flushedEnd),
      );
    } catch (error) {
      // The system reports pages that it could not write only once: no later sync would.
      throw this.#fail(error);
    }
    this.#flushedEnd = end;
  }

  #noteSynced(size: number): void {
    if (this.#mayLeaveOut) this.#syncedSize = Math.max(this.#syncedSize, size);
  }

  #fail(error: unknown): unknown {
    this.#failure = error;
    this.#onFailure();
    return error;
  }

  /** Make the name durable, with the first sync: what is in a file without a name is not durable. */
  #syncName(): void {
    const { file } = this.#region;
    if (this.#naming === "ensured" || file === null || this.#storage === null) return;
    if (this.#naming === "made") this.#storage.syncDirectory(dirname(file.path));
    else syncName(this.#storage, file.path);
    this.#naming = "ensured";
  }
}
