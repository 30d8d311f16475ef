/**
 * `countd repair`: makes a data directory whole again as far as its bytes allow. Works on a copy unless it
 * is told to take the place; what is replaced is kept in `repair-saved` in either case.
 *
 *   control    made again with the sizes that the logs show; names up to 256 bytes
 *   logs       good frames from before and behind the damage, as a sealed log
 *   keyspaces  every counter that either of its two orders still has, with the same marks
 *   tables     modes put right; what no call can reach is set aside
 *   db         by the database's own repair
 */

import { CorruptError, CountdError, NotFoundError } from "../base/errors.ts";
import {
  Control,
  DataDirectory,
  directoryPaths,
  directorySizesDefault,
  type Holder,
  listSlots,
  logSizeMin,
  pathOfSlot,
} from "../commitlog/mod.ts";
import { check as checkDatabase, repairDatabase } from "../db/mod.ts";
import { type Storage, trimSlashes } from "../file/mod.ts";
import { check as checkKeyspace, rebuildKeyspace } from "../keyspace/mod.ts";
import { checkTables } from "../table/mod.ts";
import { greatestMarks } from "./applied_marks.ts";
import { aloneWith } from "./clear_failed.ts";
import { checkDirectory, databasePaths, withoutFailedMark } from "./check.ts";
import { copyFile, directoriesBelow, filesBelow, makePlace, removeTree } from "./copy_files.ts";
import { type RepairAction, RepairContext } from "./repair_context.ts";
import { repairLogs } from "./repair_logs.ts";
import { UnfinishedDirectory } from "./unfinished_directory.ts";
import type { Violation } from "./violation.ts";

export interface RepairReport {
  /** The directory that is whole now. */
  readonly directory: string;
  readonly actions: readonly RepairAction[];
  /** What is still broken. */
  readonly remaining: readonly Violation[];
}

export interface RepairOptions {
  readonly self: Holder;
  /** Where the repaired copy goes; null repairs in place. */
  readonly out: string | null;
}

/** Numbers of the rules of tables (README of that room) and what repair does about them. */
const TABLE_MODE_RULE = 3;

/**
 * Throws `NotFoundError` where there is no data directory, `BusyError` while a daemon lives, `FailedError`
 * where `options.out` is not empty or becomes so, `OsError`.
 */
export function repair(storage: Storage, place: string, options: RepairOptions): RepairReport {
  const { self, out } = options;
  const data = trimSlashes(place);
  if (storage.statusOrNull(data)?.kind !== "directory") {
    throw new NotFoundError(`No data directory at ${data}: there is nothing to repair`);
  }
  using _alone = takeAlone(storage, data, self);
  if (out === null) return repairPlace(storage, data, self);
  using made = UnfinishedDirectory.begin(storage, out, "repair");
  copyTree(storage, data, made.path);
  const report = repairPlace(storage, made.path, self);
  storage.syncFileSystem(made.path);
  made.publish();
  return movedReport(report, made.path, made.target);
}

/** A report of what was done in `from`, when it has its name `to`. */
function movedReport(report: RepairReport, from: string, to: string): RepairReport {
  const moved = (path: string) => path.replace(from, to);
  return {
    directory: to,
    actions: report.actions.map((action) => ({
      ...action,
      path: moved(action.path),
      saved: action.saved === null ? null : moved(action.saved),
    })),
    remaining: report.remaining.map((each) => ({ ...each, path: moved(each.path) })),
  };
}

/** Keeps daemons out for as long as the control file can be used for it. */
function takeAlone(storage: Storage, data: string, self: Holder): Disposable {
  try {
    const directory = DataDirectory.openOrNull(storage, data, { self });
    if (directory === null) return { [Symbol.dispose]: () => {} };
    try {
      const alone = aloneWith(directory, "repaired");
      return {
        [Symbol.dispose]: () => {
          alone[Symbol.dispose]();
          directory.close();
        },
      };
    } catch (error) {
      directory.close();
      throw error;
    }
  } catch (error) {
    if (error instanceof CorruptError) return { [Symbol.dispose]: () => {} };
    throw error;
  }
}

function copyTree(storage: Storage, from: string, to: string): void {
  makePlace(storage, to);
  for (const path of directoriesBelow(storage, from)) makePlace(storage, `${to}/${path}`);
  for (const path of filesBelow(storage, from)) {
    const source = `${from}/${path}`;
    const { mode, links } = storage.status(source);
    // The second name of a log that was held is a label, not a file.
    if (links > 1 && /\/lock-[0-9]{10}$/.test(source)) continue;
    storage.chmod(source, 0o600);
    try {
      copyFile(storage, { from: source, to: `${to}/${path}`, mode });
    } finally {
      storage.chmod(source, mode);
    }
  }
}

