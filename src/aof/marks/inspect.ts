/**
 * Inspecting an append-only file without opening it as one: nothing is mapped, locked or changed. So it
 * may be inspected while its writer appends or finishes it, and after its writer died.
 */

import { isZero } from "./bytes.ts";
import type { FileStatus, Storage, StoredFile } from "../../file/mod.ts";
import {
  pendingWordLayout,
  refuseNewerSideFile,
  SIDE_FILE_FORMAT,
  SIDE_FILE_SIZE,
  sideFileLayout,
} from "./layout.ts";
import { isMarkAt, type Magic, magicDefault, MARK_SIZE, MarkBytes } from "./magic.ts";
import { readLive } from "./live_read.ts";
import { pendingLengthAt, type RecoveryResult } from "./recovery.ts";
import { sideFilePath } from "../tail/side_file.ts";

/** The fields of a side file NAME.size, as they are on disk, whether or not they can be right. */
export interface SideFileContent {
  /** Path of the side file. */
  readonly path: string;
  /** Bytes that the side file has, at most 4096 of them counted. */
  readonly length: number;
  /** Bytes of data that the writer has published. */
  readonly publishedSize: number;
  /** The format as a 32-bit number; 0x317a7361 (`asz1`) for version 1. */
  readonly format: number;
  /** 0 while the file is appended to, 1 once it is finished. */
  readonly state: number;
  /** Bytes that the file may grow to. */
  readonly upperSize: number;
  /** Whether the side file describes this file, by its inode and device, in a known format. */
  readonly describesFile: boolean;
  /** Whether all bytes behind the fields are 0. */
  readonly restIsZero: boolean;
}

/** What `inspect` finds in a file. */
export interface Inspection {
  /** Status of the file when it was read. */
  readonly status: FileStatus;
  /** Bytes of the file up to the last that is not 0, and some zeros. Below the data's end they are final. */
  readonly bytes: Uint8Array;
  /** Where the data ends, and how that is known. */
  readonly result: RecoveryResult;
  /** Offset of the tail mark, or null if there is none at the end of the data. */
  readonly tailMark: number | null;
  /** Offset of the last checkpoint mark, or null. */
  readonly checkpointMark: number | null;
  /** Bytes of a write that is under way or was killed, or null. */
  readonly pendingBytes: number | null;
  /** Content of the side file, or null if the file is not shared. */
  readonly side: SideFileContent | null;
}

/**
 * Read a file and find the end of its data. It changes nothing, takes no lock, and may run while a writer
 * appends. `magic` are the marks to look for; default: kirana's. `file` is the file itself if it is open
 * already; it stays open. Throws `OsError` if the file cannot be read, and `NewerFormatError` for a side file
 * of a newer format.
 */
export function inspect(
  storage: Storage,
  path: string,
  { magic = magicDefault, file }: {
    readonly magic?: Magic | undefined;
    readonly file?: StoredFile | undefined;
  } = {},
): Inspection {
  // The published size first: the bytes that it covers are then there when the file is read.
  const side = readSideFile(storage, path);
  using own = file === undefined ? storage.open(path, { access: "read" }) : null;
  const opened = file ?? own!;
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
  using file = storage.open(sidePath, { access: "read" });
  const bytes = new Uint8Array(SIDE_FILE_SIZE);
  return { bytes, length: file.read(bytes, 0) };
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
  refuseNewerSideFile(sideFilePath(path), format);
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
