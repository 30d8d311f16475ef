/**
 * `countd restore`: a data directory out of a backup. The backup is read back first, file by file; the
 * directory is made under a temporary name, checked, and appears under its own only when it is whole.
 */

import { CorruptError, FailedError } from "../base/errors.ts";
import {
  DataDirectory,
  directoryPaths,
  freeMode,
  type Holder,
  newestHeader,
  sealedMode,
} from "../commitlog/mod.ts";
import { directoryOf, type Storage, trimSlashes } from "../file/mod.ts";
import { checkDirectory } from "./check.ts";
import { copyFile, isVacant, makePlace, removeTree } from "./copy_files.ts";
import { readManifest, verifyManifest } from "./manifest.ts";

export interface RestoreReport {
  readonly files: number;
  readonly bytes: number;
  /** When the backup was made, for display. */
  readonly createdMs: number;
}

/**
 * Throws `FailedError` where `directory` is not empty, `NotFoundError` where there is no backup, and
 * `CorruptError` where it is damaged. Nothing appears under its name then.
 */
export function restore(
  storage: Storage,
  source: string,
  directory: string,
  options: { readonly self: Holder },
): RestoreReport {
  const data = trimSlashes(directory);
  const manifest = readManifest(storage, source);
  if (!isVacant(storage, data)) {
    throw new FailedError(`Cannot restore into ${data}: it is not empty`);
  }
  verifyManifest(storage, source, manifest);
  const partial = `${data}.partial`;
  removeTree(storage, partial);
  makePlace(storage, partial);
  try {
    let bytes = 0;
    for (const { path } of manifest.files) {
      makePlace(storage, directoryOf(`${partial}/${path}`));
      bytes += copyFile(storage, { from: `${source}/${path}`, to: `${partial}/${path}` }).bytes;
    }
    completeLogs(storage, partial, options.self);
    const [first] = checkDirectory(storage, partial, options).violations;
    if (first !== undefined) {
      throw new CorruptError(`The backup ${source} does not check: ${first.message}`, first);
    }
    storage.syncFileSystem(partial);
    storage.reach("restore.rename.before");
    storage.rename(partial, data);
    storage.syncDirectory(directoryOf(data));
    storage.reach("restore.rename.after");
    return { files: manifest.files.length, bytes, createdMs: manifest.createdMs };
  } catch (error) {
    removeTree(storage, partial);
    throw error;
  }
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
