/** The bytes of a file as they lie: its head page, or all of it up to the end of its data. */

import { endOfData, type Storage, type StoredFile } from "../../file/mod.ts";
import { HEAD_PAGE_BYTES, roundUp } from "../format/layout.ts";

/** The first page of a file, or less if the file is shorter. */
export function readHeadPage(file: StoredFile): Uint8Array {
  const page = new Uint8Array(HEAD_PAGE_BYTES);
  return page.subarray(0, file.read(page, 0));
}

/**
 * Maps a file for reading up to the end of its data, or to `endMin` in the file if its headers say so: zeros may
 * have become a hole. If it has none, it cannot be mapped and gives no bytes.
 */
export function mapToRead(
  storage: Storage,
  file: StoredFile,
  endMin = 0,
): Disposable & { bytes: Uint8Array } {
  const end = Math.min(file.status().size, Math.max(endOfData(file), endMin));
  if (end === 0) return { bytes: new Uint8Array(0), [Symbol.dispose]: () => {} };
  const mapping = file.map(roundUp(end, storage.pageSize), "read");
  return { bytes: mapping.bytes.subarray(0, end), [Symbol.dispose]: () => mapping.release() };
}
