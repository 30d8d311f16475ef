/**
 * Looking into an append-only file without opening it as one: nothing is mapped, locked or changed, so
 * it may be looked at while its writer appends, finishes it, or is dead.
 */

import { isZero } from "./bytes.ts";
import type { FileStatus, Storage, StoredFile } from "../../file/mod.ts";
import { pendingWordLayout, SIDE_FILE_FORMAT, SIDE_FILE_SIZE, sideFileLayout } from "./layout.ts";
import { isMarkAt, type Magic, magicDefault, MARK_SIZE, MarkBytes } from "./magic.ts";
import { readLive } from "./live_read.ts";
import { pendingLengthAt, type RecoveryResult } from "./recovery.ts";
import { sideFilePath } from "../tail/side_file.ts";

/** What the side file says, whether or not it can be right. */
export interface SideFileContent {
  readonly path: string;
  /** Bytes that the side file has. */
  readonly length: number;
  readonly publishedSize: number;
  readonly format: number;
  readonly state: number;
  readonly upperSize: number;
  /** Whether the published size is that of this file. */
  readonly describesFile: boolean;
  /** Whether the bytes behind the fields are 0. */
  readonly restIsZero: boolean;
}

export interface Inspection {
  readonly status: FileStatus;
  /** Everything up to the last byte that is not 0, and some zeros. */
  readonly bytes: Uint8Array;
  readonly result: RecoveryResult;
  /** Offset of the tail mark, null where none stands at the end of the data. */
  readonly tailMark: number | null;
  /** Offset of the last checkpoint mark, or null. */
  readonly checkpointMark: number | null;
  /** Bytes of a write that was cut off or is under way, or null. */
  readonly pendingBytes: number | null;
  /** Null where the file is not shared. */
  readonly side: SideFileContent | null;
}

/** Throws `OsError` where the file cannot be read. `file` is one that is already open. */
export function inspect(
  storage: Storage,
  path: string,
  { magic = magicDefault, file }: {
    readonly magic?: Magic | undefined;
    readonly file?: StoredFile | undefined;
  } = {},
): Inspection {
  // The published size first: what it speaks of must already stand when the file is read.
  const side = readSideFile(storage, path);
  const opened = file ?? storage.open(path, { access: "read" });
  try {
    const status = opened.status();
    const { bytes, result } = readLive(opened, magic);
    return {
      status,
      bytes,
      result,
      ...marksOf(bytes, result),
      pendingBytes: pendingBytesOf(bytes, result),
      side: side === null ? null : contentOf(side, path, status),
    };
  } finally {
    if (file === undefined) opened.close();
  }
}

function marksOf(
  bytes: Uint8Array,
  { magic, tail, checkpoint }: RecoveryResult,
): { readonly tailMark: number | null; readonly checkpointMark: number | null } {
  if (magic.isDisabled()) return { tailMark: null, checkpointMark: null };
  const marks = new MarkBytes(magic);
  return {
    tailMark: isMarkAt(bytes, tail, marks.tail) ? tail : null,
    checkpointMark: isMarkAt(bytes, checkpoint, marks.checkpoint) ? checkpoint : null,
  };
}

function pendingBytesOf(bytes: Uint8Array, { magic, tail }: RecoveryResult): number | null {
  if (magic.isDisabled() || bytes.length < MARK_SIZE) return null;
  const { tail: mark } = new MarkBytes(magic);
  let last = bytes.length - 1;
  while (last >= 0 && bytes[last] === 0) last--;
  const start = last + 1 - MARK_SIZE;
  const { offset } = pendingWordLayout.sign;
  for (let index = offset; index < MARK_SIZE; index++) {
    if (bytes[start + index] !== mark[index]) return null;
  }
  return start > tail && pendingLengthAt(bytes, start) === start - tail ? start - tail : null;
}

function readSideFile(
  storage: Storage,
  path: string,
): { bytes: Uint8Array; length: number } | null {
  const sidePath = sideFilePath(path);
  if (storage.statusOrNull(sidePath) === null) return null;
  const file = storage.open(sidePath, { access: "read" });
  try {
    const bytes = new Uint8Array(SIDE_FILE_SIZE);
    return { bytes, length: file.read(bytes, 0) };
  } finally {
    file.close();
  }
}

function contentOf(
  { bytes, length }: { bytes: Uint8Array; length: number },
  path: string,
  status: FileStatus,
): SideFileContent {
  const view = new DataView(bytes.buffer);
  const at = sideFileLayout;
  const isOfFile = view.getBigUint64(at.inode.offset, true) === status.inode &&
    view.getBigUint64(at.device.offset, true) === status.device;
  const format = view.getUint32(at.format.offset, true);
  return {
    path: sideFilePath(path),
    length,
    publishedSize: Number(view.getBigInt64(at.publishedSize.offset, true)),
    format,
    state: view.getUint32(at.state.offset, true),
    upperSize: Number(view.getBigUint64(at.upperSize.offset, true)),
    describesFile: isOfFile && format === SIDE_FILE_FORMAT,
    restIsZero: isZero(bytes, at.device.offset + at.device.size, SIDE_FILE_SIZE),
  };
}