function repairPlace(storage: Storage, data: string, self: Holder): RepairReport {
  const context = new RepairContext(storage, data);
  repairControl(context, self);
  repairKeyspaces(context);
  const directory = DataDirectory.openOrNull(storage, data, { self });
  if (directory !== null) {
    repairLogs(directory, context, greatestMarks(storage, directory.paths.keyspaces));
    directory.close();
  }
  repairTables(context);
  repairDatabaseOf(context);
  const { violations } = checkDirectory(storage, data, { self });
  return { directory: data, actions: context.actions, remaining: withoutFailedMark(violations) };
}

function repairControl(context: RepairContext, self: Holder): void {
  const { storage, data } = context;
  const { control, logs, keyspaces } = directoryPaths(data);
  let damage: string;
  try {
    const directory = DataDirectory.openOrNull(storage, data, { self });
    directory?.close();
    if (directory !== null) return;
    const isNeeded = [logs, keyspaces].some((path) => storage.statusOrNull(path) !== null);
    if (!isNeeded) return;
    damage = "it was missing";
  } catch (error) {
    if (!(error instanceof CorruptError)) throw error;
    damage = error.message;
  }
  const logSize = likelyLogSize(storage, logs);
  const sizes = { ...directorySizesDefault, logSize };
  const kept = storage.statusOrNull(control) === null ? null : context.keep(control);
  if (kept !== null) storage.unlink(control);
  Control.create(storage, control, sizes);
  context.actions.push({
    noun: "control",
    path: control,
    what: `made again (${damage}): log size ${logSize}, names up to ${sizes.keySize} bytes; make ` +
      "sure that clients send messages of these sizes",
    saved: kept,
  });
}

/** The size that most logs have. */
function likelyLogSize(storage: Storage, logs: string): number {
  const counts = new Map<number, number>();
  if (storage.statusOrNull(logs) !== null) {
    for (const slot of listSlots(storage, logs).slots) {
      const { size } = storage.status(pathOfSlot(logs, slot));
      if (size >= logSizeMin && size % 4096 === 0) counts.set(size, (counts.get(size) ?? 0) + 1);
    }
  }
  const [most] = [...counts].sort((left, right) => right[1] - left[1]);
  return most?.[0] ?? directorySizesDefault.logSize;
}

function repairKeyspaces(context: RepairContext): void {
  const { storage, data } = context;
  const { keyspaces } = directoryPaths(data);
  if (storage.statusOrNull(keyspaces) === null) return;
  const scratch = `${data}/repair-scratch`;
  for (const name of storage.readDirectory(keyspaces).sort()) {
    const path = `${keyspaces}/${name}`;
    if (storage.statusOrNull(path)?.kind !== "file") {
      context.setAside("keyspaces", path, "no keyspace, set aside");
      continue;
    }
    if (isSound(storage, path)) continue;
    removeTree(storage, scratch);
    makePlace(storage, scratch);
    repairKeyspace(context, path, scratch);
    removeTree(storage, scratch);
  }
}

function isSound(storage: Storage, path: string): boolean {
  try {
    return checkKeyspace(storage, path).length === 0;
  } catch (error) {
    if (error instanceof CountdError) return false;
    throw error;
  }
}

function repairKeyspace(context: RepairContext, path: string, scratch: string): void {
  const { storage } = context;
  try {
    const built = rebuildKeyspace(storage, path, scratch);
    const lost = Math.max(0, built.expected - built.counters);
    context.replace("keyspaces", path, (target) => {
      storage.rename(built.path, target);
    }, `saved ${built.counters} of ${built.expected} counters, ${lost} lost`);
  } catch (error) {
    if (!(error instanceof CountdError)) throw error;
    context.setAside("keyspaces", path, `nothing could be saved (${error.message}): set aside`);
  }
}

function repairTables(context: RepairContext): void {
  const { storage, data } = context;
  const { tables } = directoryPaths(data);
  if (storage.statusOrNull(tables) === null) return;
  for (const { invariant, path, message } of checkTables(storage, tables)) {
    if (storage.statusOrNull(path) === null) continue;
    if (invariant === TABLE_MODE_RULE) {
      storage.chmod(path, 0o600);
      context.note("tables", path, "mode set to 0600");
    } else context.setAside("tables", path, `${message}: set aside`);
  }
}

function repairDatabaseOf(context: RepairContext): void {
  const { storage, data } = context;
  const paths = databasePaths(data);
  if (storage.statusOrNull(paths.map) === null && storage.statusOrNull(paths.log) === null) return;
  if (checkDatabase(storage, paths).length === 0) return;
  try {
    const report = repairDatabase(storage, paths, { out: null });
    context.actions.push({
      noun: "db",
      path: paths.log,
      what: `saved ${report.keys} keys and ${report.entries} entries, ${report.entriesLost} lost`,
      saved: report.kept.join(", "),
    });
  } catch (error) {
    if (!(error instanceof CountdError)) throw error;
    context.note("db", paths.log, `could not be repaired: ${error.message}`);
  }
}
