/** Tells a log that was in use from an unfinished one. */

import { isFormatError } from "../../base/format.ts";
import type { Storage, StoredFile } from "../../file/mod.ts";
import { plausibleLength } from "./frame.ts";
import { headerOf } from "./header.ts";
import { FRAME_HEAD_BYTES, HEAD_PAGE_BYTES } from "./layout.ts";
import { LogBytes, readFrom } from "../../file/checked_log/mod.ts";

/**
 * True if a header or the place of the first frame shows that a writer has claimed the log, and for a log of
 * another format: it is never removed.
 */
export function wasInUse(file: StoredFile): boolean {
  const bytes = new Uint8Array(HEAD_PAGE_BYTES + FRAME_HEAD_BYTES);
  readFrom({ file, path: file.path }, bytes, 0);
  try {
    if ((headerOf(bytes, "")?.generation ?? 0n) > 0n) return true;
  } catch (error) {
    if (isFormatError(error)) return true;
    throw error;
  }
  // Without a header the generation is unknown, so a frame's checksum cannot be verified.
  return plausibleLength(new LogBytes(bytes), HEAD_PAGE_BYTES, Infinity) > 0;
}

/**
 * As `wasInUse`, for the file that a lock name leads to, whatever its mode. The caller holds the slot's
 * byte.
 */
export function lockNameWasInUse(storage: Storage, lockPath: string): boolean {
  if (storage.statusOrNull(lockPath)?.kind !== "file") return false;
  storage.chmod(lockPath, 0o600);
  using file = storage.open(lockPath, { access: "read" });
  return wasInUse(file);
}
