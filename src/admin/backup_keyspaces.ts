/**
 * Copies the keyspaces of a backup: each the newest snapshot of its file, while the pin keeps its pages from
 * reuse.
 *
 * A log that was captured as generation g may be recycled, claimed and folded as g + 1 while keyspaces are
 * copied. Then a keyspace's copy has applied g + 1, and a restored log of generation g would be below that,
 * and so would the writes that follow. But then every keyspace on the disk has applied g. So the keyspaces
 * that were copied without it are copied again, and the copy of the log becomes a free log of the higher
 * generation.
 *
 * A log that the pool got during the backup has no copy, but a keyspace's copy may have applied it. `restore`
 * makes such a log, with that generation.
 */

import type { Clock } from "../base/clock.ts";
import { BusyError, CorruptError } from "../base/errors.ts";
import type { DataDirectory } from "../counters/commitlog/mod.ts";
import type { Storage } from "../file/mod.ts";
import {
  check,
  decodeKeyspaceName,
  isTemporaryName,
  KeyspaceReader,
  SnapshotLostError,
} from "../counters/keyspace/mod.ts";
import { emptyCopy, type LogCopy } from "./backup_logs.ts";
import { copyFile } from "./copy_files.ts";

const ATTEMPTS_MAX = 20;

/**
 * Copies the keyspaces, and adjusts the logs' copies to them. Returns the number of keyspaces. Throws
 * `CorruptError` for a damaged keyspace, and for a log that is below an applied generation by itself.
 */
export async function copyKeyspaces(
  directory: DataDirectory,
  target: string,
  { logs, clock }: { readonly logs: readonly LogCopy[]; readonly clock: Clock },
): Promise<number> {
  const { storage, paths } = directory;
  const source = paths.keyspaces;
  /** For each copied file its applied generations, in the order of `logs`. */
  const copied = new Map<string, readonly bigint[]>();
  const emptied = new Set<LogCopy>();
  const greatest = (index: number) =>
    copied.values().map((generations) => generations[index] ?? 0n).reduce(max, 0n);
  while (true) {
    for (const name of storage.readDirectory(source)) {
      if (isTemporaryName(name) || decodeKeyspaceName(name) === null || copied.has(name)) continue;
      copyOne(storage, `${source}/${name}`, `${target}/${name}`);
      using reader = KeyspaceReader.open(storage, `${target}/${name}`);
      copied.set(name, logs.map(({ slot }) => reader.applied(slot)));
    }
    const overtaken = [...logs.entries()].filter(([index, log]) =>
      !emptied.has(log) && greatest(index) > log.generation
    );
    if (overtaken.length === 0) break;
    for (const [, log] of overtaken) emptied.add(log);
    for (const [name, generations] of copied) {
      if (overtaken.every(([index, log]) => (generations[index] ?? 0n) >= log.generation)) continue;
      storage.unlink(`${target}/${name}`);
      copied.delete(name);
    }
  }
  for (const [index, log] of logs.entries()) {
    const generation = greatest(index);
    if (generation > log.generation) await emptyCopy(directory, log, { generation, clock });
  }
  return copied.size;
}

function max(left: bigint, right: bigint): bigint {
  return left > right ? left : right;
}

/** Copies one. If the copy does not check, commits overtook it, or the source is damaged. */
function copyOne(storage: Storage, from: string, to: string): void {
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

function checkCopy(storage: Storage, path: string): ReturnType<typeof check> {
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
