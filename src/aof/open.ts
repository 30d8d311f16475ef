/**
 * The steps by which an instance comes into being: from a path, over a descriptor that somebody else
 * opened, as a follower of another process, or in memory. Each returns the parts of an `Aof`.
 */

import { type Clock, systemClock } from "../base/clock.ts";
import { BusyError, FailedError, NotFoundError } from "../base/errors.ts";
import type { FileStatus, Mapping, Storage, StoredFile } from "../file/mod.ts";
import { lastNonZero } from "./bytes.ts";
import { ErrCorrupted, ErrEmptyFile, ErrIsDirectory, ErrReadPermission } from "./errors.ts";
import { FileState } from "./file_state.ts";
import { Geometry, roundUp } from "./geometry.ts";
import { markSize, markStandsAt } from "./magic.ts";
import { Marks } from "./marks.ts";
import { PublishedSize } from "./published_size.ts";
import type { Reactor } from "./reactor.ts";
import { Recovery, recoveryDefault, RecoveryKind, type RecoveryResult } from "./recovery.ts";
import { FileRegion, MemoryRegion, type Region, timed } from "./region.ts";
import { SideFile } from "./side_file.ts";
import { Stats } from "./stats.ts";

/** Permission bits of a file while it is written to, and once it is finished. */
export const writeModeDefault = 0o600;
export const readModeDefault = 0o444;

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
  /** Set for a follower: who the side file must speak of. */
  readonly followed: FileStatus | null;
  /** Whether the directory does not durably name the file yet. */
  readonly isNew: boolean;
  /** Whether only bytes above the size ever change, so that a sync may be left out. */
  readonly ownsBytes: boolean;
  readonly readMode: number;
  readonly stats: Stats;
  readonly clock: Clock;
  readonly reactor: Reactor | null;
}

/** Opens or makes the file at `path`. For the errors see `Aof.open`. */
export function openParts(storage: Storage, path: string, options: OpenOptions): Parts {
  const { clock = systemClock, stats = new Stats() } = options;
  const recovery = (options.recovery ?? recoveryDefault).clone();
  const readsAsFinished = recovery.func === null;
  const geometry = (options.geometry ?? new Geometry()).validate(storage.pageSize);
  const status = storage.statusOrNull(path);
  if (status === null && (!geometry.create || readsAsFinished)) {
    throw new NotFoundError(`Cannot open ${path}: there is no such file`);
  }
  if (status?.kind === "directory") throw new ErrIsDirectory(`Cannot open ${path}: is a directory`);
  if (status?.kind === "other") throw new FailedError(`Cannot open ${path}: is not a file`);
  if (status !== null && (status.mode & 0o400) === 0) {
    const bits = status.mode.toString(8).padStart(4, "0");
    throw new ErrReadPermission(
      `Cannot open ${path}: its mode ${bits} does not let its owner read it`,
    );
  }
  const isReadOnly = readsAsFinished || (status !== null && (status.mode & 0o200) === 0);
  if (isReadOnly && status?.size === 0) {
    throw new ErrEmptyFile(`Cannot read ${path} as finished: the file is empty`);
  }
  const file = timed(clock, {
    count: stats.openFileCount,
    duration: stats.openFileDur,
    errors: stats.openFileErrors,
    errorsDuration: stats.openFileErrorsDur,
  }, () =>
    storage.open(path, {
      access: isReadOnly ? "read" : "write",
      create: status === null ? "exclusive" : "never",
      mode: options.writeMode ?? writeModeDefault,
    }));
  const undo: Array<() => void> = [() => file.close()];
  try {
    if (!isReadOnly && !file.tryFlock("exclusive")) {
      throw new BusyError(`Cannot open ${path}: another process is appending to it`);
    }
    if (status === null) {
      undo.unshift(() => storage.unlink(path));
      file.allocate(0, geometry.sizeNow);
      storage.reach("aof.create.after");
    }
    const common = { path, storage, recovery, stats, clock, isReadOnly };
    const parts = isReadOnly
      ? readOnlyParts(file, { ...common, geometry })
      : writableParts(file, { ...common, geometry, isNew: status === null });
    undo.unshift(() => parts.region.release(false));
    const side = isReadOnly ? null : SideFile.forWriter(storage, path, {
      create: options.shared ?? false,
      mode: file.status().mode | 0o600,
    });
    if (side !== null) {
      if (parts.state === FileState.Eof) {
        side.publish(file.status(), { size: parts.size, upperSize: parts.geometry.sizeUpper });
        side.publishFinished(parts.size);
      } else {
        side.publish(file.status(), { size: parts.size, upperSize: parts.geometry.sizeUpper });
      }
    }
    if (status === null) stats.creates.add();
    return {
      ...parts,
      side,
      published: side?.size ?? null,
      isNew: status === null,
      readMode: options.readMode ?? readModeDefault,
      reactor: options.reactor ?? null,
    };
  } catch (error) {
    for (const step of undo) step();
    throw error;
  }
}

