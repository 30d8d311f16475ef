/**
 * A data directory: the paths of its parts, and the opening with which every verb begins.
 */

import {
  BusyError,
  CorruptError,
  NotFoundError,
  RefusedError,
  UsageError,
} from "../../base/errors.ts";
import {
  hasCode,
  isDiskFailure,
  leadsTo,
  makeDirectories,
  OsError,
  requireDirectory,
  type Storage,
} from "../../file/mod.ts";
import { Control, directorySizesDefault } from "./control.ts";
import { checkDirectorySizes, type DirectorySizes } from "./control_bytes.ts";
import { directoryLocks } from "./control_layout.ts";
import type { Clock } from "../../base/clock.ts";
import type { Events } from "../../base/events.ts";
import type { Holder } from "./holder.ts";
import { listSlots } from "./slot_files.ts";
import { WindowMemory } from "../../file/checked_log/mod.ts";
import {
  DirectoryFailedError,
  type FailedMark,
  readFailedMark,
  writeFailedMark,
} from "./failed_mark.ts";

/** The paths of a data directory. */
export interface DirectoryPaths {
  readonly data: string;
  readonly control: string;
  readonly logs: string;
  readonly keyspaces: string;
  readonly tables: string;
  readonly db: string;
  /** Only a backup has this file. */
  readonly manifest: string;
}

export function directoryPaths(data: string): DirectoryPaths {
  return {
    data,
    control: `${data}/control`,
    logs: `${data}/logs`,
    keyspaces: `${data}/keyspaces`,
    tables: `${data}/tables`,
    db: `${data}/db`,
    manifest: `${data}/backup.json`,
  };
}

/** How a data directory is opened. */
export interface Opening {
  readonly self: Holder;
  /** A size that differs from the stored one is refused. */
  readonly wanted?: Partial<DirectorySizes>;
  /**
   * With `write`, the default, a backup is refused. With `read` nothing is changed: it is for backups too, and
   * for directories in which this process cannot write, as on a read-only file system.
   */
  readonly access?: "read" | "write";
}

/** What keeps a process from writing into a directory that it may read. */
const UNWRITABLE_CODES = ["EROFS", "EACCES", "EPERM"] as const;

export class DataDirectory implements Disposable {
  readonly paths: DirectoryPaths;
  /** For the logs of this directory, which are read one after the other. */
  readonly window: WindowMemory;

  private constructor(
    readonly storage: Storage,
    data: string,
    readonly control: Control,
    /** True for a backup: its logs end behind their frames, and nothing in it may change. */
    readonly isBackup: boolean,
  ) {
    this.paths = directoryPaths(data);
    this.window = new WindowMemory(control.sizes.logSize);
  }

  get sizes(): DirectorySizes {
    return this.control.sizes;
  }

  /**
   * Opens a data directory and makes what is missing of it. `wanted` are the sizes that the caller asked
   * for: one that differs from the stored size throws `UsageError`. Throws `CorruptError` if there are logs
   * or keyspaces and the control file is missing.
   */
  static openOrCreate(
    storage: Storage,
    data: string,
    options: {
      readonly wanted?: Partial<DirectorySizes>;
      readonly self: Holder;
      /** Called with the sizes of a directory that is about to be made; may throw to prevent it. */
      readonly beforeMaking?: (sizes: DirectorySizes) => void;
    },
  ): DataDirectory {
    const paths = directoryPaths(data);
    const wanted = options.wanted ?? {};
    if (storage.statusOrNull(paths.control) === null) {
      // Refused before anything is made.
      refuseBackup(storage, data);
      requireDirectory(storage, data);
      refuseRemains(storage, paths);
      const sizes = { ...directorySizesDefault, ...wanted };
      checkDirectorySizes(sizes);
      options.beforeMaking?.(sizes);
      makeDirectories(storage, data, 0o700);
      for (const path of [paths.logs, paths.keyspaces]) makeDirectories(storage, path, 0o700);
      Control.create(storage, paths.control, sizes);
    }
    const directory = DataDirectory.open(storage, data, options);
    // A crash may have left the control file without these directories.
    for (const path of [paths.logs, paths.keyspaces]) makeDirectories(storage, path, 0o700);
    return directory;
  }

