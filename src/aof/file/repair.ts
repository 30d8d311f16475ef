/**
 * Repairing a file that nothing tells the end of. A power cut after a sync may keep the bytes that were
 * appended over the mark of the synced end, and lose the mark behind them. What was synced is whole then.
 */

import {
  BusyError,
  FailedError,
  NotFoundError,
  RefusedError,
  UsageError,
} from "../../base/errors.ts";
import { leadsTo, nullIfCode, type Storage, type StoredFile, syncName } from "../../file/mod.ts";
import { isZero, lastNonZero } from "../marks/bytes.ts";
import { inspect, type Inspection } from "../marks/inspect.ts";
import { type Magic, magicDefault, MARK_SIZE, MarkBytes } from "../marks/magic.ts";
import { RecoveryKind } from "../marks/recovery.ts";
import { sizeOf } from "./parts.ts";

/** Options of `repairFile`. */
export interface RepairOptions {
  /** Where the data ends, in bytes. Default: at its last byte that is not 0, or at the published size. */
  readonly size?: number | undefined;
  /** The marks of the file. Default: kirana's. */
  readonly magic?: Magic | undefined;
}

/** What a repair has done. */
export interface RepairedFile {
  /** Bytes of data in the file now. */
  readonly size: number;
  /** False if the file was sound, and was left alone. */
  readonly isRepaired: boolean;
  /** Path of a new file with the bytes behind `size`; null if there were none. */
  readonly kept: string | null;
}

const ZEROS = new Uint8Array(65536);

/**
 * Make a file usable of which `open` throws `ErrCorrupted`, or which it finds finished at a checkpoint before
 * its end: put the tail mark where the data ends. What is cut is kept in NAME.torn-1. Nothing tells zeros at
 * the end of the data from the space behind it: without `size` they are lost if no published size covers them.
 * A repair that was killed can be repeated with the same options. Throws `NotFoundError`, `FailedError` if it
 * is not a file, `BusyError` while another process appends, `RefusedError` for a sound file of another size
 * than the one given, `UsageError` for a size beyond the file, and `OsError`.
 */
export function repairFile(
  storage: Storage,
  path: string,
  { size: wanted, magic = magicDefault }: RepairOptions = {},
): RepairedFile {
  using file = openAlone(storage, path);
  const found = inspect(storage, path, { magic, file });
  if (isSound(found)) {
    const size = sizeOf(found.result);
    if (wanted === undefined || wanted === size) return { size, isRepaired: false, kept: null };
    throw new RefusedError(`${path} is sound and has ${size} bytes of data: nothing was changed`);
  }
  const end = lastNonZero(found.bytes, found.bytes.length) + 1;
  const fileSize = found.status.size;
  const size = wanted ?? Math.max(end, publishedIn(found));
  if (!Number.isSafeInteger(size) || size < 0 || size > fileSize) {
    throw new UsageError(`Invalid size ${size}: ${path} has ${fileSize} bytes`);
  }
  const kept = size < end ? keepAside(storage, path, found.bytes.subarray(size, end)) : null;
  if (size + MARK_SIZE > fileSize) file.allocate(0, size + MARK_SIZE);
  file.write(new MarkBytes(magic).tail, size);
  for (let at = size + MARK_SIZE; at < end; at += ZEROS.length) {
    file.write(ZEROS.subarray(0, Math.min(ZEROS.length, end - at)), at);
  }
  file.sync();
  syncName(storage, path);
  return { size, isRepaired: true, kept };
}

function openAlone(storage: Storage, path: string): StoredFile {
  const status = storage.statusOrNull(path);
  if (status === null) throw new NotFoundError(`No file at ${path}`);
  if (status.kind !== "file") throw new FailedError(`Cannot repair ${path}: it is not a file`);
  using opened = new DisposableStack();
  const file = opened.use(storage.open(path, { access: "write" }));
  if (!file.tryFlock("exclusive") || !leadsTo(storage, path, file.status())) {
    throw new BusyError(
      `Cannot repair ${path}: another process is appending to it, or replaces it`,
    );
  }
  opened.move();
  return file;
}

/** True if the marks tell the end, and nothing follows it that no mark ends. */
function isSound({ bytes, result: { outcome, tail } }: Inspection): boolean {
  if (outcome === RecoveryKind.Checkpoint) return isZero(bytes, tail, bytes.length);
  return outcome === RecoveryKind.Empty || outcome === RecoveryKind.Tail;
}

/** The published size, if the side file is of this file and the file is as long. */
function publishedIn({ side, status }: Inspection): number {
  if (side === null || !side.describesFile || side.publishedSize > status.size) return 0;
  return side.publishedSize;
}

function keepAside(storage: Storage, path: string, bytes: Uint8Array): string {
  for (let number = 1;; number++) {
    const kept = `${path}.torn-${number}`;
    using file = nullIfCode(
      () => storage.open(kept, { access: "write", create: "exclusive" }),
      "EEXIST",
    );
    if (file === null) continue;
    file.write(bytes, 0);
    file.sync();
    syncName(storage, kept);
    return kept;
  }
}
