/** Repairs one append-only file. */

import { type RepairedFile, repairFile } from "../aof/mod.ts";
import { RefusedError } from "../base/errors.ts";
import { headerOfFile, type Holder } from "../counters/commitlog/mod.ts";
import type { Storage } from "../file/mod.ts";
import { openLog, slotOf } from "./log_bytes.ts";

/**
 * Makes an append-only file usable that nothing tells the end of. Throws `RefusedError` for a commit log, which
 * `repair` mends, and otherwise as `repairFile` and `openLog`.
 */
export function repairLog(
  storage: Storage,
  path: string,
  { self, size }: { readonly self: Holder; readonly size: number | undefined },
): RepairedFile {
  using log = openLog(storage, path, self);
  if (slotOf(path) !== null || headerOfFile(log.file, path) !== null) {
    throw new RefusedError(
      `${path} is a commit log: run countd repair --data with its data directory`,
    );
  }
  return repairFile(storage, path, { size });
}
