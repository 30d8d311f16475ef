/** Writing long texts, none of which is longer than the runtime can read again. */

import { FailedError } from "../base/errors.ts";
import type { StoredFile } from "./storage.ts";

/** Longest text that the runtime can hold, if each of its characters has one byte. */
export const TEXT_BYTES_MAX = 2 ** 29 - 24;

const PIECE_UNITS = 256 * 1024;

/**
 * Writes the pieces of a text into a file that will be at `path`. Throws `FailedError`, with the advice, if
 * the whole text could not be read again, and `OsError`.
 */
export function writeText(
  file: StoredFile,
  pieces: Iterable<string>,
  { path, advice }: { readonly path: string; readonly advice: string },
): void {
  const encoder = new TextEncoder();
  let offset = 0;
  let gathered = "";
  const write = () => {
    const bytes = encoder.encode(gathered);
    if (offset + bytes.length > TEXT_BYTES_MAX) throw new RangeError("The text is too long");
    file.write(bytes, offset);
    offset += bytes.length;
    gathered = "";
  };
  try {
    for (const piece of pieces) {
      gathered += piece;
      if (gathered.length >= PIECE_UNITS) write();
    }
    write();
  } catch (cause) {
    // The runtime throws it for a single piece that is too long.
    if (!(cause instanceof RangeError)) throw cause;
    throw new FailedError(
      `Cannot write ${path}: its text would be longer than ${TEXT_BYTES_MAX} bytes, which no ` +
        `program on this runtime can read; ${advice}`,
      { cause },
    );
  }
}
