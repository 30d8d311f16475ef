/**
 * `countd check`: finds every broken rule of a data directory, noun by noun. It only reads, and may run while
 * daemons work: what they may be changing is checked again before it counts as broken.
 */

import { BusyError, CorruptError, NotFoundError } from "../base/errors.ts";
import { isFormatError } from "../base/format.ts";
import {
  checkCommitLogs,
  DataDirectory,
  directoryLocks,
  directoryPaths,
  type Holder,
  holdsBackup,
  holdsCounters,
  listSlots,
} from "../counters/commitlog/mod.ts";
import { check as checkDatabase, DatabaseInUseError, UNFINISHED_RULE } from "../database/mod.ts";
import { hasCode, OsError, requireDirectory, type Storage, troubleOf } from "../file/mod.ts";
import {
  check as checkKeyspace,
  isHiddenName,
  SnapshotLostError,
} from "../counters/keyspace/mod.ts";
import { checkTables } from "../tables/mod.ts";
import { checkAppliedGenerations } from "./applied_generations.ts";
import { databasePaths } from "./data_signs.ts";
import { checkBackup } from "./manifest.ts";
import { type Noun, ofNoun, type Violation } from "./violation.ts";

export interface CheckReport {
  readonly violations: readonly Violation[];
  /** What a killed process left behind and the next one corrects: nothing is broken. */
  readonly leftovers: readonly Violation[];
  /** Whole files of another format, one sentence each: they cannot be checked, and are not damaged. */
  readonly otherFormats: readonly string[];
  readonly checked: {
    readonly logs: number;
    readonly keyspaces: number;
    readonly tables: boolean;
    readonly db: boolean;
  };
  /** What could not be checked, one sentence each. */
  readonly notChecked: readonly string[];
}

/** How often something is checked that a daemon may be changing. */
const ATTEMPTS_MAX = 5;

/** Rules about labels, unfinished logs and an unfinished database (numbers of the READMEs of those rooms). */
const LEFTOVER_RULES: Partial<Record<Noun, readonly number[]>> = {
  logs: [9, 10],
  db: [UNFINISHED_RULE],
};

/** Number of the failed mark's rule in the README of the commit logs. */
const FAILED_MARK_RULE = 11;

/**
 * Checks a whole data directory. Throws `NotFoundError` if it does not exist, and `OsError` if it cannot be
 * read. Damage is reported, never thrown.
 */
export function checkDirectory(
  storage: Storage,
  data: string,
  options: { readonly self: Holder },
): CheckReport {
  if (!isDataDirectory(storage, data)) {
    requireDirectory(storage, data);
    throw new NotFoundError(`No data directory at ${data}: there is nothing to check`);
  }
  const violations: Violation[] = [];
  const leftovers: Violation[] = [];
  const notChecked: string[] = [];
  const otherFormats: string[] = [];
  try {
    if (holdsBackup(storage, data)) {
      violations.push(...ofNoun("backup", checkBackup(storage, data)));
    }
  } catch (error) {
    if (!isFormatError(error)) throw error;
    otherFormats.push(error.message);
  }
  const directory = openOrReport(storage, data, {
    ...options,
    violations,
    leftovers,
    notChecked,
  });
  let logs = 0;
  let keyspaces = 0;
  try {
    if (directory !== null) {
      logs = listSlotsOrNone(directory);
      violations.push(...checkLogs(directory));
    }
    keyspaces = checkKeyspaces(storage, data, { directory, violations, otherFormats });
    if (otherFormats.length > 0) {
      notChecked.push(
        "rule 12 of the logs for a keyspace of another format, which says what it has applied",
      );
    }
  } finally {
    directory?.close();
  }
  const tables = checkTablesOf(storage, data, violations);
  const db = checkDatabaseOf(storage, data, { violations, notChecked, otherFormats });
  const isLeftover = ({ noun, invariant }: Violation) =>
    LEFTOVER_RULES[noun]?.includes(invariant) ?? false;
  return {
    violations: violations.filter((violation) => !isLeftover(violation)),
    leftovers: [...leftovers, ...violations.filter(isLeftover)],
    otherFormats,
    checked: { logs, keyspaces, tables, db },
    notChecked,
  };
}

/** One part is enough: a directory that lost its control file is still checked. */
function isDataDirectory(storage: Storage, data: string): boolean {
  const { control, logs, keyspaces, tables, db } = directoryPaths(data);
  return [control, logs, keyspaces, tables, db].some((path) => storage.statusOrNull(path) !== null);
}

function openOrReport(
  storage: Storage,
  data: string,
  { self, violations, leftovers, notChecked }: {
    readonly self: Holder;
    readonly violations: Violation[];
    readonly leftovers: Violation[];
    readonly notChecked: string[];
  },
): DataDirectory | null {
  const paths = directoryPaths(data);
  const { control, logs, keyspaces } = paths;
  try {
    const directory = DataDirectory.openOrNull(storage, data, { self, access: "read" });
    if (directory !== null) return directory;
    if (holdsCounters(storage, paths)) {
      const message = "The control file is missing: run countd repair";
      violations.push({ noun: "control", invariant: 1, path: control, offset: 0, message });
      notChecked.push("the logs, which cannot be read without the control file");
    } else if ([logs, keyspaces].some((path) => storage.statusOrNull(path) !== null)) {
      const message =
        "A first start was cut short before this file was made; the next one makes it";
      leftovers.push({ noun: "control", invariant: 1, path: control, offset: 0, message });
    }
  } catch (error) {
    const broken = brokenFile(error);
    if (broken === null) throw error;
    violations.push({ noun: "control", ...broken });
    notChecked.push("the logs, which cannot be read without the control file");
  }
  return null;
}

