/**
 * Examines the machine, the user and the place of a data directory, and says what to do. Its tests use a
 * directory of their own, which is removed at the end.
 */
import { dirname } from "node:path/posix";
import { CountdError } from "../base/errors.ts";
import { DataDirectory, describeSelf } from "../counters/commitlog/mod.ts";
import {
  hasCode,
  isDiskFull,
  OsError,
  platformSelfTest,
  type Storage,
  type StoredFile,
  trimSlashes,
} from "../file/mod.ts";
import { judgeFileSystem, mountOf, readKernelFile } from "./mounts.ts";
import { UnfinishedDirectory } from "./unfinished_directory.ts";

export interface Finding {
  /** What was examined, in one or two words. */
  readonly check: string;
  readonly level: "ok" | "warning" | "problem";
  readonly message: string;
  /** What to do; empty if there is nothing to do. */
  readonly advice: string;
}

/** Descriptors that a daemon with the default limits may need: connections, logs, and some more. */
const DESCRIPTORS_WANTED = 1024 + 512;

/** Below this, or 5 % of the file system, a disk is nearly full. */
const FREE_BYTES_WANTED = 1 << 30;
const FREE_FRACTION_WANTED = 0.05;

const PROBE_BYTES = 65536;
/** What the directories of the tests are named after: hidden, out of the way of users' names. */
const PROBE_NAME = ".countd-doctor";

/**
 * Every finding, in a fixed order. `directory` need not exist yet: then the nearest directory above it is
 * examined. No part of the data directory is made.
 */
export function examine(
  storage: Storage,
  directory: string,
  { user }: { readonly user: number },
): Finding[] {
  const place = nearestDirectory(storage, directory);
  const writable = tryOut(storage, place);
  const isWritable = writable.level !== "problem";
  const verdicts: readonly (readonly [check: string, verdict: Verdict | null])[] = [
    ["platform", platform(storage, place, isWritable)],
    ["directory", location(storage, { directory, place, user })],
    ["writing", writable],
    ["file system", fileSystem(storage, place)],
    ["locks", isWritable ? locksAndLinks(storage, place) : null],
    ["data", dataDirectory(storage, directory)],
    ["limits", descriptors(storage)],
    ["space", freeSpace(storage, place)],
  ];
  return verdicts.flatMap(([check, verdict]) => verdict === null ? [] : [{ check, ...verdict }]);
}

type Verdict = Omit<Finding, "check">;

function ok(message: string): Verdict {
  return { level: "ok", message, advice: "" };
}

function warning(message: string, advice: string): Verdict {
  return { level: "warning", message, advice };
}

function problem(message: string, advice: string): Verdict {
  return { level: "problem", message, advice };
}

/** The directory itself, or the nearest one above it that exists. */
function nearestDirectory(storage: Storage, directory: string): string {
  if (storage.statusOrNull(directory) !== null) return directory;
  // With a slash behind it, a file in the place of the directory looks like nothing.
  let place = trimSlashes(directory);
  while (storage.statusOrNull(place) === null) {
    const parent = dirname(place);
    if (parent === place) break;
    place = parent;
  }
  return place;
}

function platform(storage: Storage, place: string, isWritable: boolean): Verdict {
  const name = `${Deno.build.os} ${Deno.build.arch}`;
  if (!isWritable) return ok(`${name}; not tested, because ${place} cannot be written`);
  const wrong = withDirectory(storage, place, platformSelfTest);
  if (wrong.length === 0) return ok(`${name}, libc as expected`);
  const advice = "use a platform that README lists as tested, and report this";
  return problem(`${name}: ${wrong.join("; ")}`, advice);
}

function location(
  storage: Storage,
  { directory, place, user }: { directory: string; place: string; user: number },
): Verdict {
  const status = storage.statusOrNull(directory);
  if (status === null) return ok(`${directory} does not exist yet; ${place} was examined instead`);
  if (status.kind !== "directory") {
    return problem(`${directory} is not a directory`, "name another with --data");
  }
  const mode = status.mode.toString(8).padStart(4, "0");
  if (status.owner !== user) {
    const message = `${directory} belongs to user ${status.owner}, this is user ${user}`;
    const advice = `run every countd of this directory as user ${status.owner}`;
    return (user === 0 ? warning : problem)(message, advice);
  }
  if ((status.mode & 0o077) !== 0) {
    const message = `${directory} has mode ${mode}: others can reach into it`;
    return warning(message, `chmod 0700 ${directory}`);
  }
  return ok(`${directory} belongs to user ${user}, mode ${mode}`);
}

/** Runs `body` in a directory of its own in `place`, which is removed. If it is killed, the next one does it. */
function withDirectory<T>(storage: Storage, place: string, body: (directory: string) => T): T {
  using made = UnfinishedDirectory.begin(storage, `${place}/${PROBE_NAME}`, "test");
  return body(made.path);
}

function withProbe<T>(
  storage: Storage,
  place: string,
  body: (file: StoredFile, path: string) => T,
): T {
  return withDirectory(storage, place, (directory) => {
    const path = `${directory}/probe`;
    using file = storage.open(path, { access: "write", create: "exclusive" });
    return body(file, path);
  });
}

function tryOut(storage: Storage, place: string): Verdict {
  try {
    const isCopiedOnWrite = withProbe(storage, place, (file, path) => {
      const isCopied = !file.avoidCopyOnWrite();
      file.allocate(0, PROBE_BYTES);
      using mapping = file.map(PROBE_BYTES, "write");
      mapping.bytes.fill(1);
      file.syncData();
      storage.syncDirectory(dirname(path));
      return isCopied;
    });
    if (!isCopiedOnWrite) {
      return ok(`files can be made, allocated, mapped and synced in ${place}`);
    }
    const message =
      `${place} copies what is overwritten: a full disk may end countd db by a signal`;
    return warning(message, "put the files of countd db on ext4 or xfs");
  } catch (error) {
    if (!(error instanceof OsError)) throw error;
    return problem(error.message, adviceFor(error, place));
  }
}

