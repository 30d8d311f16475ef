/**
 * `countd repair`: repairs a damaged data directory as far as its bytes allow. It works on a copy, or in place
 * if it is told so; in both cases what is replaced is kept in `repair-saved`.
 *
 *   control    made again with the sizes that the logs show; names up to 256 bytes
 *   logs       good frames from before and behind the damage, as a sealed log
 *   keyspaces  every counter that either of its two orders still has, with the same applied generations
 *   tables     modes corrected; what no call can reach is moved to `repair-saved`
 *   db         by the database's own repair
 */

import { basename } from "node:path/posix";
import { CountdError, NotFoundError } from "../base/errors.ts";
import { isFormatError } from "../base/format.ts";
import { printableName } from "../base/printable.ts";
import {
  DataDirectory,
  directoryPaths,
  type Holder,
  refuseBackup,
} from "../counters/commitlog/mod.ts";
import { check as checkDatabase, repairDatabase, UNFINISHED_RULE } from "../database/mod.ts";
import {
  isLostAndFound,
  leadsTo,
  OsError,
  requireDirectory,
  type Storage,
  trimSlashes,
} from "../file/mod.ts";
import {
  check as checkKeyspace,
  decodeKeyspaceName,
  rebuildKeyspace,
} from "../counters/keyspace/mod.ts";
import { checkTables, type Violation as TableViolation } from "../tables/mod.ts";
import { greatestGenerations } from "./applied_generations.ts";
import { checkDirectory, withoutFailedMark } from "./check.ts";
import {
  copyOpenFile,
  isOverwrittenInPlace,
  makePlace,
  openWhateverTheMode,
  OWNER_MAY_LIST,
  pathsBelow,
  removeTree,
  withOpenDirectories,
} from "./copy_files.ts";
import { databasePaths, holdsData } from "./data_signs.ts";
import { type RepairAction, RepairContext } from "./repair_context.ts";
import { greatestOrder, repairControl, takeAlone } from "./repair_control.ts";
import { refuseUnknownGenerations, repairLogs } from "./repair_logs.ts";
import { UnfinishedDirectory } from "./unfinished_directory.ts";
import type { Violation } from "./violation.ts";

export interface RepairReport {
  /** The directory that was repaired, or the repaired copy. */
  readonly directory: string;
  readonly actions: readonly RepairAction[];
  /** What is still broken. */
  readonly remaining: readonly Violation[];
  /** True if a part has the format of another countd: it was left alone. */
  readonly hasOtherFormat: boolean;
}

export interface RepairOptions {
  readonly self: Holder;
  /** Where the repaired copy goes; null repairs in place. */
  readonly out: string | null;
}

/** The folders of a data directory, other than `run`: a copy has no use for reports of daemons. */
const NOUNS_OF_FOLDERS = ["logs", "keyspaces", "tables", "db"] as const;

/** Number of the rule about modes in the README of tables; modes are corrected, what breaks other rules is moved. */
const TABLE_MODE_RULE = 3;
const OWNER_MAY_READ = 0o400;
const VALUE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;

/**
 * Checks what `place` is before any of it is changed or copied. Throws `NotFoundError` if it is not a data
 * directory, `RefusedError` if it is a backup, `BusyError` while a daemon runs, `FailedError` if `options.out`
 * is not empty at the beginning or at the end, `OldFormatError` or `NewerFormatError` if `control` or a log
 * has another format, or a keyspace without which a log cannot be repaired, and `OsError`.
 */
export function repair(storage: Storage, place: string, options: RepairOptions): RepairReport {
  const { self, out } = options;
  const data = trimSlashes(place);
  requireDirectory(storage, data);
  refuseBackup(storage, data);
  if (storage.statusOrNull(data) === null || !holdsData(storage, data, self)) {
    throw new NotFoundError(`No data directory at ${data}: there is nothing to repair`);
  }
  using alone = takeAlone(storage, data, { self, changes: out === null });
  // Asked before anything is changed or copied, for the error that a log of another format throws.
  greatestOrder(storage, data);
  refuseUnknownGenerations(storage, data);
  if (out === null) return repairPlace(storage, data, { self, isAlone: alone !== null });
  using made = UnfinishedDirectory.begin(storage, out, "repair");
  // Open before the first write, so that `sync` reports every write that failed.
  using fileSystem = storage.openFileSystem(made.path);
  const copied = withOpenDirectories(storage, data, (opened) => {
    copyTree(storage, data, made.path);
    return [
      ...actionsForLeftOut(storage, data),
      ...opened.flatMap((below) => actionFor(below, made.target, modeSet(DIRECTORY_MODE))),
    ];
  });
  const report = repairPlace(storage, made.path, { self, isAlone: false });
  fileSystem.sync();
  made.publish();
  const moved = movedReport(report, made.path, made.target);
  return { ...moved, actions: [...copied, ...moved.actions] };
}

