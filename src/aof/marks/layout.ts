/**
 * Offsets in the pending word, and in the side file NAME.size by which an append-only file is shared
 * between processes. Each offset is the sum of the sizes before it. README.md has the same tables, and a
 * test compares them.
 */

import { checkFormat } from "../../base/format.ts";

/** Place of a field, in bytes. */
export interface Field {
  readonly offset: number;
  readonly size: number;
}

function after(field: Field, size: number): Field {
  return { offset: field.offset + field.size, size };
}

const publishedSize: Field = { offset: 0, size: 8 };
const format = after(publishedSize, 4);
const state = after(format, 4);
const upperSize = after(state, 8);
const inode = after(upperSize, 8);
const device = after(inode, 8);

export const sideFileLayout = { publishedSize, format, state, upperSize, inode, device } as const;

const length: Field = { offset: 0, size: 5 };
const sign = after(length, 3);

/** The word behind a write that is under way; see marks.ts. */
export const pendingWordLayout = { length, sign } as const;

/** Bytes of the side file: one page of any supported system holds the fields, the rest is 0. */
export const SIDE_FILE_SIZE = 4096;
/** "asz1": version 1 of the side file. */
export const SIDE_FILE_FORMAT = 0x317a7361;
const SIDE_FILE_VERSION = 1;

/**
 * Throws `NewerFormatError` for the format of a side file that a newer countd has made. Any other unknown
 * format is damage: the next writer makes the side file anew.
 */
export function refuseNewerSideFile(sidePath: string, format: number): void {
  const version = SIDE_FILE_VERSION + (format >>> 24) - (SIDE_FILE_FORMAT >>> 24);
  const isSideFile = (format & 0xff_ffff) === (SIDE_FILE_FORMAT & 0xff_ffff);
  if (!isSideFile || version <= SIDE_FILE_VERSION) return;
  const known = { subject: "Side file", version: SIDE_FILE_VERSION, incompat: 0, oldAdvice: "" };
  checkFormat(sidePath, { version, incompat: 0 }, known);
}

/** What the name of a side file adds to that of its file. */
export const SIDE_FILE_SUFFIX = ".size";
