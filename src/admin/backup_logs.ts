/**
 * Copies the logs of a backup: what each held at one moment, as a log that nothing writes. They are copied
 * before the keyspaces. So a log that is folded in between is in its own copy and in that of its keyspace,
 * whose applied generation leaves it out; a log that is not is in its own copy alone: each increment once.
 */

import { assert } from "../base/assert.ts";
import type { Clock } from "../base/clock.ts";
import { BusyError, CorruptError } from "../base/errors.ts";
import {
  type DataDirectory,
  findFrames,
  findGaps,
  findLostLogs,
  freeLogImage,
  listReadableSlots,
  lockPathOfSlot,
  LogReader,
  nameOfSlot,
  pathOfSlot,
  scanLog,
  writeLogImage,
} from "../counters/commitlog/mod.ts";
import type { StoredFile } from "../file/mod.ts";
import { greatestGenerations } from "./applied_generations.ts";

/** The copy of a log. Its file is without the zeros that follow the frames, which `restore` adds. */
export interface LogCopy {
  readonly slot: number;
  readonly path: string;
  generation: bigint;
  readonly order: bigint;
  /** Increments in it. */
  records: number;
}

const RETRY_MS = 10;
const ATTEMPTS_MAX = 1000;

/**
 * Copies every log into the directory `target`, one at a time. Throws `CorruptError` for a damaged log: its
 * copy would not be a backup.
 */
export async function copyLogs(
  directory: DataDirectory,
  target: string,
  clock: Clock,
): Promise<LogCopy[]> {
  const { storage } = directory;
  const copies: LogCopy[] = [];
  const replaced = findLostLogs(directory).find(({ isReplaced }) => isReplaced);
  if (replaced !== undefined) {
    const path = lockPathOfSlot(directory.paths.logs, replaced.slot);
    throw new CorruptError(
      `${path} leads to a log that has no other name, and would be left out: run countd check, then ` +
        "countd repair",
      { path, offset: 0 },
    );
  }
  const slots = listReadableSlots(directory);
  // A pool grows by the next slot, so a log that is missing was removed.
  const [gap] = findGaps(slots);
  if (gap !== undefined) throw missingLog(pathOfSlot(directory.paths.logs, gap.first));
  for (const slot of slots) {
    const path = `${target}/${nameOfSlot(slot)}`;
    using file = storage.open(path, { access: "write", create: "exclusive", mode: 0o600 });
    const { records, generation, order } = await copyLog(directory, slot, { file, clock });
    file.sync();
    copies.push({ slot, path, generation, order, records });
  }
  return copies;
}

/** Throws `CorruptError` if a log that the copied keyspaces have applied is gone: what it held is unknown. */
export function refuseMissingLogs(directory: DataDirectory, keyspaces: string): void {
  const { storage, paths } = directory;
  for (const slot of greatestGenerations(storage, keyspaces).keys()) {
    const path = pathOfSlot(paths.logs, slot);
    if (storage.statusOrNull(path) === null) throw missingLog(path);
  }
}

function missingLog(path: string): CorruptError {
  return new CorruptError(`${path} is missing: run countd check, then countd repair`, {
    path,
    offset: 0,
  });
}

/**
 * Makes a copy a free log of a later generation, because what it held is in every keyspace. That is certain
 * if the log itself has reached that generation by now. Throws `CorruptError` if it has not: then a keyspace
 * has applied a generation that the log never had.
 */
export async function emptyCopy(
  directory: DataDirectory,
  copy: LogCopy,
  { generation, clock }: { readonly generation: bigint; readonly clock: Clock },
): Promise<void> {
  const { storage, sizes } = directory;
  const { slot } = copy;
  const reached = await generationNow(directory, slot, clock);
  if (reached === null || reached < generation) {
    const path = pathOfSlot(directory.paths.logs, slot);
    const what = reached === null ? "is missing" : `has generation ${reached}`;
    throw new CorruptError(
      `${path} ${what}, and generation ${generation} is in a keyspace: run countd check, then ` +
        "countd repair",
      { path, offset: 0 },
    );
  }
  assert(generation > copy.generation, "The generation of a copied log only rises");
  using file = storage.open(copy.path, { access: "write" });
  file.truncate(0);
  file.write(freeLogImage({ slot, generation, logSize: sizes.logSize }), 0);
  file.sync();
  copy.generation = generation;
  copy.records = 0;
}

