/**
 * Reads a pair of files back into memory: the newest snapshot, then the log behind it. A torn tail is
 * truncated, kept aside and reported. Damage is never skipped.
 */

import type { CorruptError } from "../../base/errors.ts";
import type { Events } from "../../base/events.ts";
import type { Storage, StoredFile } from "../../file/mod.ts";
import {
  endOfBytes,
  keepTornTail,
  LogBytes,
  type LogScan,
  nextTornPath,
  scanLog,
} from "../../file/checked_log/mod.ts";
import { syncOrMarkFailed } from "../files/failed_mark.ts";
import { EntryCursor } from "../format/frame.ts";
import {
  decodeLogHeader,
  decodeMapHeaders,
  knownLength,
  type MapHeader,
} from "../format/header.ts";
import { applyEntry, Journal, JournalReplay, type JournalState } from "./journal.ts";
import { type Identity, identityOf } from "../format/layout.ts";
import { damaged } from "./errors.ts";
import { LogFile } from "../files/log_file.ts";
import { MapFile } from "../files/map_file.ts";
import { mapToRead, readHeadPage } from "../files/read_file.ts";
import { readRegion } from "../files/snapshot.ts";
import { ValueMap } from "./value_map.ts";

/** A start verifies this much of the log before the snapshot; `countd check` verifies all of it. */
const PROVEN_BYTES_AT_START = 2 ** 30;

export interface Recovered {
  readonly map: ValueMap;
  readonly mapFile: MapFile;
  readonly journal: Journal;
}

/** Recovers both files. Throws `CorruptError`, with nothing changed on disk, if either is damaged. */
export function recover(
  storage: Storage,
  files: { readonly map: StoredFile; readonly log: StoredFile },
  options: { readonly events: Events },
): Recovered {
  const newest = newestHeader(files.map);
  const identity = identityOf(newest.header.identity);
  const mapFile = new MapFile(storage, files.map, { identity, current: newest });
  let journal: Journal | null = null;
  try {
    const { map, state } = loadSnapshot(mapFile, mapFile.memory.bytes, newest.header);
    journal = recoverLog(storage, files, {
      header: newest.header,
      identity,
      state,
      map,
      events: options.events,
    });
    // Only now, because a damaged file must be left untouched.
    mapFile.allocateWhole();
    return { map, mapFile, journal };
  } catch (error) {
    journal?.log.close();
    mapFile.release();
    throw error;
  }
}

/** The newest header of the map, and its offset. Throws `CorruptError`. */
export function newestHeader(file: StoredFile): { header: MapHeader; offset: number } {
  const [newest] = decodeMapHeaders(readHeadPage(file), file.path);
  if (newest !== undefined) return newest;
  throw damaged(file.path, 0, "neither copy of the header is whole");
}

/** Reads a snapshot: the map, and the state of the log. Throws `CorruptError`. */
export function loadSnapshot(
  file: { readonly path: string },
  bytes: Uint8Array,
  header: MapHeader,
): { map: ValueMap; state: JournalState } {
  const map = new ValueMap();
  const blocks = { firsts: [] as number[], offsets: [] as number[], length: header.entries };
  const sums = { ends: [] as number[], checksums: [] as number[] };
  const seed = identityOf(header.identity).seed;
  readRegion(bytes, header, { path: file.path, seed }, {
    record: (key, value) => map.set(key, value),
    entryBlock(first, offset) {
      blocks.firsts.push(first);
      blocks.offsets.push(offset);
    },
    logSum(end, checksum) {
      sums.ends.push(end);
      sums.checksums.push(checksum);
    },
  });
  const state = { blocks, sums, committed: header.committed };
  if (map.size === header.keys) return { map, state };
  const what = `the snapshot has ${map.size} keys and should have ${header.keys}`;
  throw damaged(file.path, header.regionOffset, what);
}

