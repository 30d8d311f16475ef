/**
 * What an instance is made of, and what every way of opening does: recover, and leave the tail mark
 * behind the data.
 */

import { type Clock, systemClock } from "../../base/clock.ts";
import { FailedError } from "../../base/errors.ts";
import type { Mapping, Storage } from "../../file/mod.ts";
import { lastNonZero } from "../marks/bytes.ts";
import { ErrCorrupted } from "./errors.ts";
import { FileState } from "./file_state.ts";
import type { Follower } from "../tail/follower.ts";
import type { Geometry } from "./geometry.ts";
import { isMarkAt, MARK_SIZE } from "../marks/magic.ts";
import { Marks } from "../marks/marks.ts";
import type { PublishedSize } from "../tail/published_size.ts";
import type { Reactor } from "../tail/reactor.ts";
import { type Recovery, RecoveryKind, type RecoveryResult } from "../marks/recovery.ts";
import type { Region } from "./region.ts";
import type { SideFile } from "../tail/side_file.ts";
import { Stats } from "./stats.ts";

/** Permission bits of a file while it is written to, and once it is finished. */
export const WRITE_MODE_DEFAULT = 0o600;
export const READ_MODE_DEFAULT = 0o444;

/** Options of every way of opening. */
export interface SharedOptions {
  /** Times the calls that are counted. Default: the clock of this machine. */
  readonly clock?: Clock | undefined;
  /** Counters to add to. Default: a set of the instance's own. */
  readonly stats?: Stats | undefined;
  /** Polls the tailers. Default: a reactor of the instance's own, which it closes. */
  readonly reactor?: Reactor | undefined;
}

/** Options of `Aof.open`. */
export interface OpenOptions extends SharedOptions {
  /** Default: one page growing by pages to 16 MiB, and a missing file is not made. */
  readonly geometry?: Geometry | undefined;
  /** How the end of the data is found. Default: by kirana's marks (`recoveryDefault`). */
  readonly recovery?: Recovery | undefined;
  /**
   * Publish the size in the side file NAME.size, for tailers of other processes. A file that has such a
   * side file already publishes there in any case. Default false.
   */
  readonly shared?: boolean | undefined;
  /** Permission bits of a file that is made. Default 0600. */
  readonly writeMode?: number | undefined;
  /** Permission bits of a finished file. Default 0444. */
  readonly readMode?: number | undefined;
}

/** Options of `Aof.over`. */
export interface OverOptions extends SharedOptions {
  /** Sizes of the file. For a file that never grows, `sizeNow` and `sizeUpper` are its length. */
  readonly geometry: Geometry;
  /** How the end of the data is found. */
  readonly recovery: Recovery;
  /**
   * Offset of the published size in the file: 8 bytes, at a multiple of 8. Default: nothing is
   * published.
   */
  readonly sizeOffset?: number | undefined;
  /** A mapping of at least `sizeUpper` bytes, which the caller releases. Default: a new one. */
  readonly mapping?: Mapping | undefined;
  /** Storage that is told of the steps at which a test may stop. Default: none. */
  readonly storage?: Storage | undefined;
}

/**
 * Whether the directory entry of the file is durable. `made`: not yet, because this instance made the
 * file. `found`: perhaps not, because the process that made it may have ended before its first sync.
 * `ensured`: nothing is to be done. It was synced, the caller sees to it, or nothing is written.
 */
export type Naming = "made" | "found" | "ensured";

/** Everything that makes up an instance. */
export interface Parts {
  readonly path: string;
  readonly storage: Storage | null;
  readonly region: Region;
  readonly geometry: Geometry;
  readonly recovery: Recovery;
  readonly marks: Marks | null;
  readonly size: number;
  readonly state: FileState;
  readonly isReadOnly: boolean;
  readonly published: PublishedSize | null;
  readonly side: SideFile | null;
  /** Set for an instance that reads what another process appends. */
  readonly follower: Follower | null;
  readonly naming: Naming;
  /** Whether only bytes above the size ever change, so that a sync may be left out. */
  readonly ownsBytes: boolean;
  readonly readMode: number;
  readonly stats: Stats;
  readonly clock: Clock;
  readonly reactor: Reactor | null;
}

/** What is left to the ways of opening. */
type OpenedParts = "path" | "storage" | "region" | "geometry" | "recovery";

/** The parts that the options give, and values of those that most ways of opening do without. */
export function defaultParts(
  { clock = systemClock, stats = new Stats(), reactor }: SharedOptions,
): Omit<Parts, OpenedParts> {
  return {
    published: null,
    side: null,
    follower: null,
    marks: null,
    naming: "ensured",
    ownsBytes: true,
    isReadOnly: false,
    state: FileState.Opened,
    size: 0,
    readMode: READ_MODE_DEFAULT,
    clock,
    stats,
    reactor: reactor ?? null,
  };
}

/** The marks of a recovered file, or null if marks are off. */
export function marksOf({ magic }: RecoveryResult, region: Region): Marks | null {
  return magic.isEnabled() ? new Marks(region.bytes, magic) : null;
}

/** Put the tail mark behind the data and zeros behind the mark, whatever a killed writer left there. */
export function restoreTailMark(
  size: number,
  { region, marks }: {
    readonly region: Pick<Region, "bytes" | "fileSize" | "storeAtOnce">;
    readonly marks: Marks;
  },
): void {
  const { bytes, fileSize } = region;
  const end = lastNonZero(bytes, fileSize) + 1;
  // A file that was never written to has no mark and needs none.
  if (end === 0) return;
  if (end === size + MARK_SIZE && isMarkAt(bytes, size, marks.tail)) return;
  const word = end - MARK_SIZE;
  if (word > size && marks.isPending(word, word - size)) {
    marks.rollBack(size, word, fileSize, (stored, offset) => region.storeAtOnce(stored, offset));
  } else {
    marks.placeTail(size, end);
  }
}

/** Run the recovery. Throws `FailedError` if it fails, `ErrCorrupted` if it finds no end of the data. */
export function recoverOrThrow(
  recovery: Recovery,
  region: Pick<Region, "bytes" | "fileSize">,
  path: string,
): RecoveryResult {
  const result = recovery.run(region.fileSize, region.bytes);
  const { outcome, tail, err } = result;
  if (outcome === RecoveryKind.Panic) {
    throw new FailedError(`Cannot recover ${path}: ${err?.message ?? "its recovery failed"}`, {
      cause: err,
    });
  }
  if (outcome === RecoveryKind.Corrupted || tail < 0 || tail > region.fileSize) {
    throw new ErrCorrupted(
      `Cannot find the end of the data in ${path}: no mark at its last byte ${tail}` +
        (err === null ? "" : ` (${err.message})`),
      { path, offset: tail },
      err === null ? {} : { cause: err },
    );
  }
  return result;
}

/** Bytes of data: a mark is not counted. */
export function sizeOf({ outcome, tail, checkpoint }: RecoveryResult): number {
  if (outcome === RecoveryKind.Empty) return 0;
  return outcome === RecoveryKind.Checkpoint ? checkpoint : tail;
}
