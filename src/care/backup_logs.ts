/**
 * The logs of a backup: what each held at one moment, as a log at rest of its own. Taken before the
 * keyspaces, so that a log that is folded meanwhile is in the copy of its keyspace by its mark, and
 * one that is not is in its own copy: each increment once.
 */

import type { Clock } from "../base/clock.ts";
import { BusyError, CorruptError } from "../base/errors.ts";
import {
  type DataDirectory,
  findFrames,
  type FramePlace,
  isCorrupt,
  listSlots,
  logImage,
  LogReader,
  nameOfSlot,
  newestHeader,
  pathOfSlot,
  scanLog,
} from "../commitlog/mod.ts";
import type { Storage } from "../file/mod.ts";

/** What one log held. */
export interface LogCopy {
  readonly slot: number;
  generation: bigint;
  bytes: Uint8Array;
  places: readonly FramePlace[];
  readonly claimedWallMs: number;
}

const RETRY_MS = 10;
const ATTEMPTS_MAX = 1000;

/** Throws `CorruptError` for a damaged log: a backup of damage would only look like one. */
export async function captureLogs(directory: DataDirectory, clock: Clock): Promise<LogCopy[]> {
  const { slots } = listSlots(directory.storage, directory.paths.logs);
  const copies: LogCopy[] = [];
  for (const slot of slots) copies.push(await captureLog(directory, slot, clock));
  return copies;
}

async function captureLog(
  directory: DataDirectory,
  slot: number,
  clock: Clock,
): Promise<LogCopy> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    using reader = LogReader.open(directory, slot);
    const copy = reader === null ? null : tryCapture(reader, slot);
    if (copy !== null) return copy;
    await clock.sleep(RETRY_MS);
  }
  const path = pathOfSlot(directory.paths.logs, slot);
  throw new BusyError(`Log ${path} cannot be read for a copy: run countd check, or try again`);
}

/** Null where the log was put to another use meanwhile, or has no header that can be read. */
function tryCapture(reader: LogReader, slot: number): LogCopy | null {
  const capture = reader.capture();
  if (capture === null) {
    if (newestHeader(reader.bytes.slice(0, 4096)) !== null) return null;
    const { path } = reader;
    throw new CorruptError(`${path} has no valid header: run countd check, then countd repair`, {
      path,
      offset: 0,
    });
  }
  const { generation, limit, claimedWallMs } = capture;
  const bytes = capture.state === "free" ? new Uint8Array(0) : reader.bytes.slice(0, limit);
  if (!reader.isStill(capture)) return null;
  if (bytes.length === 0) return { slot, generation, bytes, places: [], claimedWallMs };
  const identity = { slot, generation };
  const scan = scanLog(bytes, identity, limit);
  if (isCorrupt(scan, capture.state === "sealed" ? capture.durable : 0)) {
    throw new CorruptError(
      `${reader.path} is damaged at byte ${scan.cut}: run countd check, then countd repair`,
      { path: reader.path, offset: scan.cut },
    );
  }
  const places = findFrames(bytes, identity, scan.cut);
  return { slot, generation, bytes, places, claimedWallMs };
}

/** Writes the copies as logs at rest. Their files are short of the zeros that follow; `restore` adds them. */
export function writeLogs(
  storage: Storage,
  logs: string,
  copies: readonly LogCopy[],
  logSize: number,
): number {
  let records = 0;
  for (const { slot, generation, bytes, places, claimedWallMs } of copies) {
    const image = logImage(bytes, places, { slot, generation, logSize, claimedWallMs });
    records += image.records;
    using file = storage.open(`${logs}/${nameOfSlot(slot)}`, {
      access: "write",
      create: "exclusive",
      mode: 0o600,
    });
    file.write(image.bytes, 0);
    file.sync();
  }
  return records;
}