function listSlotsOrNone({ storage, paths }: DataDirectory): number {
  return storage.statusOrNull(paths.logs) === null
    ? 0
    : listSlots(storage, paths.logs).slots.length;
}

/** A file that is damaged, or that cannot be opened or read. Null for any other error. */
function brokenFile(error: unknown): Omit<Violation, "noun"> | null {
  if (error instanceof CorruptError) {
    return { invariant: 1, ...error.where, message: error.message };
  }
  if (!(error instanceof OsError)) return null;
  const trouble = troubleOf(error);
  if (trouble !== "closed" && trouble !== "damaged") return null;
  return { invariant: 1, path: error.path, offset: 0, message: error.message };
}

/** Labels are checked only if no daemon works, because daemons change them. A backup has none. */
function checkLogs(directory: DataDirectory): Violation[] {
  const { control, isBackup } = directory;
  const labels = !isBackup && !control.isHeldElsewhere(directoryLocks.daemon);
  const find =
    () => [...checkCommitLogs(directory, { labels }), ...checkAppliedGenerations(directory)];
  return ofNoun("logs", persistent(find));
}

/** What several checks find: a log may be recycled and claimed during a check. */
function persistent<T extends { readonly path: string; readonly offset: number }>(
  find: () => readonly T[],
): readonly T[] {
  let found = find();
  for (let again = 1; again < ATTEMPTS_MAX && found.length > 0; again++) {
    const now = find();
    const same = found.filter((one) =>
      now.some((other) => other.path === one.path && other.offset === one.offset)
    );
    if (same.length === found.length) return same;
    found = same;
  }
  return found;
}

/** Returns the number of keyspaces. Takes the pin, so that no page of a snapshot is reused. */
function checkKeyspaces(
  storage: Storage,
  data: string,
  { directory, violations, otherFormats }: {
    readonly directory: DataDirectory | null;
    readonly violations: Violation[];
    readonly otherFormats: string[];
  },
): number {
  const { keyspaces } = directoryPaths(data);
  if (storage.statusOrNull(keyspaces) === null) return 0;
  const pinned = directory?.control.tryLock(directoryLocks.pin, "shared") ?? false;
  try {
    const names = storage.readDirectory(keyspaces).sort().filter((name) => !isHiddenName(name));
    for (const name of names) {
      try {
        violations.push(...ofNoun("keyspaces", checkOneKeyspace(storage, `${keyspaces}/${name}`)));
      } catch (error) {
        if (!isFormatError(error)) throw error;
        otherFormats.push(error.message);
      }
    }
    return names.length;
  } finally {
    if (pinned) directory?.control.unlock(directoryLocks.pin);
  }
}

function checkOneKeyspace(storage: Storage, path: string): ReturnType<typeof checkKeyspace> {
  for (let attempt = 1;; attempt++) {
    try {
      return checkKeyspace(storage, path);
    } catch (error) {
      const broken = brokenFile(error);
      if (broken !== null) return [{ ...broken, path }];
      // It was removed since the names were listed.
      if (hasCode(error, "ENOENT")) return [];
      if (!(error instanceof SnapshotLostError)) throw error;
      if (attempt === ATTEMPTS_MAX) {
        throw new BusyError(
          `Keyspace ${path} changes faster than it can be checked: try again when less is written`,
          { cause: error },
        );
      }
    }
  }
}

function checkTablesOf(storage: Storage, data: string, violations: Violation[]): boolean {
  const { tables } = directoryPaths(data);
  if (storage.statusOrNull(tables) === null) return false;
  violations.push(...ofNoun("tables", persistent(() => checkTables(storage, tables))));
  return true;
}

/** False if it does not exist, or cannot be checked. */
function checkDatabaseOf(
  storage: Storage,
  data: string,
  { violations, notChecked, otherFormats }: {
    readonly violations: Violation[];
    readonly notChecked: string[];
    readonly otherFormats: string[];
  },
): boolean {
  try {
    violations.push(...ofNoun("db", checkDatabase(storage, databasePaths(data))));
    return true;
  } catch (error) {
    const broken = brokenFile(error);
    if (broken !== null) violations.push({ noun: "db", ...broken });
    else if (error instanceof DatabaseInUseError) {
      notChecked.push(`the database: ${error.message}`);
    } else if (isFormatError(error)) otherFormats.push(error.message);
    else if (!(error instanceof NotFoundError || hasCode(error, "ENOENT"))) throw error;
    return false;
  }
}

/** The violations without the failed mark itself, for a caller that is about to remove it. */
export function withoutFailedMark(violations: readonly Violation[]): Violation[] {
  return violations.filter(({ noun, invariant }) =>
    noun !== "logs" || invariant !== FAILED_MARK_RULE
  );
}
