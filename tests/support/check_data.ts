/** Checks a data directory; every test that made one ends with this. */

import { assertEquals } from "@std/assert";
import { checkCommitLogs, DataDirectory, describeSelf } from "../../src/counters/commitlog/mod.ts";
import { systemStorage } from "../../src/file/mod.ts";
import { checkKeyspaces } from "../../src/counters/keyspace/mod.ts";

/**
 * Fails with the list of broken invariants of logs and keyspaces. With `labels` (default), no daemon may
 * be at work.
 */
export function checkData(data: string, { labels = true } = {}): void {
  const storage = systemStorage();
  using directory = DataDirectory.open(storage, data, { self: describeSelf(storage) });
  assertEquals([
    ...checkCommitLogs(directory, { labels }),
    ...checkKeyspaces(storage, directory.paths.keyspaces),
  ], []);
}