/** The report of a repair in `from`, with the paths after it was renamed to `to`. */
function movedReport(report: RepairReport, from: string, to: string): RepairReport {
  const moved = (path: string) => path.replace(from, to);
  return {
    ...report,
    directory: to,
    actions: report.actions.map((action) => ({
      ...action,
      path: moved(action.path),
      saved: action.saved === null ? null : moved(action.saved),
    })),
    remaining: report.remaining.map((each) => ({ ...each, path: moved(each.path) })),
  };
}

function copyTree(storage: Storage, from: string, to: string): void {
  makePlace(storage, to);
  for (const path of pathsBelow(storage, from, "directory")) makePlace(storage, `${to}/${path}`);
  for (const path of pathsBelow(storage, from, "file")) {
    const source = `${from}/${path}`;
    const status = storage.status(source);
    const { mode } = status;
    // The lock name of a log that was held is a second name, not another file.
    const plainPath = source.replace(/\/lock-([0-9]{10})$/, "/$1");
    if (plainPath !== source && leadsTo(storage, plainPath, status)) continue;
    using file = openWhateverTheMode(storage, source);
    const isOverwritten = isOverwrittenInPlace(path);
    copyOpenFile(storage, file, { to: `${to}/${path}`, mode, isOverwritten });
  }
}

/** FIFOs, sockets and devices in place of data: they have no bytes to copy. */
function actionsForLeftOut(storage: Storage, data: string): RepairAction[] {
  const what = "left out of the copy: not a regular file, so what had this name is lost";
  return pathsBelow(storage, data, "other").flatMap((below) => actionFor(below, data, what));
}

/** The action on a path below `data`; none if it is not of the data. */
function actionFor(below: string, data: string, what: string): RepairAction[] {
  const noun = NOUNS_OF_FOLDERS.find((folder) => `${below}/`.startsWith(`${folder}/`));
  return noun === undefined ? [] : [{ noun, path: `${data}/${below}`, what, saved: null }];
}

function repairPlace(
  storage: Storage,
  data: string,
  { self, isAlone }: { readonly self: Holder; readonly isAlone: boolean },
): RepairReport {
  const context = new RepairContext(storage, data);
  using _alone = repairControl(context, self, isAlone);
  context.sweep();
  repairKeyspaces(context);
  const directory = DataDirectory.openOrNull(storage, data, { self });
  if (directory !== null) {
    repairLogs(directory, context, greatestGenerations(storage, directory.paths.keyspaces));
    directory.close();
  }
  repairTables(context);
  repairDatabaseOf(context);
  const { violations, otherFormats } = checkDirectory(storage, data, { self });
  const remaining = withoutFailedMark(violations);
  const hasOtherFormat = otherFormats.length > 0;
  return { directory: data, actions: context.actions, remaining, hasOtherFormat };
}

function repairKeyspaces(context: RepairContext): void {
  const { storage, data, scratch } = context;
  const { keyspaces } = directoryPaths(data);
  if (storage.statusOrNull(keyspaces) === null) return;
  for (const name of storage.readDirectory(keyspaces).sort()) {
    const path = `${keyspaces}/${name}`;
    if (isLostAndFound(storage, path)) continue;
    if (storage.statusOrNull(path)?.kind !== "file" || decodeKeyspaceName(name) === null) {
      context.moveToSaved("keyspaces", path, "not a keyspace: moved away");
      continue;
    }
    if (isSoundOrForeign(context, path)) continue;
    removeTree(storage, scratch);
    makePlace(storage, scratch);
    repairKeyspace(context, path, scratch);
    removeTree(storage, scratch);
  }
}