/** The generation of the log itself; null if the log is gone. */
async function generationNow(
  directory: DataDirectory,
  slot: number,
  clock: Clock,
): Promise<bigint | null> {
  const path = pathOfSlot(directory.paths.logs, slot);
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    using reader = LogReader.open(directory, slot);
    const capture = reader?.capture();
    if (capture) return capture.generation;
    if (directory.storage.statusOrNull(path) === null) return null;
    await clock.sleep(RETRY_MS);
  }
  throw cannotRead(path);
}

type Copied = Pick<LogCopy, "generation" | "order" | "records">;

/** Copies what a log holds at one moment into an empty file. */
async function copyLog(
  directory: DataDirectory,
  slot: number,
  { file, clock }: { readonly file: StoredFile; readonly clock: Clock },
): Promise<Copied> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    using reader = LogReader.open(directory, slot);
    const copied = reader === null ? null : tryCopy(directory, reader, file);
    if (copied !== null) return copied;
    if (reader === null) refuseForeign(directory, slot);
    file.truncate(0);
    await clock.sleep(RETRY_MS);
  }
  throw cannotRead(pathOfSlot(directory.paths.logs, slot));
}

/** Null if the log is in another use by now, or is being claimed. */
function tryCopy(
  { sizes: { logSize } }: DataDirectory,
  reader: LogReader,
  file: StoredFile,
): Copied | null {
  const capture = reader.capture();
  if (capture === null) {
    if (reader.header() !== null) return null;
    throw headerDamage(reader.path, 0);
  }
  const { slot, lostHeaderOffset } = reader;
  const { generation, limit, claimedWallMs, order } = capture;
  const identity = { slot, generation };
  const { log } = reader;
  const durable = capture.state === "sealed" ? capture.durable : 0;
  const scan = capture.state === "free" ? null : scanLog(log, identity, { length: limit, durable });
  const damage = scan?.damage ?? null;
  const places = scan === null || damage !== null ? [] : findFrames(log, identity, scan.tail);
  const image = writeLogImage(file, log, places, { ...identity, logSize, claimedWallMs, order });
  // What was read counts only if the log was in the same use until here.
  if (!reader.isStill(capture)) return null;
  if (lostHeaderOffset !== null) throw headerDamage(reader.path, lostHeaderOffset);
  if (damage !== null) {
    throw new CorruptError(
      `${reader.path} is damaged at byte ${damage.offset}: run countd check, then countd repair`,
      { path: reader.path, offset: damage.offset },
    );
  }
  return { generation, order, records: image.records };
}

/** Throws `CorruptError` for a name that leads to something else than a log: no other try would open it. */
function refuseForeign({ storage, paths, sizes }: DataDirectory, slot: number): void {
  const path = pathOfSlot(paths.logs, slot);
  const status = storage.statusOrNull(path);
  if (status === null || status.kind === "file" && status.size === sizes.logSize) return;
  const what = status.kind === "file"
    ? `has ${status.size} bytes and not ${sizes.logSize}`
    : "is not a regular file";
  throw new CorruptError(`${path} ${what}: run countd check, then countd repair`, {
    path,
    offset: 0,
  });
}

function cannotRead(path: string): BusyError {
  return new BusyError(`Log ${path} cannot be read for a copy: run countd check, or try again`);
}

function headerDamage(path: string, offset: number): CorruptError {
  return new CorruptError(`${path} has lost its header: run countd check, then countd repair`, {
    path,
    offset,
  });
}
