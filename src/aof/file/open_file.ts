/**
 * Opening or making the file at a path. The order: look at the mode, open, take the lock of the one
 * producer, map, recover, extend, restore the tail mark, publish.
 */

import { BusyError, FailedError, NotFoundError } from "../../base/errors.ts";
import { undoOnError } from "../../base/undo_on_error.ts";
import { leadsTo, type Storage, type StoredFile } from "../../file/mod.ts";
import { ErrEmptyFile, ErrIsDirectory, ErrReadPermission } from "./errors.ts";
import { FileState } from "./file_state.ts";
import { Geometry, roundUp } from "./geometry.ts";
import { readLive } from "../marks/live_read.ts";
import { magicDefault, MARK_SIZE } from "../marks/magic.ts";
import {
  defaultParts,
  marksOf,
  type OpenOptions,
  type Parts,
  recoverOrThrow,
  restoreTailMark,
  sizeOf,
  WRITE_MODE_DEFAULT,
} from "./parts.ts";
import {
  type Recovery,
  recoveryDefault,
  RecoveryKind,
  type RecoveryResult,
} from "../marks/recovery.ts";
import { FileRegion, timed } from "./region.ts";
import { SideFile } from "../tail/side_file.ts";

/** Open or make the file at `path`. For the errors see `Aof.open`. */
export function openParts(storage: Storage, path: string, options: OpenOptions): Parts {
  const base = defaultParts(options);
  const { clock, stats } = base;
  const recovery = (options.recovery ?? recoveryDefault).clone();
  const readsAsFinished = recovery.func === null;
  const geometry = (options.geometry ?? new Geometry()).validate(storage.pageSize);
  const status = storage.statusOrNull(path);
  if (status === null && (!geometry.create || readsAsFinished)) {
    throw new NotFoundError(`Cannot open ${path}: the file does not exist`);
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
  const startMs = clock.nowMs();
  const file = timed(clock, {
    count: stats.openFileCount,
    duration: stats.openFileDur,
    errors: stats.openFileErrors,
    errorsDuration: stats.openFileErrorsDur,
  }, () =>
    storage.open(path, {
      access: isReadOnly ? "read" : "write",
      create: status === null ? "exclusive" : "never",
      mode: options.writeMode ?? WRITE_MODE_DEFAULT,
    }));
  using undo = new DisposableStack();
  undo.use(file);
  if (!isReadOnly && !file.tryFlock("exclusive")) {
    throw new BusyError(`Cannot open ${path}: another process is appending to it`);
  }
  // The process that made it may have found no space for it, and removed it before this lock was taken.
  if (!isReadOnly && !leadsTo(storage, path, file.status())) {
    throw new BusyError(
      `Cannot open ${path}: it was removed or replaced while it was opened; try again`,
    );
  }
  if (status === null) undo.defer(() => storage.unlink(path));
  if (!isReadOnly && file.status().size === 0) SideFile.invalidate(storage, path);
  if (status === null) {
    file.avoidCopyOnWrite();
    file.allocate(0, geometry.sizeNow);
    storage.reach("aof.create.after");
  }
  const opening = { ...base, path, storage, geometry, recovery, isReadOnly };
  const parts = isReadOnly ? readOnlyParts(file, opening) : writableParts(file, opening);
  undo.defer(() => parts.region.release(false));
  const side = isReadOnly ? null : SideFile.forWriter(storage, path, {
    create: options.shared ?? false,
    mode: file.status().mode | 0o600,
  });
  const { size, state } = parts;
  side?.publish(file.status(), { size, upperSize: parts.geometry.sizeUpper });
  if (state === FileState.Eof) side?.publishFinished(size);
  if (status === null) {
    stats.creates.add();
    stats.createsDur.add(clock.nowMs() - startMs);
  }
  undo.move();
  return {
    ...parts,
    side,
    published: side?.size ?? null,
    naming: status === null ? "made" : isReadOnly ? "ensured" : "found",
    readMode: options.readMode ?? base.readMode,
  };
}

/** The parts that are known before the file is mapped. */
type Opening = Omit<Parts, "region"> & { readonly storage: Storage };

function readOnlyParts(file: StoredFile, opening: Opening): Parts {
  const { path, recovery, stats, clock } = opening;
  const { size: fileSize, mode } = file.status();
  // A file that may be written to may be finished, and truncated, at any time: only its data is mapped.
  const mayBeTruncated = recovery.func === null && (mode & 0o200) !== 0;
  const found = mayBeTruncated ? recoverLive(file, recovery) : null;
  const needed = found === null ? fileSize : Math.max(sizeOf(found), 1);
  const length = roundUp(needed, opening.geometry.pageSize);
  const region = new FileRegion(file, { length, access: "read", fileSize, stats, clock });
  return undoOnError(() => region.release(false), () => {
    const result = found ?? recoverOrThrow(recovery, region, path);
    // Without marks a finished file ends where its data does, zeros included.
    const size = result.magic.isDisabled() ? fileSize : sizeOf(result);
    return { ...opening, region, size, state: FileState.Eof };
  });
}

function recoverLive(file: StoredFile, recovery: Recovery): RecoveryResult {
  const magic = recovery.magic.isEnabled() ? recovery.magic : magicDefault;
  const { bytes } = readLive(file, magic);
  return recoverOrThrow(recovery, { fileSize: bytes.length, bytes }, file.path);
}

function writableParts(file: StoredFile, opening: Opening): Parts {
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
  return undoOnError(() => region.release(false), () => {
    const result = recoverOrThrow(recovery, region, path);
    const size = sizeOf(result);
    const marks = marksOf(result, region);
    const base = { ...opening, geometry, region, marks, size };
    if (result.outcome === RecoveryKind.Checkpoint) return { ...base, state: FileState.Eof };
    // Holes would make a later store fail for want of space.
    if (status.allocatedBytes < fileSize) file.allocate(0, fileSize);
    const wanted = roundUp(Math.max(fileSize, geometry.sizeNow, size + MARK_SIZE), pageSize);
    if (wanted > geometry.sizeUpper) {
      throw new FailedError(`Cannot open ${path}: its tail mark does not fit behind ${size} bytes`);
    }
    if (wanted > fileSize) region.extend(wanted);
    storage.reach("aof.recover.before");
    if (marks !== null) restoreTailMark(size, { region, marks });
    storage.reach("aof.recover.after");
    return base;
  });
}
