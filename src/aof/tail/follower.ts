/**
 * Following what another process appends: its published size, the length of the file, and a mapping that
 * is long enough.
 */

import type { Clock } from "../../base/clock.ts";
import { type FileStatus, leadsTo, type Storage, type StoredFile } from "../../file/mod.ts";
import { ErrCorrupted, ErrLostName, ErrShrink } from "../file/errors.ts";
import { roundUp } from "../file/geometry.ts";
import { FileRegion } from "../file/region.ts";
import type { SideFile } from "./side_file.ts";
import type { Stats } from "../file/stats.ts";

/** How often what is open is compared with the names. */
const NAMES_MS = 1000;

export class Follower {
  readonly #storage: Storage;
  readonly #file: StoredFile;
  readonly #side: SideFile;
  readonly #followed: FileStatus;
  readonly #stats: Stats;
  readonly #clock: Clock;
  #region: FileRegion;
  #size = 0;
  #isFinished = false;
  #namesMs: number;

  constructor(region: FileRegion, { storage, side, stats, clock }: {
    readonly storage: Storage;
    readonly side: SideFile;
    readonly stats: Stats;
    readonly clock: Clock;
  }) {
    this.#region = region;
    this.#file = region.file;
    this.#side = side;
    this.#storage = storage;
    this.#namesMs = clock.nowMs();
    this.#followed = region.file.status();
    this.#stats = stats;
    this.#clock = clock;
  }

  get size(): number {
    return this.#size;
  }

  get isFinished(): boolean {
    return this.#isFinished;
  }

  /** The memory as it is now; a longer one takes its place when the writer's upper size grows. */
  get region(): FileRegion {
    return this.#region;
  }

  get publishedSize(): number {
    return this.#side.size.load();
  }

  /**
   * Look for what was published. Throws `ErrShrink` if the published size went back (the file was replaced,
   * or a power cut took its end). Throws `ErrCorrupted` if the file is shorter than its published size, and
   * `ErrLostName` if it was removed, moved or replaced.
   */
  refresh(): void {
    if (this.#isFinished) return;
    const hasLostName = this.#hasLostName();
    // The last size is stored before the state, so reading the state first and the size second misses
    // nothing.
    const { isFinished } = this.#side;
    const size = this.publishedSize;
    if (size !== this.#size) {
      if (size < this.#size || !this.#side.describes(this.#followed)) {
        throw new ErrShrink(
          `Cannot follow ${this.#file.path} any further: its published size went from ` +
            `${this.#size} to ${size}, or another file took its name`,
        );
      }
      if (size > this.#region.fileSize) this.#noteExtension(size);
      this.#size = size;
    } else if (hasLostName && !isFinished) {
      // Only after what was published before, and never for a file that is finished.
      throw new ErrLostName(this.#file.path);
    }
    this.#isFinished = isFinished;
  }

  /** Each second: whether the file has lost its name. */
  #hasLostName(): boolean {
    const nowMs = this.#clock.nowMs();
    if (nowMs - this.#namesMs < NAMES_MS) return false;
    if (!leadsTo(this.#storage, this.#file.path, this.#followed)) return true;
    this.#namesMs = nowMs;
    return false;
  }

  #noteExtension(size: number): void {
    const file = this.#file;
    const fileSize = file.status().size;
    if (size > fileSize) {
      throw new ErrCorrupted(
        `Cannot follow ${file.path}: it has ${fileSize} bytes, but ${size} are published`,
        { path: file.path, offset: fileSize },
      );
    }
    this.#region.noteFileSize(fileSize);
    if (size <= this.#region.bytes.length) return;
    // The writer has opened the file again with a larger upper size.
    const longer = new FileRegion(file, {
      length: Math.max(this.#side.upperSize, roundUp(fileSize, this.#storage.pageSize)),
      access: "read",
      fileSize,
      stats: this.#stats,
      clock: this.#clock,
    });
    this.#region.release(false);
    this.#region = longer;
  }
}
