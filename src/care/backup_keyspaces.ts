/**
 * The keyspaces of a backup: each the newest snapshot of its file, copied while the pin keeps its pages
 * from being used again.
 *
 * A log that was captured as generation g may be recycled, claimed and folded as g + 1 while keyspaces
 * are copied. Then a copy says "g + 1 is in here", and a restored log of generation g would be below
 * that mark, and so would be the writes that follow. But then every keyspace on the disk has g: so those
 * that were copied without it are copied again, and the log's copy becomes a free one of the higher
 * generation.
 */

import { BusyError, CorruptError } from "../base/errors.ts";
import type { DataDirectory } from "../commitlog/mod.ts";
import {
  check,
  decodeKeyspaceName,
  isTemporaryName,
  KeyspaceReader,
  SnapshotLostError,
} from "../keyspace/mod.ts";
import type { LogCopy } from "./backup_logs.ts";
import { copyFile } from "./copy_files.ts";

const ATTEMPTS_MAX = 20;

/** Copies the keyspaces, and adjusts the logs' copies to them. Returns the number of keyspaces. */
export function copyKeyspaces(
  { storage, paths }: DataDirectory,
  target: string,
  logs: readonly LogCopy[],
): number {
  const source = paths.keyspaces;
  const copied = new Set<string>();
  const settled = new Set<number>();
  const reading = { storage, target };
  for (;;) {
    for (const name of storage.readDirectory(source)) {
      if (isTemporaryName(name) || decodeKeyspaceName(name) === null || copied.has(name)) continue;
      copyOne(reading, `${source}/${name}`, `${target}/${name}`);
      copied.add(name);
    }
    const overtaken = logs.filter((log) => {
      const applied = greatestMark(reading, copied, log.slot);
      return applied > log.generation && !settled.has(log.slot);
    });
    if (overtaken.length === 0) break;
    for (const log of overtaken) settled.add(log.slot);
    for (const name of copied) {
      const lacks = overtaken.some((log) => markOf(reading, name, log.slot) < log.generation);
      if (!lacks) continue;
      storage.unlink(`${target}/${name}`);
      copied.delete(name);
    }
  }
  for (const log of logs) {
    const applied = greatestMark(reading, copied, log.slot);
    if (applied <= log.generation) continue;
    log.generation = applied;
    log.places = [];
    log.bytes = new Uint8Array(0);
  }
  return copied.size;
}

interface Reading {
  readonly storage: DataDirectory["storage"];
  readonly target: string;
}

function markOf({ storage, target }: Reading, name: string, slot: number): bigint {
  using reader = KeyspaceReader.open(storage, `${target}/${name}`);
  return reader.applied(slot);
}

function greatestMark(reading: Reading, names: Iterable<string>, slot: number): bigint {
  let greatest = 0n;
  for (const name of names) {
    const mark = markOf(reading, name, slot);
    if (mark > greatest) greatest = mark;
  }
  return greatest;
}

/** A copy that does not check was overtaken by commits, or the original is damaged. */
function copyOne({ storage }: Reading, from: string, to: string): void {
  for (let attempt = 1;; attempt++) {
    copyFile(storage, { from, to });
    const found = checkCopy(storage, to);
    if (found.length === 0) return;
    storage.unlink(to);
    const damage = checkCopy(storage, from);
    if (damage.length > 0 && attempt > 1) {
      const [first] = damage;
      throw new CorruptError(
        `Keyspace ${from} is damaged (${first?.message}): run countd check, then countd repair`,
        { path: from, offset: first?.offset ?? 0 },
      );
    }
    if (attempt === ATTEMPTS_MAX) {
      throw new BusyError(`Keyspace ${from} changes faster than it can be copied: try again`);
    }
  }
}

function checkCopy(storage: Reading["storage"], path: string): ReturnType<typeof check> {
  try {
    return check(storage, path);
  } catch (error) {
    if (error instanceof SnapshotLostError) {
      return [{ invariant: 0, path, offset: 0, message: error.message }];
    }
    if (!(error instanceof CorruptError)) throw error;
    return [{ invariant: 0, path, offset: error.where.offset, message: error.message }];
  }
}
