/**
 * Finds every broken rule of a database. It only reads; the numbers of the rules are those of README.md.
 * The files must not be in use, because a live map is being written to. They are locked during the check:
 * a start truncates the log, and reading a mapped byte behind its new end would kill the process.
 */

import { CorruptError, NotFoundError } from "../../base/errors.ts";
import type { Storage, StoredFile } from "../../file/mod.ts";
import { scanLog } from "../../file/checked_log/mod.ts";
import { failedMarkPath, isMarkedFailed } from "../files/failed_mark.ts";
import { EntryCursor } from "../format/frame.ts";
import {
  damagedRest,
  decodeLogHeader,
  decodeMapHeaders,
  knownLength,
  type LogHeader,
  type MapHeader,
} from "../format/header.ts";
import { applyEntry, JournalReplay, type JournalState } from "../engine/journal.ts";
import { frameKinds, HEAD_PAGE_BYTES, identityOf } from "../format/layout.ts";
import { isUnfinished } from "../files/pair.ts";
import { lockToRead } from "../files/pair_lock.ts";
import { mapToRead, readHeadPage } from "../files/read_file.ts";
import type { DatabasePaths } from "../files/publish.ts";
import { firstBadFrame, loadSnapshot } from "../engine/recovery.ts";
import { ValueMap } from "../engine/value_map.ts";

/** Number of the rule that a killed process breaks and the next start repairs, without any loss. */
export const UNFINISHED_RULE = 11;

/** A broken rule of a database. */
export interface Violation {
  /** Number of the rule in README.md of the database, from 1. */
  readonly invariant: number;
  /** Path of the file. */
  readonly path: string;
  /** Offset in the file, in bytes; 0 if the rule concerns the whole file. */
  readonly offset: number;
  /** What is wrong, in one sentence. */
  readonly message: string;
}

/**
 * Checks the files of a database, and returns every broken rule; none means that all is well. Changes
 * nothing.
 *
 * @throws {NotFoundError} If both files are missing.
 * @throws {NewerFormatError} If only a newer countd can read the files. They are whole.
 * @throws {OldFormatError} If the files have format 1.
 * @throws {DatabaseInUseError} If another process has the files open.
 * @throws {OsError} If the system refuses.
 */
export function check(storage: Storage, paths: DatabasePaths): Violation[] {
  const missing = [paths.map, paths.log].filter((path) => storage.statusOrNull(path) === null);
  if (missing.length === 2) throw new NotFoundError(`No database at ${paths.map}`);
  const isMissing = (path: string) => missing.includes(path);
  using map = isMissing(paths.map) ? null : lockToRead(storage, paths.map);
  using log = isMissing(paths.log) ? null : lockToRead(storage, paths.log);
  if (isUnfinished(storage, paths, { map, log }) && !isMarkedFailed(storage, paths.map)) {
    const message = "A start or repair was cut short; the next start of countd db completes it";
    return [violation(UNFINISHED_RULE, paths.map, 0, message)];
  }
  if (map !== null && log !== null) return new Checker(storage, paths, { map, log }).run();
  return [violation(3, missing[0] as string, 0, "The file is missing, and the other one exists")];
}

function violation(invariant: number, path: string, offset: number, message: string): Violation {
  return { invariant, path, offset, message };
}

class Checker {
  readonly #storage: Storage;
  readonly #paths: DatabasePaths;
  readonly #files: { readonly map: StoredFile; readonly log: StoredFile };
  readonly #found: Violation[] = [];

  constructor(
    storage: Storage,
    paths: DatabasePaths,
    files: { readonly map: StoredFile; readonly log: StoredFile },
  ) {
    this.#storage = storage;
    this.#paths = paths;
    this.#files = files;
  }

