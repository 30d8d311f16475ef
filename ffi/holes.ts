/** Finds the parts of a file that have data, so that a copy can leave out its holes. */

import { fstat } from "./file.ts";
import { OsError, outcomeOf } from "./errno.ts";
import { libc } from "./libc.ts";

/** `whence` of lseek on Linux. */
const SEEK_DATA = 3;
const SEEK_HOLE = 4;

export interface DataRange {
  readonly start: number;
  readonly end: number;
}

/**
 * The next range from `offset` on that is not a hole; null if none follows. Space that was allocated and
 * never written to is a hole too. If the system cannot tell, all of the file is data. Moves the position of
 * the descriptor, which no other function here uses.
 */
export function nextData(descriptor: number, offset: number, path: string): DataRange | null {
  const { size } = fstat(descriptor, path);
  if (offset >= size) return null;
  if (Deno.build.os !== "linux") return { start: offset, end: size };
  const start = seek(descriptor, offset, SEEK_DATA);
  if (start === "ENXIO") return null;
  if (start === "EINVAL") return { start: offset, end: size };
  if (typeof start === "string") throw new OsError("lseek", path, start);
  const end = seek(descriptor, start, SEEK_HOLE);
  // The file was truncated between the two calls.
  if (end === "ENXIO") return null;
  if (typeof end === "string") throw new OsError("lseek", path, end);
  return { start, end };
}

function seek(descriptor: number, offset: number, whence: number): number | string {
  return outcomeOf(() => libc().call.lseek(descriptor, BigInt(offset), whence));
}
