/**
 * What the keyspaces say of the commit logs: each keeps, for every slot, the greatest generation that is
 * in its counters. A log that is used again at or below such a mark is taken for one that is counted
 * already, so it must never be there, nor be missing, for then it would be made anew from nothing.
 */

import { CorruptError } from "../base/errors.ts";
import {
  type DataDirectory,
  LogProbe,
  LogReader,
  pathOfSlot,
  scanLog,
} from "../counters/commitlog/mod.ts";
import type { Storage } from "../file/mod.ts";
import {
  KeyspaceReader,
  listKeyspaces,
  SnapshotLostError,
  type Violation,
} from "../counters/keyspace/mod.ts";

/** Number of the rule in the README of the commit logs. */
const MARKS_RULE = 12;

/** The greatest mark of each slot in any keyspace that can be read; a slot without a mark is left out. */
export function greatestGenerations(storage: Storage, keyspaces: string): Map<number, bigint> {
  const greatest = new Map<number, bigint>();
  for (const { path } of listKeyspaces(storage, keyspaces)) {
    try {
      using reader = KeyspaceReader.open(storage, path);
      for (const [slot, generation] of reader.appliedGenerations()) {
        if (generation > (greatest.get(slot) ?? 0n)) greatest.set(slot, generation);
      }
    } catch (error) {
      // Damage has a rule of its own; a file that is folded into faster than it is read has none.
      if (!(error instanceof CorruptError || error instanceof SnapshotLostError)) throw error;
    }
  }
  return greatest;
}

/** Every slot whose log is missing, or of an earlier use than a keyspace speaks of. Looks only. */
export function checkAppliedGenerations(directory: DataDirectory): Violation[] {
  const { storage, paths } = directory;
  const violations: Violation[] = [];
  // First the marks: a claim raises the log before any fold can raise them.
  for (const [slot, mark] of greatestGenerations(storage, paths.keyspaces)) {
    const path = pathOfSlot(paths.logs, slot);
    const found = generationOf(directory, slot);
    if (found === "unknown" || (found !== "missing" && found >= mark)) continue;
    const what = found === "missing" ? "is missing" : `has generation ${found}`;
    violations.push({
      invariant: MARKS_RULE,
      path,
      offset: 0,
      message:
        `The log ${what}, and generation ${mark} is in a keyspace: what is written to it would ` +
        `not be counted; run countd repair${found === "missing" ? "" : fate(directory, slot)}`,
    });
  }
  return violations;
}

function generationOf(directory: DataDirectory, slot: number): bigint | "missing" | "unknown" {
  const { storage, paths } = directory;
  using head = LogProbe.openProbe(directory, slot);
  if (head !== null) return head.capture()?.generation ?? "unknown";
  return storage.statusOrNull(pathOfSlot(paths.logs, slot)) === null ? "missing" : "unknown";
}

/** What a repair does with the increments in a log below a mark, in words; nothing where it has none. */
function fate(directory: DataDirectory, slot: number): string {
  using reader = LogReader.open(directory, slot);
  const capture = reader?.capture();
  if (!reader || !capture || capture.state === "free") return "";
  const length = capture.state === "sealed" ? capture.limit : reader.bytes.length;
  const { records } = scanLog(reader.bytes, { slot, generation: capture.generation }, length);
  if (records === 0 || !reader.isStill(capture)) return "";
  return `, which does not count the ${records} increments in it, because they may be in the counters ` +
    "already, and keeps the log in repair-saved";
}
