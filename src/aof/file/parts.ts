/**
 * What an instance is made of, and what every way of opening does: recover, and leave the tail mark
 * behind the data.
 */

import type { Clock } from "../../base/clock.ts";
import { FailedError } from "../../base/errors.ts";
import type { Mapping, Storage } from "../../file/mod.ts";
import { lastNonZero } from "../marks/bytes.ts";
import { ErrCorrupted } from "./errors.ts";
import type { FileState } from "./file_state.ts";
import type { Follower } from "../tail/follower.ts";
import type { Geometry } from "./geometry.ts";
import { isMarkAt, MARK_SIZE } from "../marks/magic.ts";
import { Marks } from "../marks/marks.ts";
import type { PublishedSize } from "../tail/published_size.ts";
import type { Reactor } from "../tail/reactor.ts";
import { type Recovery, RecoveryKind, type RecoveryResult } from "../marks/recovery.ts";
import type { Region } from "./region.ts";
import type { SideFile } from "../tail/side_file.ts";
import type { Stats } from "./stats.ts";

/** Permission bits of a file while it is written to, and once it is finished. */
export const WRITE_MODE_DEFAULT = 0o600;
export const READ_MODE_DEFAULT = 0o444;

/** What every way of opening takes. */
export interface SharedOptions {
  readonly clock?: Clock | undefined;
  /** Counters to move; a set of its own where none is given. */
  readonly stats?: Stats | undefined;
  /** Polls the tailers; a reactor of its own where none is given. */
  readonly reactor?: Reactor | undefined;
}

export interface OpenOptions extends SharedOptions {
  /** Default: one page growing by pages to 16 MiB, and a missing file is not made. */
  readonly geometry?: Geometry | undefined;
  /** Default: the marks of the original library. */
  readonly recovery?: Recovery | undefined;
  /**
   * Publishes the size in NAME.size for tailers of other processes. A file that has such a side file
   * goes on publishing without being asked.
   */
  readonly shared?: boolean | undefined;
  /** Permission bits of a file that is made. Default 0600. */
  readonly writeMode?: number | undefined;
  /** Permission bits of a finished file. Default 0444. */
  readonly readMode?: number | undefined;
}

export interface OverOptions extends SharedOptions {
  /** `sizeNow` and `sizeUpper` are the file's size for a file that never grows. */
  readonly geometry: Geometry;
  readonly recovery: Recovery;
  /** Where in the file an aligned 64-bit number holds the published size; none where left out. */
  readonly sizeOffset?: number | undefined;
  /** A mapping of at least `sizeUpper` bytes that the caller keeps and releases. */
  readonly mapping?: Mapping | undefined;
  /** Told of the steps that a test may stop at. */
  readonly storage?: Storage | undefined;
}

/**
 * Whether the directory durably names the file: not where this instance has made it; perhaps where it
 * was found, for its maker may have ended before his first sync; and settled where that is the
 * business of somebody else, or nothing is written.
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

/** Parts that most ways of opening do without. */
export const defaultParts = {
  published: null,
  side: null,
  follower: null,
  naming: "ensured",
  ownsBytes: true,
} as const;

/** The marks of a recovered file, or null where they are off. */
export function marksOf({ magic }: RecoveryResult, region: Region): Marks | null {
  return magic.isEnabled() ? new Marks(region.bytes, magic) : null;
}

/** Leaves the tail mark behind the data and zeros behind the mark, whatever a killed writer left. */
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