  /**
   * Throws `NotFoundError` if the data directory is missing, `RefusedError` if it is a backup and is to be
   * written to, and `UsageError` if a wanted size differs.
   */
  static open(storage: Storage, data: string, options: Opening): DataDirectory {
    const directory = DataDirectory.openOrNull(storage, data, options);
    if (directory !== null) return directory;
    throw new NotFoundError(
      `No data directory at ${data}: start countd write or serve there first`,
    );
  }

  /** As `open`, but null if the data directory is missing. Throws `FailedError` if it cannot be made. */
  static openOrNull(storage: Storage, data: string, options: Opening): DataDirectory | null {
    const { self, access = "write" } = options;
    if (access === "write") refuseBackup(storage, data);
    const isBackup = holdsBackup(storage, data);
    let control: Control;
    try {
      const { control: path } = directoryPaths(data);
      control = access === "write"
        ? Control.open(storage, path, self)
        : openControlToRead(storage, path, { self, isBackup });
    } catch (error) {
      if (!(error instanceof OsError)) throw error;
      if (error.code === "ENOTDIR") requireDirectory(storage, data);
      else if (error.code !== "ENOENT") throw error;
      return null;
    }
    try {
      refuseOtherSizes(data, control.sizes, options.wanted ?? {});
    } catch (error) {
      control.close();
      throw error;
    }
    return new DataDirectory(storage, data, control, isBackup);
  }

  /** Throws `DirectoryFailedError` if the directory carries a failed mark. */
  refuseFailed(): void {
    const mark = this.failedMark();
    if (mark !== null) throw new DirectoryFailedError(this.paths.data, mark);
  }

  failedMark(): FailedMark | null {
    return readFailedMark(this.control.file);
  }

  /**
   * Throws `CorruptError` if the names that this opening goes by no longer lead to it: the directory, its
   * control file or its logs were removed or replaced. Nothing that is done from then on could be found again.
   */
  refuseLost(): void {
    const { storage, paths: { data, control, logs } } = this;
    const isHere = leadsTo(storage, control, this.control.file.status());
    if (isHere && storage.statusOrNull(logs)?.kind === "directory") return;
    const what = storage.statusOrNull(data)?.kind !== "directory"
      ? `Data directory ${data} is gone: it was removed or moved`
      : isHere
      ? `${logs} is gone: it was removed or moved`
      : `${control} was removed or replaced`;
    throw new CorruptError(
      `${what} while it was in use. Nothing is done any more; end all daemons of ${data}, and start them ` +
        "again when everything has its name",
      { path: isHere ? logs : control, offset: 0 },
    );
  }

  /** `refuseFailed` and `refuseLost`: what a daemon asks each second. */
  refuseUnusable(): void {
    this.refuseFailed();
    this.refuseLost();
  }

  /** What an error means: if a name is missing, the whole directory may be gone, or one of its logs. */
  causeOf(error: unknown): unknown {
    if (!hasCode(error, "ENOENT", "ENOTDIR")) return error;
    try {
      this.refuseLost();
    } catch (loss) {
      if (loss instanceof CorruptError) return loss;
    }
    const { path } = error;
    if (!path.startsWith(`${this.paths.logs}/`)) return error;
    return new CorruptError(
      `${path} is gone: it was removed or moved while it was in use; run countd check`,
      { path, offset: 0 },
    );
  }

  /** Marks the directory failed. False if the disk refuses even this. */
  markFailed(reason: string, wallMs: number): boolean {
    try {
      writeFailedMark(this.control.file, { reason, wallMs });
      return true;
    } catch (error) {
      if (!(error instanceof OsError)) throw error;
      return false;
    }
  }

  /**
   * Joins the daemons that serve this directory. Throws `DirectoryFailedError` if it is marked failed, and
   * `BusyError` while a repair or a clearing of the failed mark runs. It also throws if the control file was
   * replaced after it was opened, because its locks then exclude no other process.
   */
  joinDaemons(): void {
    this.refuseFailed();
    if (this.control.tryLock(directoryLocks.daemon, "shared")) {
      if (leadsTo(this.storage, this.paths.control, this.control.file.status())) return;
      this.control.unlock(directoryLocks.daemon);
      throw new BusyError(
        `The control file of data directory ${this.paths.data} has just been replaced: try again`,
      );
    }
    throw new BusyError(
      `Data directory ${this.paths.data} is being checked or repaired by ` +
        `${this.control.describeHolder(directoryLocks.daemon)}: try again when that is done`,
    );
  }

