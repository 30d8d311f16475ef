/**
 * Compares the commit logs with the applied generations of the keyspaces: each keyspace keeps, for every
 * slot, the greatest generation that is in its counters. A fold takes a log at or below its applied
 * generation for one that is counted already. So no log may be below one, or be missing, because a missing
 * one would be made again from generation 0.
 */

import { CorruptError } from "../base/errors.ts";
import { type FormatError, isFormatError } from "../base/format.ts";
import { type DataDirectory, LogReader, pathOfSlot, scanLog } from "../counters/commitlog/mod.ts";
import { concernsOneFile, OsError, type Storage } from "../file/mod.ts";
import {
  KeyspaceReader,
  listKeyspaces,
  SnapshotLostError,
  type Violation,
} from "../counters/keyspace/mod.ts";

/** Number of the rule in the README of the commit logs. */
const APPLIED_RULE = 12;

/**
 * The greatest applied generation of each slot in any keyspace that can be read; never 0. The map lacks what
 * a keyspace of another format has applied, or one that cannot be opened: each such file is given to
 * `onUnknown`. Without it a file that cannot be opened is an `OsError`.
 */
export function greatestGenerations(
  storage: Storage,
  keyspaces: string,
  onUnknown: (error: FormatError | OsError) => void = throwOsError,
): Map<number, bigint> {
  const greatest = new Map<number, bigint>();
  // Damage is reported elsewhere.
  const note = (error: CorruptError | FormatError | OsError) => {
    if (!(error instanceof CorruptError)) onUnknown(error);
  };
  for (const { path } of listKeyspaces(storage, keyspaces, note)) {
    try {
      using reader = KeyspaceReader.open(storage, path);
      for (const [slot, generation] of reader.appliedGenerations()) {
        if (generation > (greatest.get(slot) ?? 0n)) greatest.set(slot, generation);
      }
    } catch (error) {
      // A file that changes faster than it can be read is not damage.
      const isOfOne = error instanceof CorruptError || isFormatError(error) ||
        concernsOneFile(error, "keyspace");
      if (isOfOne) note(error);
      else if (!(error instanceof SnapshotLostError)) throw error;
    }
  }
  return greatest;
}

function throwOsError(error: Error): void {
  if (error instanceof OsError) throw error;
}

/** Every slot whose log is missing, or has a lower generation than a keyspace has applied. Only reads. */
export function checkAppliedGenerations(directory: DataDirectory): Violation[] {
  const { storage, paths } = directory;
  const violations: Violation[] = [];
  // Applied generations first: a claim raises the generation of a log before a fold can raise these.
  for (const [slot, mark] of greatestGenerations(storage, paths.keyspaces, () => {})) {
    const path = pathOfSlot(paths.logs, slot);
    const found = generationOf(directory, slot);
    if (found === "unknown" || (found !== "missing" && found >= mark)) continue;
    // The pool got this log while the backup was made: `restore` makes it.
    if (found === "missing" && directory.isBackup) continue;
    const what = found === "missing" ? "is missing" : `has generation ${found}`;
    violations.push({
      invariant: APPLIED_RULE,
      path,
      offset: 0,
      message:
        `The log ${what}, and generation ${mark} is in a keyspace: what is written to it would ` +
        `not be counted; run countd repair${
          found === "missing" ? "" : repairEffect(directory, slot)
        }`,
    });
  }
  return violations;
}

function generationOf(directory: DataDirectory, slot: number): bigint | "missing" | "unknown" {
  const { storage, paths } = directory;
  using reader = LogReader.open(directory, slot);
  if (reader !== null) return reader.capture()?.generation ?? "unknown";
  return storage.statusOrNull(pathOfSlot(paths.logs, slot)) === null ? "missing" : "unknown";
}

/** What a repair does with the increments in such a log, in words; nothing if the log has none. */
function repairEffect(directory: DataDirectory, slot: number): string {
  using reader = LogReader.open(directory, slot);
  const capture = reader?.capture();
  if (!reader || !capture || capture.state === "free") return "";
  const length = capture.state === "sealed" ? capture.limit : reader.log.size;
  const { records } = scanLog(reader.log, { slot, generation: capture.generation }, { length });
  if (records === 0 || !reader.isStill(capture)) return "";
  return `, which does not count the ${records} increments in it, because they may be in the counters ` +
    "already, and keeps the log in repair-saved";
}
