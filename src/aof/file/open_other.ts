/**
 * The other ways to make an instance: over a descriptor that the caller opened, as a follower of another
 * process, and in memory.
 */

import { systemClock } from "../../base/clock.ts";
import { BusyError, FailedError } from "../../base/errors.ts";
import { undoOnError } from "../../base/undo_on_error.ts";
import type { Storage, StoredFile } from "../../file/mod.ts";
import { FileState } from "./file_state.ts";
import { Follower } from "../tail/follower.ts";
import { Geometry } from "./geometry.ts";
import {
  defaultParts,
  marksOf,
  type OverOptions,
  type Parts,
  READ_MODE_DEFAULT,
  recoverOrThrow,
  restoreTailMark,
  type SharedOptions,
  sizeOf,
} from "./parts.ts";
import { PublishedSize } from "../tail/published_size.ts";
import { Recovery, RecoveryKind } from "../marks/recovery.ts";
import { FileRegion, MemoryRegion } from "./region.ts";
import { SideFile } from "../tail/side_file.ts";
import { Stats } from "./stats.ts";

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
  return undoOnError(() => region.release(false), () => {
    const result = recoverOrThrow(recovery, region, path);
    const size = sizeOf(result);
    const marks = marksOf(result, region);
    const isFinished = result.outcome === RecoveryKind.Checkpoint;
    if (!isFinished) {
      const wanted = geometry.next(Math.max(fileSize, size));
      if (wanted > fileSize) region.extend(wanted);
      if (marks !== null) restoreTailMark(size, { region, marks });
    }
    const published = options.sizeOffset === undefined
      ? null
      : new PublishedSize(region.bytes, options.sizeOffset);
    published?.store(size);
    return {
      ...defaultParts,
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
      readMode: READ_MODE_DEFAULT,
      stats,
      clock,
      reactor: options.reactor ?? null,
    };
  });
}

/** A reader of what another process appends. See `Aof.follow`. */
export function followParts(storage: Storage, path: string, options: SharedOptions): Parts {
  const { clock = systemClock, stats = new Stats() } = options;
  using undo = new DisposableStack();
  const side = undo.use(SideFile.forReader(storage, path));
  const file = undo.use(storage.open(path, { access: "read" }));
  const followed = file.status();
  if (!side.describes(followed)) {
    throw new BusyError(
      `Cannot follow ${path} yet: its side file describes another file; ` +
        "open the file for appending once to set that right",
    );
  }
  // A writer gives the file its bytes before it publishes: the side file may describe an older one.
  if (followed.size === 0 && (followed.mode & 0o200) !== 0) {
    throw new BusyError(`Cannot follow ${path} yet: it is being made`);
  }
  const region = new FileRegion(file, {
    length: side.upperSize,
    access: "read",
    fileSize: followed.size,
    stats,
    clock,
  });
  const geometry = new Geometry({ sizeUpper: side.upperSize }).validate(storage.pageSize);
  const follower = new Follower(region, { side, pageSize: storage.pageSize, stats, clock });
  undo.move();
  return {
    ...defaultParts,
    path,
    storage,
    region,
    geometry,
    recovery: new Recovery(),
    marks: null,
    size: 0,
    state: FileState.Opened,
    isReadOnly: true,
    follower,
    side,
    readMode: READ_MODE_DEFAULT,
    stats,
    clock,
    reactor: options.reactor ?? null,
  };
}

/** Memory alone, under a name for messages. */
export function anonymousParts(name: string, size: number, options: SharedOptions): Parts {
  const { clock = systemClock, stats = new Stats() } = options;
  const geometry = new Geometry({ sizeNow: size, sizeUpper: size }).validate();
  return {
    ...defaultParts,
    path: name,
    storage: null,
    region: new MemoryRegion(geometry.sizeUpper, stats),
    geometry,
    recovery: new Recovery(),
    marks: null,
    size: 0,
    state: FileState.Opened,
    isReadOnly: false,
    readMode: READ_MODE_DEFAULT,
    stats,
    clock,
    reactor: options.reactor ?? null,
  };
}
