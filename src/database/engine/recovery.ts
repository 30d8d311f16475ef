/**
 * Reads a pair of files back into memory: the newest snapshot, then the log behind it. A torn tail is
 * truncated, kept aside and reported. Damage is never skipped.
 */

import { dirname } from "node:path/posix";
import { CorruptError } from "../../base/errors.ts";
import type { Events } from "../../base/events.ts";
import type { Storage, StoredFile } from "../../file/mod.ts";
import { syncOrMarkFailed } from "../files/failed_mark.ts";
import { FrameCursor } from "../format/frame.ts";
import { removeOnError } from "../files/remove_on_error.ts";
import {
  decodeLogHeader,
  decodeLogMark,
  decodeMapHeaders,
  type MapHeader,
} from "../format/header.ts";
import { applyEntry, Journal, JournalReplay } from "./journal.ts";
import { HEAD_PAGE_BYTES, type Identity, identityOf, roundUp } from "../format/layout.ts";
import { LogFile } from "../files/log_file.ts";
import { type LogScan, scanLog } from "../files/log_scan.ts";
import { MapFile } from "../files/map_file.ts";
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
    const { map, state } = loadSnapshot(mapFile, newest.header);
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

function newestHeader(file: StoredFile): { header: MapHeader; offset: number } {
  const page = new Uint8Array(HEAD_PAGE_BYTES);
  const [newest] = decodeMapHeaders(page.subarray(0, file.read(page, 0)));
  if (newest !== undefined) return newest;
  throw new CorruptError(`Damage in ${file.path} at byte 0; run countd db repair`, {
    path: file.path,
    offset: 0,
  });
}

interface LoadedState {
  readonly blocks: { firsts: number[]; offsets: number[]; length: number };
  readonly sums: { ends: number[]; checksums: number[] };
  readonly committed: number;
}

/** Reads a snapshot: the map, and the state of the log. Throws `CorruptError`. */
export function loadSnapshot(
  file: { readonly path: string; readonly bytes: Uint8Array },
  header: MapHeader,
): { map: ValueMap; state: LoadedState } {
  const map = new ValueMap();
  const state: LoadedState = {
    blocks: { firsts: [], offsets: [], length: header.entries },
    sums: { ends: [], checksums: [] },
    committed: header.committed,
  };
  const seed = identityOf(header.identity).seed;
  readRegion(file.bytes, header, { path: file.path, seed }, {
    record: (key, value) => map.set(key, value),
    entryBlock(first, offset) {
      state.blocks.firsts.push(first);
      state.blocks.offsets.push(offset);
    },
    logSum(end, checksum) {
      state.sums.ends.push(end);
      state.sums.checksums.push(checksum);
    },
  });
  if (map.size === header.keys) return { map, state };
  throw new CorruptError(
    `Damage in ${file.path} at byte ${header.regionOffset}: the snapshot has ${map.size} keys and ` +
      `should have ${header.keys}; run countd db repair`,
    { path: file.path, offset: header.regionOffset },
  );
}

function recoverLog(
  storage: Storage,
  files: { readonly map: StoredFile; readonly log: StoredFile },
  snapshot: {
    readonly header: MapHeader;
    readonly identity: Identity;
    readonly state: LoadedState;
    readonly map: ValueMap;
    readonly events: Events;
  },
): Journal {
  const { header, identity, state, map } = snapshot;
  const file = files.log;
  const page = new Uint8Array(HEAD_PAGE_BYTES);
  const head = page.subarray(0, file.read(page, 0));
  const logHeader = decodeLogHeader(head);
  const size = file.status().size;
  const known = Math.max(header.logMin, decodeLogMark(head));
  if (logHeader === null || size < known) {
    throw new CorruptError(
      `Damage in ${file.path} at byte ${size}: the log ends there and was durable ` +
        `up to byte ${known}; run countd db repair`,
      { path: file.path, offset: size },
    );
  }
  const mapping = file.map(roundUp(size, storage.pageSize), "read");
  const bytes = mapping.bytes.subarray(0, size);
  const replay = new JournalReplay(bytes, { seed: identity.seed, path: file.path }, state);
  let scan: LogScan;
  try {
    requireWholeSums(bytes, replay, { header, identity, path: file.path });
    const from = replay.sums.end;
    scan = scanLog(bytes, { seed: identity.seed, from, durable: known }, (frame) => {
      if (frame.offset >= header.replayFrom) replay.take(frame, (entry) => applyEntry(map, entry));
    });
    if (scan.damage !== null) throw damagedFrame(file.path, scan.damage);
    if (scan.tornEnd > scan.tail) {
      truncateTail(storage, files, { bytes, scan, events: snapshot.events });
    }
  } finally {
    mapping.release();
  }
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
  const cursor = new FrameCursor(bytes, seed);
  let offset = start;
  while (cursor.at(offset, bytes.length)) offset = cursor.end;
  return offset;
}

function damagedFrame(
  path: string,
  damage: { readonly offset: number; readonly durable: number },
): CorruptError {
  return new CorruptError(
    `Damage in ${path} at byte ${damage.offset}: the frame there does not fit its checksum, and the ` +
      `log was durable up to byte ${damage.durable}; nothing was changed; run countd db repair`,
    { path, offset: damage.offset },
  );
}

/** Truncates what a power cut left half written, after a copy of it is durable. */
function truncateTail(
  storage: Storage,
  files: { readonly map: StoredFile; readonly log: StoredFile },
  found: { readonly bytes: Uint8Array; readonly scan: LogScan; readonly events: Events },
): void {
  const { tail, tornEnd } = found.scan;
  const file = files.log;
  storage.reach("db.cut.keep.before");
  const kept = saveTornTail(storage, file.path, found.bytes.subarray(tail, tornEnd));
  storage.reach("db.cut.keep.after");
  // Synced before anything new is appended: an old frame must never follow a new one.
  file.truncate(tail);
  syncOrMarkFailed(storage, files.map.path, () => file.sync());
  storage.reach("db.cut.end.after");
  found.events.report("warn", "database log truncated", {
    path: file.path,
    keptBytes: tail,
    cutBytes: tornEnd - tail,
    cutKeptIn: kept,
  });
}

function saveTornTail(storage: Storage, path: string, bytes: Uint8Array): string {
  for (let number = 1;; number++) {
    const name = `${path}.torn-${number}`;
    if (storage.statusOrNull(name) !== null) continue;
    using file = storage.open(name, { access: "write", create: "exclusive" });
    // The log is not truncated yet, so every start on a full disk would leave one more copy.
    removeOnError(storage, [name], () => {
      file.write(bytes.slice(), 0);
      file.sync();
      storage.syncDirectory(dirname(path));
    });
    return name;
  }
}
