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
  findLostLogs,
  type FramePlace,
  freeLogImage,
  listReadableSlots,
  lockPathOfSlot,
  logImage,
  LogReader,
  nameOfSlot,
  pathOfSlot,
  scanLog,
} from "../counters/commitlog/mod.ts";
import { LogBytes } from "../file/checked_log/mod.ts";

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
  const { storage, sizes } = directory;
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
  for (const slot of listReadableSlots(directory)) {
    const held = await captureLog(directory, slot, clock);
    const path = `${target}/${nameOfSlot(slot)}`;
    const image = logImage(held.bytes, held.places, { ...held, logSize: sizes.logSize });
    using file = storage.open(path, { access: "write", create: "exclusive", mode: 0o600 });
    file.write(image.bytes, 0);
    file.sync();
    const { generation, order } = held;
    copies.push({ slot, path, generation, order, records: image.records });
  }
  return copies;
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

interface Held {
  readonly slot: number;
  readonly generation: bigint;
  readonly bytes: Uint8Array;
  readonly places: readonly FramePlace[];
  readonly claimedWallMs: number;
  readonly order: bigint;
}

async function captureLog(
  directory: DataDirectory,
  slot: number,
  clock: Clock,
): Promise<Held> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    using reader = LogReader.open(directory, slot);
    const held = reader === null ? null : tryCapture(reader, slot);
    if (held !== null) return held;
    await clock.sleep(RETRY_MS);
  }
  throw cannotRead(pathOfSlot(directory.paths.logs, slot));
}

/** Null if the log is in another use by now, or is being claimed. */
function tryCapture(reader: LogReader, slot: number): Held | null {
  const capture = reader.capture();
  if (capture === null) {
    if (reader.header() !== null) return null;
    throw headerDamage(reader.path, 0);
  }
  const { generation, limit, claimedWallMs, order } = capture;
  const claim = { slot, generation, claimedWallMs, order };
  const bytes = capture.state === "free" ? new Uint8Array(0) : reader.copy(limit);
  const lostOffset = reader.lostHeaderOffset;
  if (!reader.isStill(capture)) return null;
  if (lostOffset !== null) throw headerDamage(reader.path, lostOffset);
  if (bytes.length === 0) return { ...claim, bytes, places: [] };
  const identity = { slot, generation };
  const log = new LogBytes(bytes);
  const durable = capture.state === "sealed" ? capture.durable : 0;
  const scan = scanLog(log, identity, { length: limit, durable });
  if (scan.damage !== null) {
    throw new CorruptError(
      `${reader.path} is damaged at byte ${scan.tail}: run countd check, then countd repair`,
      { path: reader.path, offset: scan.tail },
    );
  }
  const places = findFrames(log, identity, scan.tail);
  return { ...claim, bytes, places };
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
