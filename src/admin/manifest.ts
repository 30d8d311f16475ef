/**
 * `backup.json`, the list of what a backup consists of. Written last: a directory without it is not a backup.
 *
 * Invariant: it lists every file of the backup but itself, with size and checksum.
 */

import { assert } from "../base/assert.ts";
import { CorruptError, NotFoundError } from "../base/errors.ts";
import { checkFormat } from "../base/format.ts";
import { FORMAT_VERSION, VERSION } from "../base/version.ts";
import { directoryPaths, holdsBackup, MOVE_ADVICE } from "../counters/commitlog/mod.ts";
import type { Violation } from "../counters/keyspace/mod.ts";
import { type Storage, TEXT_BYTES_MAX, writeText } from "../file/mod.ts";
import { checksumOf, pathsBelow } from "./copy_files.ts";

export interface ManifestFile {
  readonly path: string;
  readonly bytes: number;
  readonly checksum: number;
}

export interface Manifest {
  readonly format: number;
  readonly version: string;
  /** For display. */
  readonly createdMs: number;
  readonly files: readonly ManifestFile[];
}

/**
 * Lists the files in `directory` and writes the manifest there, durably. Throws `FailedError` if they are too
 * many for a manifest that can be read.
 */
export function writeManifest(storage: Storage, directory: string, createdMs: number): Manifest {
  const files = pathsBelow(storage, directory, "file")
    .map((path) => ({ path, ...checksumOf(storage, `${directory}/${path}`) }));
  const path = directoryPaths(directory).manifest;
  assert(
    files.every((file) => isFile(file) && `${directory}/${file.path}` !== path),
    "A manifest lists files inside the backup, and not itself",
  );
  const manifest = { format: FORMAT_VERSION, version: VERSION, createdMs, files };
  using file = storage.open(path, { access: "write", create: "exclusive", mode: 0o600 });
  const advice = "copy the directory of the tables by other means, and move it away";
  writeText(file, manifestText(manifest), { path, advice });
  file.sync();
  return manifest;
}

/** The JSON of a manifest in pieces, with a line for each file. */
function* manifestText({ files, ...rest }: Manifest): Generator<string> {
  yield JSON.stringify(rest).replace(/}$/, ',"files":[');
  for (const [index, file] of files.entries()) {
    yield (index === 0 ? "\n" : ",\n") + JSON.stringify(file);
  }
  yield "\n]}\n";
}

/**
 * Throws `NotFoundError` if the manifest is missing, `CorruptError` if it is damaged, and `OldFormatError` or
 * `NewerFormatError` if it has another format.
 */
export function readManifest(storage: Storage, directory: string): Manifest {
  const path = directoryPaths(directory).manifest;
  if (!holdsBackup(storage, directory)) {
    throw new NotFoundError(`No backup at ${directory}: ${path} is missing`);
  }
  using file = storage.open(path, { access: "read" });
  const { size } = file.status();
  const bytes = new Uint8Array(size <= TEXT_BYTES_MAX ? size : 0);
  file.read(bytes, 0);
  const manifest = parse(new TextDecoder().decode(bytes));
  if (manifest === null) {
    throw new CorruptError(`${path} is damaged: use another backup`, { path, offset: 0 });
  }
  const found = { version: manifest.format, incompat: 0 };
  checkFormat(path, found, {
    subject: "Backup",
    version: FORMAT_VERSION,
    incompat: 0,
    oldAdvice: `restore it with the countd that made it, and ${MOVE_ADVICE}`,
  });
  return manifest;
}

function parse(text: string): Manifest | null {
  try {
    const { format, version, createdMs, files } = JSON.parse(text);
    const fits = Number.isInteger(format) && typeof version === "string" &&
      typeof createdMs === "number" && Array.isArray(files) && files.every(isFile);
    return fits ? { format, version, createdMs, files } : null;
  } catch {
    return null;
  }
}

/** A path that leads out of the backup would let a manifest read and write anywhere. */
function isFile(value: unknown): value is ManifestFile {
  const { path, bytes, checksum } = (value ?? {}) as Record<string, unknown>;
  return typeof path === "string" && Number.isSafeInteger(bytes) && Number.isInteger(checksum) &&
    !path.startsWith("/") && path.split("/").every((part) => part !== "" && part !== "..");
}

/** Reads every file back. Throws `CorruptError`, naming the first one that has changed. */
export function verifyManifest(storage: Storage, directory: string, manifest: Manifest): void {
  for (const { message, ...where } of findChanged(storage, directory, manifest)) {
    throw new CorruptError(message, where);
  }
}

/** Every file of a backup that has changed since it was made. Throws as `readManifest` for another format. */
export function checkBackup(storage: Storage, directory: string): Violation[] {
  try {
    return [...findChanged(storage, directory, readManifest(storage, directory))];
  } catch (error) {
    if (!(error instanceof CorruptError)) throw error;
    return [{ invariant: 1, ...error.where, message: error.message }];
  }
}

function* findChanged(
  storage: Storage,
  directory: string,
  { files }: Manifest,
): Generator<Violation> {
  for (const { path: below, bytes, checksum } of files) {
    const path = `${directory}/${below}`;
    const status = storage.statusOrNull(path);
    const found = status?.kind === "file" && status.size === bytes
      ? checksumOf(storage, path)
      : null;
    if (found?.bytes === bytes && found.checksum === checksum) continue;
    const what = status === null ? "missing" : "damaged";
    const message = `${path} of the backup is ${what}: use another backup`;
    yield { invariant: 1, path, offset: 0, message };
  }
}