  close(): void {
    this.control.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * Opens a control file for a reader. A lock of a slot, under which the mode of a log is widened for a moment,
 * needs access to write. So that is asked for, but for a backup, and a reader does without it if it is refused.
 */
function openControlToRead(
  storage: Storage,
  path: string,
  { self, isBackup }: { readonly self: Holder; readonly isBackup: boolean },
): Control {
  if (isBackup) return Control.open(storage, path, self, "read");
  try {
    return Control.open(storage, path, self);
  } catch (error) {
    if (!hasCode(error, ...UNWRITABLE_CODES)) throw error;
    return Control.open(storage, path, self, "read");
  }
}

/** True if the directory was made by `countd backup`: it has a manifest. */
export function holdsBackup(storage: Storage, data: string): boolean {
  return storage.statusOrNull(directoryPaths(data).manifest) !== null;
}

/** Throws `RefusedError` for a backup: `restore` would refuse one in which anything has changed. */
export function refuseBackup(storage: Storage, data: string): void {
  if (!holdsBackup(storage, data)) return;
  throw new RefusedError(
    `${data} is a backup: run countd restore, and use the directory that it makes`,
  );
}

/**
 * The error with which a daemon ends. After a failed sync, or a write that the disk refused, the directory is marked
 * failed, which is reported. If a name is missing because the directory is gone, the error says that.
 */
export function errorToEndWith(
  directory: DataDirectory,
  error: unknown,
  { clock, events }: { readonly clock: Clock; readonly events: Events },
): unknown {
  if (!isDiskFailure(error)) return directory.causeOf(error);
  const reason = error.message;
  const mark = { reason, wallMs: clock.wallMs() };
  const isMarked = directory.markFailed(mark.reason, mark.wallMs);
  const what = isMarked
    ? "the directory is marked failed"
    : "the directory cannot be marked failed";
  events.report("error", `disk failed: answering has stopped, ${what}`, { reason });
  return new DirectoryFailedError(directory.paths.data, mark, isMarked);
}

/**
 * True if there are logs or keyspaces. A first start that was interrupted leaves directories without any,
 * and without a control file.
 */
export function holdsCounters(storage: Storage, { logs, keyspaces }: DirectoryPaths): boolean {
  const isDirectory = (path: string) => storage.statusOrNull(path)?.kind === "directory";
  if (
    isDirectory(logs) && Object.values(listSlots(storage, logs)).some(({ length }) => length > 0)
  ) {
    return true;
  }
  // A mount may have `lost+found` here, an image `.gitkeep`.
  return isDirectory(keyspaces) &&
    storage.readDirectory(keyspaces).some((name) =>
      !name.startsWith(".") && storage.statusOrNull(`${keyspaces}/${name}`)?.kind === "file"
    );
}

/**
 * Refuses logs and keyspaces without a control file. It is durable before the first log is made, so it was
 * removed since. A new one would not exclude daemons that still have the old one open.
 */
function refuseRemains(storage: Storage, paths: DirectoryPaths): void {
  const { data, control } = paths;
  if (!holdsCounters(storage, paths)) return;
  // Tested last, because another process may have made all of it since the first test.
  if (storage.statusOrNull(control) !== null) return;
  throw new CorruptError(
    `The control file of data directory ${data} is missing: end all daemons, then run countd repair`,
    { path: control, offset: 0 },
  );
}

function refuseOtherSizes(
  data: string,
  stored: DirectorySizes,
  wanted: Partial<DirectorySizes>,
): void {
  const names = [["keyspaceSize", "keyspace-size"], ["keySize", "key-size"], [
    "logSize",
    "log-size",
  ]] as const;
  for (const [field, option] of names) {
    const size = wanted[field];
    if (size === undefined || size === stored[field]) continue;
    throw new UsageError(
      `Data directory ${data} was made with --${option} ${stored[field]}, not ${size}: leave the ` +
        `option out, or use another directory`,
    );
  }
}