interface Opening {
  readonly path: string;
  readonly storage: Storage | null;
  readonly geometry: Geometry;
  readonly recovery: Recovery;
  readonly stats: Stats;
  readonly clock: Clock;
  readonly isReadOnly: boolean;
}

/** What `readOnlyParts` and `writableParts` settle; the rest is the same for both. */
type Opened = Omit<Parts, "readMode" | "reactor">;

const nothingMore = {
  published: null,
  side: null,
  followed: null,
  isNew: false,
  ownsBytes: true,
} as const;

function readOnlyParts(file: StoredFile, opening: Opening): Opened {
  const { path, recovery, stats, clock } = opening;
  const fileSize = file.status().size;
  const region = new FileRegion(file, { length: fileSize, access: "read", fileSize, stats, clock });
  try {
    const result = recoverOrThrow(recovery, region, path);
    // Without marks a finished file ends where its data does, zeros included.
    const size = result.magic.isDisabled() ? fileSize : sizeOf(result);
    return { ...opening, ...nothingMore, region, marks: null, size, state: FileState.Eof };
  } catch (error) {
    region.release(false);
    throw error;
  }
}

function writableParts(
  file: StoredFile,
  opening: Opening & { readonly isNew: boolean },
): Opened {
  const { path, storage, recovery, stats, clock } = opening;
  const status = file.status();
  const fileSize = status.size;
  const { pageSize } = opening.geometry;
  // A file that is longer than the upper size is mapped as it is.
  const sizeUpper = Math.max(opening.geometry.sizeUpper, roundUp(fileSize, pageSize));
  const geometry = opening.geometry.with({ sizeUpper }).validate(pageSize);
  const region = new FileRegion(file, {
    length: geometry.sizeUpper,
    access: "write",
    fileSize,
    stats,
    clock,
  });
  try {
    const result = recoverOrThrow(recovery, region, path);
    const size = sizeOf(result);
    const marks = result.magic.isEnabled() ? new Marks(region.bytes, result.magic) : null;
    const base = { ...opening, ...nothingMore, geometry, region, marks, size };
    if (result.outcome === RecoveryKind.Checkpoint) return { ...base, state: FileState.Eof };
    // Holes would make a later store fail for want of space.
    if (status.allocatedBytes < fileSize) file.allocate(0, fileSize);
    const wanted = roundUp(Math.max(fileSize, geometry.sizeNow, size + markSize), pageSize);
    if (wanted > geometry.sizeUpper) {
      throw new FailedError(`Cannot open ${path}: no room for the tail mark behind ${size} bytes`);
    }
    if (wanted > fileSize) region.extend(wanted);
    storage?.reach("aof.recover.before");
    if (marks !== null) cleanBehind(size, { region, marks });
    storage?.reach("aof.recover.after");
    return { ...base, state: FileState.Opened };
  } catch (error) {
    region.release(false);
    throw error;
  }
}

/** Leaves the tail mark behind the data and zeros behind the mark, whatever a killed writer left. */
function cleanBehind(size: number, { region, marks }: { region: Region; marks: Marks }): void {
  const { bytes, fileSize } = region;
  const end = lastNonZero(bytes, fileSize) + 1;
  // A file that was never written to has no mark and needs none.
  if (end === 0) return;
  if (end === size + markSize && markStandsAt(bytes, size, marks.tail)) return;
  const word = end - markSize;
  if (word > size && marks.isPending(word, word - size)) {
    marks.takeBack(size, word, fileSize, (stored, offset) => region.storeAtOnce(stored, offset));
  } else {
    marks.settle(size, end);
  }
}

