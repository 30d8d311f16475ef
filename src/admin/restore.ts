/**
 * `countd restore`: makes a data directory from a backup. The backup is read and verified first, file by file.
 * The directory is made in a place of its own, checked, and gets its name only when it is whole.
 */

import { basename, dirname } from "node:path/posix";
import { CorruptError, FailedError } from "../base/errors.ts";
import {
  Control,
  DataDirectory,
  directoryPaths,
  FREE_MODE,
  freeLogImage,
  headerOfFile,
  type Holder,
  pathOfSlot,
  SEALED_MODE,
} from "../counters/commitlog/mod.ts";
import { decodeKeyspaceName } from "../counters/keyspace/mod.ts";
import type { Storage } from "../file/mod.ts";
import { greatestGenerations } from "./applied_generations.ts";
import { checkDirectory } from "./check.ts";
import { copyFile, isOverwrittenInPlace, makePlace, pathsBelow } from "./copy_files.ts";
import { readManifest, verifyManifest } from "./manifest.ts";
import { UnfinishedDirectory } from "./unfinished_directory.ts";
import type { Violation } from "./violation.ts";

export interface RestoreReport {
  readonly files: number;
  readonly bytes: number;
  /** When the backup was made, for display. */
  readonly createdMs: number;
}

/**
 * Throws `FailedError` if `directory` is not empty at the beginning or at the end, or if a part of the backup
 * has another format, `NotFoundError` if the backup does not exist, and `CorruptError` if it is damaged. Then `directory` is as before.
 */
export function restore(
  storage: Storage,
  source: string,
  directory: string,
  options: { readonly self: Holder },
): RestoreReport {
  const manifest = readManifest(storage, source);
  using made = UnfinishedDirectory.begin(storage, directory, "restore");
  // Open before the first write, so that `sync` reports every write that failed.
  using fileSystem = storage.openFileSystem(made.path);
  verifyManifest(storage, source, manifest);
  let bytes = 0;
  for (const { path } of manifest.files) {
    const to = `${made.path}/${path}`;
    makePlace(storage, dirname(to));
    const isOverwritten = isOverwrittenInPlace(path);
    bytes += copyFile(storage, { from: `${source}/${path}`, to, isOverwritten });
  }
  Control.renewIdentity(storage, directoryPaths(made.path).control);
  makeDirectoriesOf(storage, directoryPaths(source).tables, directoryPaths(made.path).tables);
  completeLogs(storage, made.path, options.self);
  const { violations, otherFormats: [unknown] } = checkDirectory(storage, made.path, options);
  const first = violations.find((violation) => !isOfName(violation));
  // Only its keyspaces say which generations are used up.
  if (unknown !== undefined) {
    throw new FailedError(`The backup ${source} cannot be restored by this countd: ${unknown}`);
  }
  if (first !== undefined) {
    throw new CorruptError(`The backup ${source} does not check: ${first.message}`, first);
  }
  fileSystem.sync();
  storage.reach("restore.rename.before");
  made.publish();
  storage.reach("restore.rename.after");
  return { files: manifest.files.length, bytes, createdMs: manifest.createdMs };
}

/**
 * Makes the directories of the tables. A table is a directory, and one without keys has no file that the
 * manifest could list.
 */
function makeDirectoriesOf(storage: Storage, from: string, to: string): void {
  if (storage.statusOrNull(from) === null) return;
  makePlace(storage, to);
  for (const path of pathsBelow(storage, from, "directory")) makePlace(storage, `${to}/${path}`);
}

/** True for what is wrong with a name alone: it was so when the backup was made, and is restored as it was. */
function isOfName({ noun, path }: Violation): boolean {
  return noun === "tables" || noun === "keyspaces" && decodeKeyspaceName(basename(path)) === null;
}

/**
 * Completes the logs: each gets the length of all logs, is allocated, and is labelled by its state. A backup
 * has no copy of a log that the pool got while it was made, but its keyspaces may have applied it. Such a log
 * is made here with that generation. If a writer made it, its first use would be below, and folds would leave
 * it out.
 */
function completeLogs(storage: Storage, data: string, self: Holder): void {
  using directory = DataDirectory.openOrNull(storage, data, { self });
  if (directory === null) return;
  const { logs, keyspaces } = directoryPaths(data);
  // The manifest lists only files, so no file may have made these.
  for (const path of [logs, keyspaces]) makePlace(storage, path);
  const { logSize } = directory.sizes;
  for (const [slot, generation] of greatestGenerations(storage, keyspaces)) {
    const path = pathOfSlot(logs, slot);
    if (storage.statusOrNull(path) !== null) continue;
    using file = storage.open(path, { access: "write", create: "exclusive", mode: 0o600 });
    file.write(freeLogImage({ slot, generation, logSize }), 0);
  }
  for (const name of storage.readDirectory(logs)) {
    const path = `${logs}/${name}`;
    using file = storage.open(path, { access: "write" });
    file.allocate(0, logSize);
    file.chmod(headerOfFile(file, path)?.state === "free" ? FREE_MODE : SEALED_MODE);
    file.sync();
  }
}
