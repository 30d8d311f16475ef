/** A database that is read and not opened: nothing in its files changes, also on a read-only file system. */

import { NotFoundError } from "../../base/errors.ts";
import type { Storage } from "../../file/mod.ts";
import { requireNotFailed } from "../files/failed_mark.ts";
import { isPair } from "../files/pair.ts";
import { closePair, lockPairToRead } from "../files/pair_lock.ts";
import type { DatabasePaths } from "../files/publish.ts";
import { mapToRead, readHeadPage } from "../files/read_file.ts";
import { knownLength } from "../format/header.ts";
import { identityOf } from "../format/layout.ts";
import { entriesBetween } from "./journal.ts";
import { EntryList } from "./log.ts";
import { loadSnapshot, newestHeader, replayLog } from "./recovery.ts";

/** What an export takes from a database, open or only read. */
export interface DatabaseContent {
  /** Number of keys in the map. */
  readonly size: number;
  /** All keys and values, in no order. */
  entries(): Iterable<[string, string]>;
  /** The entries of the log, and how many of them are committed. */
  readonly log: { readonly entries: EntryList; readonly committed: number };
}

/**
 * Reads the database in two files, which are locked until it is disposed: others may read them too. Null if
 * they are not yet a pair: a start was cut short, or they are files of the original. `init` completes them.
 *
 * @throws {NotFoundError} If both files are missing.
 * @throws {DatabaseInUseError} If another process has the files open.
 * @throws {CorruptError} If the files are damaged or marked failed.
 * @throws {NewerFormatError} If only a newer countd can read the files. They are whole.
 * @throws {OldFormatError} If the files have format 1.
 * @throws {OsError} If the system refuses.
 */
export function readDatabase(
  storage: Storage,
  paths: DatabasePaths,
): DatabaseContent & Disposable | null {
  requireNotFailed(storage, paths.map);
  const missing = [paths.map, paths.log].filter((path) => storage.statusOrNull(path) === null);
  if (missing.length === 2) throw new NotFoundError(`No database at ${paths.map} and ${paths.log}`);
  if (missing.length === 1) return null;
  using opened = new DisposableStack();
  const files = opened.adopt(lockPairToRead(storage, paths), closePair);
  if (!isPair(files)) return null;
  const { header } = newestHeader(files.map);
  const { map, state } = loadSnapshotOf(storage, files.map, header);
  const { bytes } = opened.use(
    mapToRead(storage, files.log, knownLength(header, readHeadPage(files.log))),
  );
  const { replay } = replayLog(files.log, bytes, { header, state, map });
  const source = { bytes, seed: identityOf(header.identity).seed, path: paths.log };
  const { index, committed } = replay;
  const entries = new EntryList({
    length: index.length,
    entries: (from, to) => entriesBetween(index, source, [from, Math.min(to, index.length)]),
  });
  const disposer = opened.move();
  return {
    size: map.size,
    entries: () => map.entries(),
    log: { entries, committed },
    [Symbol.dispose]: () => disposer.dispose(),
  };
}

function loadSnapshotOf(
  storage: Storage,
  file: Parameters<typeof newestHeader>[0],
  header: ReturnType<typeof newestHeader>["header"],
): ReturnType<typeof loadSnapshot> {
  using mapping = mapToRead(storage, file, header.regionOffset + header.regionBytes);
  return loadSnapshot(file, mapping.bytes, header);
}
