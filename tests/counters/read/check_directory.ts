/** Holds a data directory at rest to the invariants of its nouns. */

import { assertEquals } from "@std/assert";
import {
  checkCommitLogs,
  DataDirectory,
  describeSelf,
} from "../../../src/counters/commitlog/mod.ts";
import { systemStorage } from "../../../src/file/mod.ts";
import { checkKeyspaces } from "../../../src/counters/keyspace/mod.ts";

/** Fails where a rule is broken. With `labels` also modes and lock names: no daemon is at work. */
export function assertWholeDirectory(data: string, { labels = true } = {}): void {
  const storage = systemStorage();
  using directory = DataDirectory.open(storage, data, { self: describeSelf(storage) });
  assertEquals(checkCommitLogs(directory, { labels }), []);
  assertEquals(checkKeyspaces(storage, directory.paths.keyspaces), []);
}