function recoverLog(
  storage: Storage,
  files: { readonly map: StoredFile; readonly log: StoredFile },
  snapshot: Snapshot & { readonly identity: Identity; readonly events: Events },
): Journal {
  const { identity } = snapshot;
  const file = files.log;
  const { size } = file.status();
  let replayed: Replayed;
  {
    using mapping = mapToRead(storage, file, knownLength(snapshot.header, readHeadPage(file)));
    const { bytes } = mapping;
    replayed = replayLog(file, bytes, snapshot);
    const { tail } = replayed.scan;
    const end = endOfBytes(bytes, tail);
    if (end > tail) truncateTail(storage, files, { bytes, tail, end, events: snapshot.events });
  }
  const { replay, scan, known } = replayed;
  if (size > scan.tail) file.truncate(scan.tail);
  const log = LogFile.resume(storage, file, {
    identity,
    tail: scan.tail,
    durable: Math.min(known, scan.tail),
  });
  return new Journal(log, {
    index: replay.index,
    sums: replay.sums,
    committed: replay.committed,
  });
}

interface Snapshot {
  readonly header: MapHeader;
  readonly state: JournalState;
  /** Gets every committed change that followed the snapshot. */
  readonly map: ValueMap;
}

interface Replayed {
  readonly replay: JournalReplay;
  readonly scan: LogScan;
  /** Durable length of the log that its files tell. */
  readonly known: number;
}

/** Replays the log of a database behind its snapshot. `bytes` are those of the file. Throws `CorruptError`. */
export function replayLog(
  file: StoredFile,
  bytes: Uint8Array,
  { header, state, map }: Snapshot,
): Replayed {
  const { path } = file;
  const head = readHeadPage(file);
  const { size } = file.status();
  const known = knownLength(header, head);
  if (decodeLogHeader(head, path) === null || size < known) {
    throw damaged(path, size, `the log ends there and was durable up to byte ${known}`);
  }
  const identity = identityOf(header.identity);
  const replay = new JournalReplay(bytes, { seed: identity.seed, path }, state);
  requireWholeSums(bytes, replay, { header, identity, path });
  const frame = new EntryCursor(bytes, identity.seed);
  const range = { from: replay.sums.end, limit: bytes.length, durable: known };
  const scan = scanLog(frame, range, () => {
    if (frame.offset >= header.replayFrom) replay.take(frame, (entry) => applyEntry(map, entry));
  });
  if (scan.damage !== null) throw damagedFrame(path, scan.damage);
  return { replay, scan, known };
}

function requireWholeSums(
  bytes: Uint8Array,
  replay: JournalReplay,
  log: { readonly header: MapHeader; readonly identity: Identity; readonly path: string },
): void {
  const from = Math.max(0, log.header.replayFrom - PROVEN_BYTES_AT_START);
  const stretch = replay.sums.firstDamage(bytes, from);
  if (stretch < 0) return;
  const offset = firstBadFrame(bytes, stretch, log.identity.seed);
  throw damagedFrame(log.path, { offset, durable: log.header.logMin });
}

/** Offset of the first frame that is not valid, from `start` on. */
export function firstBadFrame(bytes: Uint8Array, start: number, seed: number): number {
  const cursor = new EntryCursor(bytes, seed);
  let offset = start;
  while (cursor.at(offset, bytes.length)) offset = cursor.end;
  return offset;
}

function damagedFrame(
  path: string,
  { offset, durable }: { readonly offset: number; readonly durable: number },
): CorruptError {
  const what = "the frame there does not fit its checksum, and the log was durable up to byte " +
    `${durable}; nothing was changed`;
  return damaged(path, offset, what);
}

/** Truncates what a power cut left half written, after a copy of it is durable. */
function truncateTail(
  storage: Storage,
  files: { readonly map: StoredFile; readonly log: StoredFile },
  found: {
    readonly bytes: Uint8Array;
    readonly tail: number;
    readonly end: number;
    readonly events: Events;
  },
): void {
  const { bytes, tail, end } = found;
  const file = files.log;
  storage.reach("db.cut.keep.before");
  const kept = nextTornPath(storage, `${file.path}.torn-`);
  keepTornTail(storage, kept, new LogBytes(bytes), { from: tail, to: end });
  storage.reach("db.cut.keep.after");
  // Synced before anything new is appended: an old frame must never follow a new one.
  file.truncate(tail);
  syncOrMarkFailed(storage, files.map.path, () => file.sync());
  storage.reach("db.cut.end.after");
  found.events.report("warn", "database log truncated", {
    path: file.path,
    keptBytes: tail,
    cutBytes: end - tail,
    cutKeptIn: kept,
  });
}
