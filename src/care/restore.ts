/**
 * `countd restore`: a data directory out of a backup. The backup is read back first, file by file; the
 * directory is made in a place of its own, checked, and appears under its name only when it is whole.
 */

import { CorruptError } from "../base/errors.ts";
import {
  DataDirectory,
  directoryPaths,
  freeMode,
  type Holder,
  newestHeader,
  sealedMode,
} from "../commitlog/mod.ts";
import { directoryOf, type Storage } from "../file/mod.ts";
import { checkDirectory } from "./check.ts";
import { copyFile, makePlace } from "./copy_files.ts";
import { readManifest, verifyManifest } from "./manifest.ts";
import { UnfinishedDirectory } from "./unfinished_directory.ts";

export interface RestoreReport {
  readonly files: number;
  readonly bytes: number;
  /** When the backup was made, for display. */
  readonly createdMs: number;
}

/**
 * Throws `FailedError` where `directory` is not empty or becomes so, `NotFoundError` where there is no
 * backup, and `CorruptError` where it is damaged. Nothing appears under its name then.
 */
export function restore(
  storage: Storage,
  source: string,
  directory: string,
  options: { readonly self: Holder },
): RestoreReport {
  const manifest = readManifest(storage, source);
  using made = UnfinishedDirectory.begin(storage, directory, "restore");
  verifyManifest(storage, source, manifest);
  let bytes = 0;
  for (const { path } of manifest.files) {
    const to = `${made.path}/${path}`;
    makePlace(storage, directoryOf(to));
    bytes += copyFile(storage, { from: `${source}/${path}`, to }).bytes;
  }
  completeLogs(storage, made.path, options.self);
  const [first] = checkDirectory(storage, made.path, options).violations;
  if (first !== undefined) {
    throw new CorruptError(`The backup ${source} does not check: ${first.message}`, first);
  }
  storage.syncFileSystem(made.path);
  storage.reach("restore.rename.before");
  made.publish();
  storage.reach("restore.rename.after");
  return { files: manifest.files.length, bytes, createdMs: manifest.createdMs };
}

/** A log is as long as all logs, all of it allocated, and labelled by its state. */
function completeLogs(storage: Storage, data: string, self: Holder): void {
  using directory = DataDirectory.openOrNull(storage, data, { self });
  if (directory === null) return;
  const { logs, keyspaces } = directoryPaths(data);
  // A backup has no empty directories.
  for (const path of [logs, keyspaces]) makePlace(storage, path);
  for (const name of storage.readDirectory(logs)) {
    using file = storage.open(`${logs}/${name}`, { access: "write" });
    file.allocate(0, directory.sizes.logSize);
    const head = new Uint8Array(4096);
    file.read(head, 0);
    file.chmod(newestHeader(head)?.header.state === "free" ? freeMode : sealedMode);
    file.sync();
  }
}