function recoverOrThrow(recovery: Recovery, region: Region, path: string): RecoveryResult {
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
function sizeOf({ outcome, tail, checkpoint }: RecoveryResult): number {
  if (outcome === RecoveryKind.Empty) return 0;
  return outcome === RecoveryKind.Checkpoint ? checkpoint : tail;
}

/** An instance over a descriptor that the caller has opened. See `Aof.over`. */
export function overParts(file: StoredFile, options: OverOptions): Parts {
  const { clock = systemClock, stats = new Stats(), storage = null } = options;
  const recovery = options.recovery.clone();
  const { path } = file;
  const geometry = options.geometry.validate(options.geometry.pageSize);
  const fileSize = file.status().size;
  if (fileSize > geometry.sizeUpper) {
    throw new FailedError(
      `Cannot use ${path}: it has ${fileSize} bytes, more than the upper size ${geometry.sizeUpper}`,
    );
  }
  const region = new FileRegion(file, {
    length: geometry.sizeUpper,
    access: "write",
    fileSize,
    mapping: options.mapping,
    stats,
    clock,
  });
  try {
    const result = recoverOrThrow(recovery, region, path);
    const size = sizeOf(result);
    const marks = result.magic.isEnabled() ? new Marks(region.bytes, result.magic) : null;
    const isFinished = result.outcome === RecoveryKind.Checkpoint;
    if (!isFinished) {
      const wanted = geometry.next(Math.max(fileSize, size));
      if (wanted > fileSize) region.extend(wanted);
      if (marks !== null) cleanBehind(size, { region, marks });
    }
    const published = options.sizeOffset === undefined
      ? null
      : new PublishedSize(region.bytes, options.sizeOffset);
    published?.store(size);
    return {
      ...nothingMore,
      path,
      storage,
      region,
      geometry,
      recovery,
      marks,
      size,
      state: isFinished ? FileState.Eof : FileState.Opened,
      isReadOnly: false,
      published,
      ownsBytes: false,
      readMode: readModeDefault,
      stats,
      clock,
      reactor: options.reactor ?? null,
    };
  } catch (error) {
    region.release(false);
    throw error;
  }
}

/** A reader of what another process appends. See `Aof.follow`. */
export function followParts(storage: Storage, path: string, options: SharedOptions): Parts {
  const { clock = systemClock, stats = new Stats() } = options;
  const side = SideFile.forReader(storage, path);
  let file: StoredFile | null = null;
  try {
    file = storage.open(path, { access: "read" });
    const followed = file.status();
    if (!side.speaksOf(followed)) {
      throw new BusyError(
        `Cannot follow ${path} yet: its side file speaks of another file; ` +
          "it is set right when the file is opened for appending",
      );
    }
    const region = new FileRegion(file, {
      length: side.upperSize,
      access: "read",
      fileSize: followed.size,
      stats,
      clock,
    });
    return {
      ...nothingMore,
      path,
      storage,
      region,
      geometry: new Geometry({ sizeUpper: side.upperSize }).validate(storage.pageSize),
      recovery: new Recovery(),
      marks: null,
      size: 0,
      state: FileState.Opened,
      isReadOnly: true,
      side,
      followed,
      readMode: readModeDefault,
      stats,
      clock,
      reactor: options.reactor ?? null,
    };
  } catch (error) {
    file?.close();
    side.close();
    throw error;
  }
}

/** Memory alone, under a name for messages. */
export function anonymousParts(name: string, size: number, options: SharedOptions): Parts {
  const { clock = systemClock, stats = new Stats() } = options;
  const geometry = new Geometry({ sizeNow: size, sizeUpper: size }).validate();
  return {
    ...nothingMore,
    path: name,
    storage: null,
    region: new MemoryRegion(geometry.sizeUpper, stats),
    geometry,
    recovery: new Recovery(),
    marks: null,
    size: 0,
    state: FileState.Opened,
    isReadOnly: false,
    readMode: readModeDefault,
    stats,
    clock,
    reactor: options.reactor ?? null,
  };
}
