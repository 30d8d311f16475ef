/**
 * `countd check`: every broken rule of a data directory, noun by noun. Looks only, and may run while
 * daemons work: what they are in the middle of is looked at again before it counts as broken.
 */

import { BusyError, CorruptError, NotFoundError } from "../base/errors.ts";
import {
  checkCommitLogs,
  DataDirectory,
  directoryLocks,
  directoryPaths,
  type Holder,
  holdsCounters,
  listSlots,
} from "../counters/commitlog/mod.ts";
import { check as checkDatabase, DatabaseInUseError, UNFINISHED_RULE } from "../database/mod.ts";
import { hasCode, requireDirectory, type Storage } from "../file/mod.ts";
import {
  check as checkKeyspace,
  isTemporaryName,
  SnapshotLostError,
} from "../counters/keyspace/mod.ts";
import { checkTables } from "../tables/mod.ts";
import { checkAppliedGenerations } from "./applied_generations.ts";
import { databasePaths } from "./data_signs.ts";
import { type Noun, ofNoun, type Violation } from "./violation.ts";

export interface CheckReport {
  readonly violations: readonly Violation[];
  /** What a process that was killed left behind, and the next one puts right: nothing is broken. */
  readonly leftovers: readonly Violation[];
  readonly checked: {
    readonly logs: number;
    readonly keyspaces: number;
    readonly tables: boolean;
    readonly db: boolean;
  };
  /** What could not be looked at, one sentence each. */
  readonly notChecked: readonly string[];
}

/** How often something is looked at again that a daemon may have been changing meanwhile. */
const LOOKS_MAX = 5;

/** Rules about labels and unfinished logs, and about a database in the making (READMEs of those rooms). */
const LEFTOVER_RULES: Partial<Record<Noun, readonly number[]>> = {
  logs: [9, 10],
  db: [UNFINISHED_RULE],
};

/** Where the failed mark's rule stands in the README of the commit logs. */
const FAILED_MARK_RULE = 11;

/**
 * Checks a whole data directory. Throws `NotFoundError` where there is none, `OsError` where it cannot be
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
    keyspaces = checkKeyspaces(storage, data, { directory, violations });
  } finally {
    directory?.close();
  }
  const tables = checkTablesOf(storage, data, violations);
  const db = checkDatabaseOf(storage, data, { violations, notChecked });
  const isLeftover = ({ noun, invariant }: Violation) =>
    LEFTOVER_RULES[noun]?.includes(invariant) ?? false;
  return {
    violations: violations.filter((violation) => !isLeftover(violation)),
    leftovers: [...leftovers, ...violations.filter(isLeftover)],
    checked: { logs, keyspaces, tables, db },
    notChecked,
  };
}

/** Any of the parts will do: a directory that lost its control file is still one to be looked at. */
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
    const directory = DataDirectory.openOrNull(storage, data, { self });
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
    if (!(error instanceof CorruptError)) throw error;
    const { path, offset } = error.where;
    violations.push({ noun: "control", invariant: 1, path, offset, message: error.message });
    notChecked.push("the logs, which cannot be read without the control file");
  }
  return null;
}

function listSlotsOrNone({ storage, paths }: DataDirectory): number {
  return storage.statusOrNull(paths.logs) === null
    ? 0
    : listSlots(storage, paths.logs).slots.length;
}

/** With no daemon at work the labels count too; with some, only what stays broken does. */
function checkLogs(directory: DataDirectory): Violation[] {
  const { control } = directory;
  const labels = !control.isHeldElsewhere(directoryLocks.daemon);
  const look =
    () => [...checkCommitLogs(directory, { labels }), ...checkAppliedGenerations(directory)];
  return ofNoun("logs", lasting(look));
}

/** What several looks agree on: a log may be recycled and claimed while it is read. */
function lasting<T extends { readonly path: string; readonly offset: number }>(
  look: () => readonly T[],
): readonly T[] {
  let found = look();
  for (let again = 1; again < LOOKS_MAX && found.length > 0; again++) {
    const now = look();
    const same = found.filter((one) =>
      now.some((other) => other.path === one.path && other.offset === one.offset)
    );
    if (same.length === found.length) return same;
    found = same;
  }
  return found;
}

/** Returns the number of keyspaces. Pinned meanwhile, so that no page of a snapshot is reused. */
function checkKeyspaces(
  storage: Storage,
  data: string,
  { directory, violations }: {
    readonly directory: DataDirectory | null;
    readonly violations: Violation[];
  },
): number {
  const { keyspaces } = directoryPaths(data);
  if (storage.statusOrNull(keyspaces) === null) return 0;
  const pinned = directory?.control.tryLock(directoryLocks.pin, "shared") ?? false;
  try {
    const names = storage.readDirectory(keyspaces).sort().filter((name) => !isTemporaryName(name));
    for (const name of names) {
      violations.push(...ofNoun("keyspaces", checkOneKeyspace(storage, `${keyspaces}/${name}`)));
    }
    return names.length;
  } finally {
    if (pinned) directory?.control.unlock(directoryLocks.pin);
  }
}

function checkOneKeyspace(storage: Storage, path: string): ReturnType<typeof checkKeyspace> {
  for (let looks = 1;; looks++) {
    try {
      return checkKeyspace(storage, path);
    } catch (error) {
      if (error instanceof CorruptError) {
        return [{ invariant: 1, path, offset: error.where.offset, message: error.message }];
      }
      if (!(error instanceof SnapshotLostError)) throw error;
      if (looks === LOOKS_MAX) {
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
  violations.push(...ofNoun("tables", lasting(() => checkTables(storage, tables))));
  return true;
}

function checkDatabaseOf(
  storage: Storage,
  data: string,
  { violations, notChecked }: { readonly violations: Violation[]; readonly notChecked: string[] },
): boolean {
  try {
    violations.push(...ofNoun("db", checkDatabase(storage, databasePaths(data))));
    return true;
  } catch (error) {
    if (error instanceof NotFoundError) return false;
    if (hasCode(error, "ENOENT")) return false;
    if (!(error instanceof DatabaseInUseError)) throw error;
    notChecked.push(`the database: ${error.message}`);
    return false;
  }
}

/** The report without the failed mark itself, for whoever is about to remove it. */
export function withoutFailedMark(violations: readonly Violation[]): Violation[] {
  return violations.filter(({ noun, invariant }) =>
    noun !== "logs" || invariant !== FAILED_MARK_RULE
  );
}
