/**
 * The other ways to make an instance: over a descriptor that the caller opened, as a follower of another
 * process, and in memory.
 */

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
  recoverOrThrow,
  restoreTailMark,
  type SharedOptions,
  sizeOf,
} from "./parts.ts";
import { PublishedSize } from "../tail/published_size.ts";
import { Recovery, RecoveryKind } from "../marks/recovery.ts";
import { FileRegion, MemoryRegion } from "./region.ts";
import { SideFile } from "../tail/side_file.ts";

/** An instance over a descriptor that the caller has opened. See `Aof.over`. */
export function overParts(file: StoredFile, options: OverOptions): Parts {
  const base = defaultParts(options);
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
    ...base,
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
      ...base,
      path,
      storage: options.storage ?? null,
      region,
      geometry,
      recovery,
      marks,
      size,
      state: isFinished ? FileState.Eof : FileState.Opened,
      published,
      ownsBytes: false,
    };
  });
}

/** A reader of what another process appends. See `Aof.follow`. */
export function followParts(storage: Storage, path: string, options: SharedOptions): Parts {
  const base = defaultParts(options);
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
    ...base,
  });
  undo.defer(() => region.release(false));
  const geometry = new Geometry({ sizeUpper: side.upperSize }).validate(storage.pageSize);
  const follower = new Follower(region, { ...base, side, storage });
  undo.move();
  return {
    ...base,
    path,
    storage,
    region,
    geometry,
    recovery: new Recovery(),
    isReadOnly: true,
    follower,
    side,
  };
}

/** Memory alone, under a name for messages. */
export function anonymousParts(name: string, size: number, options: SharedOptions): Parts {
  const base = defaultParts(options);
  const geometry = new Geometry({ sizeNow: size, sizeUpper: size }).validate();
  return {
    ...base,
    path: name,
    storage: null,
    region: new MemoryRegion(geometry.sizeUpper, base.stats),
    geometry,
    recovery: new Recovery(),
  };
}
