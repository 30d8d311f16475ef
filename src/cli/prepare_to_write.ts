/** What `kv` and the shell do with a data directory before they write to its tables. */

import {
  DataDirectory,
  describeSelf,
  directoryPaths,
  refuseBackup,
} from "../counters/commitlog/mod.ts";
import type { Storage } from "../file/mod.ts";

/** Refuses a backup. With `makes` a data directory that is missing is made. */
export function prepareToWrite(
  storage: Storage,
  data: string,
  { makes }: { readonly makes: boolean },
): void {
  refuseBackup(storage, data);
  if (!makes || storage.statusOrNull(directoryPaths(data).control) !== null) return;
  DataDirectory.openOrCreate(storage, data, { self: describeSelf(storage) }).close();
}