/** Whether a file is to be left alone; that it is of another format is noted. */
function isSoundOrForeign(context: RepairContext, path: string): boolean {
  try {
    return checkKeyspace(context.storage, path).length === 0;
  } catch (error) {
    if (isFormatError(error)) {
      context.note("keyspaces", path, `left alone, because it is not damaged: ${error.message}`);
      return true;
    }
    if (error instanceof CountdError) return false;
    throw error;
  }
}

function repairKeyspace(context: RepairContext, path: string, scratch: string): void {
  const { storage } = context;
  try {
    const built = rebuildKeyspace(storage, path, scratch);
    if (basename(built.path) !== basename(path)) {
      const what = `holds keyspace ${printableName(built.name)}, which has another file name`;
      context.moveToSaved("keyspaces", path, `${what}: moved away`);
      return;
    }
    const lost = Math.max(0, built.expected - built.counters);
    context.replace("keyspaces", path, (target) => {
      storage.rename(built.path, target);
    }, () => `saved ${built.counters} of ${built.expected} counters, ${lost} lost`);
  } catch (error) {
    if (!(error instanceof CountdError)) throw error;
    context.moveToSaved("keyspaces", path, `nothing could be saved (${error.message}): moved away`);
  }
}

function repairTables(context: RepairContext): void {
  const { storage, data } = context;
  const { tables } = directoryPaths(data);
  if (storage.statusOrNull(tables) === null) return;
  // What is in a directory shows only when it is open.
  const open = ({ path }: TableViolation) => openClosed(context, tables, path);
  while (checkTables(storage, tables).filter(isOfMode).map(open).includes(true));
  for (const violation of checkTables(storage, tables)) {
    const { path, message } = violation;
    try {
      const status = storage.statusOrNull(path);
      if (status === null) continue;
      const isClosed = status.kind === "file" && (status.mode & OWNER_MAY_READ) === 0;
      if (!isOfMode(violation)) context.moveToSaved("tables", path, `${message}: moved away`);
      else if (isClosed) setMode(context, path, VALUE_MODE);
      else context.note("tables", path, `could not be repaired: ${message}`);
    } catch (error) {
      if (!(error instanceof OsError)) throw error;
      context.note("tables", path, `could not be repaired: ${error.message}`);
    }
  }
}

function isOfMode({ invariant }: TableViolation): boolean {
  return invariant === TABLE_MODE_RULE;
}

/** Opens the first directory on the way to a path that its owner may not list or enter. True if it did. */
function openClosed(context: RepairContext, tables: string, path: string): boolean {
  const { storage } = context;
  const parts = path.slice(tables.length).split("/").slice(1);
  const ways = ["", ...parts].map((_, index) => [tables, ...parts.slice(0, index)].join("/"));
  try {
    const isOpen = (way: string) => {
      const { kind, mode } = storage.status(way);
      return kind !== "directory" || (mode & OWNER_MAY_LIST) === OWNER_MAY_LIST;
    };
    const closed = ways.find((way) => !isOpen(way));
    if (closed === undefined) return false;
    setMode(context, closed, DIRECTORY_MODE);
    // Some file systems ignore a mode.
    return isOpen(closed);
  } catch (error) {
    // The check that follows reports the path again.
    if (error instanceof OsError) return false;
    throw error;
  }
}

function modeSet(mode: number): string {
  return `mode set to 0${mode.toString(8)}`;
}

function setMode(context: RepairContext, path: string, mode: number): void {
  context.storage.chmod(path, mode);
  context.note("tables", path, modeSet(mode));
}

function repairDatabaseOf(context: RepairContext): void {
  const { storage, data } = context;
  const paths = databasePaths(data);
  if (storage.statusOrNull(paths.map) === null && storage.statusOrNull(paths.log) === null) return;
  try {
    const found = checkDatabase(storage, paths);
    const isEmpty = [paths.map, paths.log].every((path) => !storage.statusOrNull(path)?.size);
    if (found.length === 0 || isEmpty && found[0]?.invariant === UNFINISHED_RULE) return;
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
