/** Where the data of a file ends. */

import type { StoredFile } from "./storage.ts";

/**
 * The offset behind the last range of a file that is not a hole; 0 if there is none. What follows reads as
 * zeros. So the length of a sparse file, which costs its maker nothing, costs its reader nothing either.
 */
export function endOfData(file: StoredFile): number {
  let end = 0;
  for (let data = file.nextData(0); data !== null; data = file.nextData(end)) end = data.end;
  return end;
}