  run(): Violation[] {
    const { map, log } = this.#paths;
    if (isMarkedFailed(this.#storage, map)) {
      this.#add(10, failedMarkPath(map), 0, "A sync failed: run countd db repair --in-place");
    }
    const mapPage = readHeadPage(this.#files.map);
    const headers = decodeMapHeaders(mapPage, map);
    const newest = headers[0]?.header;
    if (newest === undefined) this.#add(1, map, 0, "Neither copy of the header is valid");
    const [first, second] = headers;
    if (first && second && overlap(first.header, second.header)) {
      this.#add(4, map, second.header.regionOffset, "The regions of two snapshots overlap");
    }
    const page = readHeadPage(this.#files.log);
    const logHeader = decodeLogHeader(page, log);
    if (logHeader === null) this.#add(2, log, 0, "Neither copy of the header is valid");
    for (const [invariant, which, bytes] of [[1, "map", mapPage], [2, "log", page]] as const) {
      const offset = damagedRest(bytes, which);
      if (offset < 0) continue;
      this.#add(invariant, this.#paths[which], offset, "A byte that must be zero is not");
    }
    if (newest === undefined || logHeader === null) return this.#found;
    if (newest.identity !== logHeader.identity) {
      this.#add(3, log, 0, "The log belongs to another database");
      return this.#found;
    }
    const known = knownLength(newest, page);
    const size = this.#files.log.status().size;
    if (size < known) {
      this.#add(5, log, size, `The log ends before its durable length, byte ${known}`);
    } else this.#checkContent(newest, logHeader, known);
    return this.#found;
  }

  #add(invariant: number, path: string, offset: number, message: string): void {
    this.#found.push(violation(invariant, path, offset, message));
  }

  #checkContent(header: MapHeader, logHeader: LogHeader, known: number): void {
    const snapshot = this.#snapshot(header);
    using mapping = mapToRead(this.#storage, this.#files.log, known);
    const { bytes } = mapping;
    if (snapshot !== null) this.#checkSums(bytes, snapshot.state, header);
    const seed = identityOf(header.identity).seed;
    const replay = new JournalReplay(bytes, { seed, path: this.#paths.log });
    const replayed = new ValueMap();
    let applied = 0;
    let isAtSnapshot = false;
    const atSnapshot = () => {
      if (isAtSnapshot) return;
      isAtSnapshot = true;
      if (snapshot !== null) this.#checkIndex(bytes, replay, { header, state: snapshot.state });
    };
    try {
      const range = { from: HEAD_PAGE_BYTES, limit: bytes.length, durable: known };
      const scan = scanLog(new EntryCursor(bytes, seed), range, (frame) => {
        if (frame.offset >= header.replayFrom) atSnapshot();
        replay.take(frame, (entry) => {
          // The first entries are in the map with which the database was made.
          if (applied++ >= logHeader.baseEntries) applyEntry(replayed, entry);
          if (snapshot !== null && frame.offset >= header.replayFrom) {
            applyEntry(snapshot.map, entry);
          }
        });
      });
      atSnapshot();
      if (scan.damage !== null) {
        const { offset, durable } = scan.damage;
        const message = `A frame below the durable length, byte ${durable}, is not valid`;
        this.#add(5, this.#paths.log, offset, message);
      } else if (snapshot !== null) this.#checkMap(snapshot.map, replayed, logHeader);
    } catch (error) {
      if (!(error instanceof CorruptError)) throw error;
      this.#add(6, error.where.path, error.where.offset, error.message);
    }
  }

  #snapshot(header: MapHeader): ReturnType<typeof loadSnapshot> | null {
    using mapping = mapToRead(
      this.#storage,
      this.#files.map,
      header.regionOffset + header.regionBytes,
    );
    try {
      return loadSnapshot(this.#files.map, mapping.bytes, header);
    } catch (error) {
      if (!(error instanceof CorruptError)) throw error;
      this.#add(4, error.where.path, error.where.offset, error.message);
      return null;
    }
  }

  #checkSums(bytes: Uint8Array, state: JournalState, header: MapHeader): void {
    const { seed } = identityOf(header.identity);
    const { sums } = new JournalReplay(bytes, { seed, path: this.#paths.log }, state);
    const stretch = sums.firstDamage(bytes, 0);
    if (stretch < 0) return;
    const offset = firstBadFrame(bytes, stretch, seed);
    const message = `The bytes of the stretch from byte ${stretch} have changed`;
    this.#add(7, this.#paths.log, offset, message);
  }

  /** Compares the snapshot with `replay`, which is at the place where the snapshot began. */
  #checkIndex(
    bytes: Uint8Array,
    replay: JournalReplay,
    snapshot: { readonly header: MapHeader; readonly state: JournalState },
  ): void {
    const { header, state } = snapshot;
    const path = this.#paths.map;
    if (replay.index.length !== header.entries || replay.committed !== header.committed) {
      const message =
        `The snapshot counts ${header.entries} entries, ${header.committed} of them ` +
        `committed; the log has ${replay.index.length} and ${replay.committed}`;
      this.#add(8, path, header.regionOffset, message);
    }
    const cursor = new EntryCursor(bytes, identityOf(header.identity).seed);
    state.blocks.firsts.forEach((first, block) => {
      const offset = state.blocks.offsets[block] as number;
      const isThere = cursor.at(offset, bytes.length) && cursor.kind === frameKinds.entry &&
        cursor.index === first;
      if (!isThere) {
        this.#add(8, path, header.regionOffset, `Entry ${first} is not at byte ${offset}`);
      }
    });
  }

  #checkMap(map: ValueMap, replayed: ValueMap, logHeader: LogHeader): void {
    for (const [key, value] of replayed.entries()) {
      if (map.get(key) === value) continue;
      this.#add(9, this.#paths.map, 0, `Key ${JSON.stringify(key)} does not have its last value`);
    }
    if (logHeader.baseKeys === 0 && map.size !== replayed.size) {
      const message = `The map has ${map.size} keys, and the log makes ${replayed.size}`;
      this.#add(9, this.#paths.map, 0, message);
    }
  }
}

function overlap(one: MapHeader, other: MapHeader): boolean {
  if (one.regionBytes === 0 || other.regionBytes === 0) return false;
  return one.regionOffset < other.regionOffset + other.regionBytes &&
    other.regionOffset < one.regionOffset + one.regionBytes;
}