function adviceFor(error: OsError, place: string): string {
  if (hasCode(error, "EACCES", "EPERM")) {
    return `run as the owner of ${place}, or name another directory with --data`;
  }
  if (hasCode(error, "EROFS")) return "mount the file system for writing";
  if (isDiskFull(error)) return "free some space";
  return "name a directory on a local file system with --data";
}

function fileSystem(storage: Storage, place: string): Verdict {
  const mount = mountOf(storage, realPath(place));
  if (mount === null) return warning("this system does not tell what file system it is", "");
  const where = `${mount.type} on ${mount.mountPoint}`;
  if (mount.options.includes("ro")) return problem(`${where} is read-only`, "mount it for writing");
  switch (judgeFileSystem(mount.type)) {
    case "network":
      return problem(
        `${where} is a network or shared file system: locks and mappings are not safe there`,
        "put the data directory on a local disk",
      );
    case "volatile":
      return warning(
        `${where} lives in memory: nothing survives a restart of the machine`,
        "put the data directory on a disk unless that is wanted",
      );
    case "unknown":
      return warning(
        `${where} is not a file system that countd was tried on`,
        "use ext4, xfs, btrfs, zfs or f2fs",
      );
    case "good":
      return ok(where);
  }
}

/** The path with symbolic links resolved, because mount points are compared by name. */
function realPath(path: string): string {
  try {
    return Deno.realPathSync(path);
  } catch {
    return path;
  }
}

function locksAndLinks(storage: Storage, place: string): Verdict {
  const wrong: string[] = [];
  try {
    withProbe(storage, place, (file, path) => {
      storage.link(path, `${path}-link`);
      if (file.status().links !== 2) wrong.push("a hard link does not show");
      using other = storage.open(path, { access: "write" });
      if (!file.tryLockRange(0, 1, "exclusive")) wrong.push("a free range cannot be locked");
      if (other.tryLockRange(0, 1, "exclusive")) wrong.push("a range can be locked twice");
      if (!file.tryFlock("exclusive")) wrong.push("a free file cannot be locked");
      if (other.tryFlock("shared")) wrong.push("a file can be locked twice");
      storage.rename(`${path}-link`, `${path}-renamed`);
    });
  } catch (error) {
    if (!(error instanceof OsError)) throw error;
    wrong.push(error.message);
  }
  return wrong.length === 0
    ? ok("kernel locks and hard links work")
    : problem(wrong.join("; "), "put the data directory on a local disk");
}

/** Null if the data directory does not exist yet. */
function dataDirectory(storage: Storage, directory: string): Verdict | null {
  try {
    using data = DataDirectory.openOrNull(storage, directory, {
      self: describeSelf(storage),
      access: "read",
    });
    if (data === null) return null;
    const mark = data.failedMark();
    if (mark !== null) {
      const advice = `end all daemons, look at the disk, run countd check --clear-failed`;
      return problem(`marked failed: ${mark.reason}`, advice);
    }
    const { keyspaceSize, keySize, logSize } = data.sizes;
    const sizes = `logs of ${logSize} bytes, names up to ${keyspaceSize} and ${keySize} bytes`;
    const foreign = [data.paths.logs, data.paths.keyspaces]
      .flatMap((path) => storage.readDirectory(path).map((name) => `${path}/${name}`))
      .filter((path) => ownerDiffers(storage, path, data.control.file.status().owner));
    if (foreign.length === 0) return ok(sizes);
    const message = `${foreign.length} files belong to another user, such as ${foreign[0]}`;
    const advice = "give all files of the directory to one user (chown -R)";
    return problem(message, advice);
  } catch (error) {
    if (!(error instanceof OsError || error instanceof CountdError)) throw error;
    return problem(error.message, "run countd check, then countd repair");
  }
}

/** False also for a file that was removed in between: the lock name of a log comes and goes. */
function ownerDiffers(storage: Storage, path: string, owner: number): boolean {
  const status = storage.statusOrNull(path);
  return status !== null && status.owner !== owner;
}

function descriptors(storage: Storage): Verdict {
  const text = readKernelFile(storage, "/proc/self/limits", 65536);
  const soft = text === null ? null : openFilesLimit(text);
  if (soft === null) return ok("this system does not tell its limits");
  if (soft >= DESCRIPTORS_WANTED) return ok(`${soft === Infinity ? "unlimited" : soft} open files`);
  return warning(
    `only ${soft} open files: not enough for 1024 connections and the logs`,
    `raise it to ${DESCRIPTORS_WANTED} or more (ulimit -n, LimitNOFILE=), or lower --max-connections`,
  );
}

/** The soft limit of open files in the text of `/proc/self/limits`; null if it is missing. */
export function openFilesLimit(text: string): number | null {
  const soft = /^Max open files\s+(\d+|unlimited)\s/m.exec(text)?.[1];
  if (soft === undefined) return null;
  return soft === "unlimited" ? Infinity : Number(soft);
}

function freeSpace(storage: Storage, place: string): Verdict {
  const { freeBytes, totalBytes } = storage.space(place);
  const [free, total] = [freeBytes, totalBytes].map((bytes) => Math.floor(bytes / 2 ** 20));
  const message = `${free} MiB free of ${total} MiB`;
  const wanted = Math.min(FREE_BYTES_WANTED, totalBytes * FREE_FRACTION_WANTED);
  if (freeBytes >= wanted) return ok(message);
  return warning(message, "free some space: writers stop when the disk is full");
}
