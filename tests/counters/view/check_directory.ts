/** Checks the invariants of a data directory that no process uses. */

import { assertEquals } from "@std/assert";
import {
  checkCommitLogs,
  DataDirectory,
  describeSelf,
} from "../../../src/counters/commitlog/mod.ts";
import { systemStorage } from "../../../src/file/mod.ts";
import { checkKeyspaces } from "../../../src/counters/keyspace/mod.ts";

/** Fails if a rule is broken. With `labels` also by modes and lock names, if no daemon works. */
export function assertWholeDirectory(data: string, { labels = true } = {}): void {
  const storage = systemStorage();
  using directory = DataDirectory.open(storage, data, { self: describeSelf(storage) });
  assertEquals(checkCommitLogs(directory, { labels }), []);
  assertEquals(checkKeyspaces(storage, directory.paths.keyspaces), []);
}
