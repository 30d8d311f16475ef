/**
 * Repairs commit logs: what can be saved of a damaged log becomes a sealed log, which the next worker folds as
 * any other.
 *
 * The generation keeps increments from being counted twice or not at all. The new log has a generation that a
 * keyspace has applied only if it is the very log that was applied: then each keyspace takes what it does not
 * have yet.
 *
 * A log below an applied generation is an old copy, whose increments are all counted, or a log that was made
 * again after a removal, whose increments are not. Nothing in it tells which. It is kept and not counted:
 * its increments can still be added by hand if its origin is known, but increments that are counted twice
 * cannot be found any more.
 */

import { LOG_SIZE_MAX } from "../base/pool_defaults.ts";
import { undoOnError } from "../base/undo_on_error.ts";
import { type FormatError, NewerFormatError, OldFormatError } from "../base/format.ts";
import {
  checkLogBytes,
  damagedHeaderOffset,
  type DataDirectory,
  directoryPaths,
  findFrames,
  findGaps,
  findLatestGeneration,
  findLostLogs,
  type FramePlace,
  FREE_MODE,
  HEAD_PAGE_BYTES,
  headerOfFile,
  listSlots,
  lockPathOfSlot,
  type LogHeader,
  pathOfSlot,
  recordsOf,
  resolveLoneLockNames,
  SEALED_MODE,
  unusedBytes,
  writeLogImage,
} from "../counters/commitlog/mod.ts";
import { LogBytes, LogWindow, WindowMemory } from "../file/checked_log/mod.ts";
import { endOfData, OsError, type Storage } from "../file/mod.ts";
import { greatestGenerations } from "./applied_generations.ts";
import { makePlace, openWhateverTheMode } from "./copy_files.ts";
import type { RepairContext } from "./repair_context.ts";

/** More logs than a pool usually has: a larger gap comes from a stray name. */
const GAP_FILLED_MAX = 1024;

/** Uses above the applied generation that are tried for a log whose header is lost. */
const GENERATIONS_TRIED = 64n;

interface Found {
  readonly generation: bigint;
  readonly places: readonly FramePlace[];
  /** Bytes of frames that could not be used; without a header only those before the last good frame. */
  readonly lostBytes: number;
  /** False if no header tells the state and the length of the log. */
  readonly hasHeader: boolean;
  /** Increments that are left out because they may be in the counters already. */
  readonly uncounted: { readonly generation: bigint; readonly records: number } | null;
}

/**
 * Throws `OldFormatError` or `NewerFormatError` if a log is missing, or has lost its header, and a keyspace
 * has another format: this may have applied a use of the log, and the log must be made above that.
 */
export function refuseUnknownGenerations(storage: Storage, data: string): void {
  const { logs, keyspaces } = directoryPaths(data);
  const others: FormatError[] = [];
  const applied = greatestGenerations(storage, keyspaces, (error) => {
    if (error instanceof OsError) throw error;
    others.push(error);
  });
  const [unknown] = others;
  if (unknown === undefined) return;
  const hasLogs = storage.statusOrNull(logs) !== null;
  const { slots, unfinished } = hasLogs ? listSlots(storage, logs) : { slots: [], unfinished: [] };
  const named = [...slots, ...unfinished];
  // Every pool has a slot 0.
  for (const slot of new Set([0, ...named, ...applied.keys(), ...missingSlots(named)])) {
    const path = (unfinished.includes(slot) ? lockPathOfSlot : pathOfSlot)(logs, slot);
    if (hasOwnHeader(storage, path, slot)) continue;
    const Kind = unknown instanceof OldFormatError ? OldFormatError : NewerFormatError;
    throw new Kind(
      `${path} is missing or has lost its header, and only the keyspaces say which uses of it are counted: ` +
        `nothing was repaired. ${unknown.message}`,
    );
  }
}

function hasOwnHeader(storage: Storage, path: string, slot: number): boolean {
  if (storage.statusOrNull(path)?.kind !== "file") return false;
  using file = openWhateverTheMode(storage, path);
  return headerOfFile(file, path)?.slot === slot;
}

/** `appliedGenerations`: the greatest one of each slot in any keyspace. */
export function repairLogs(
  directory: DataDirectory,
  context: RepairContext,
  appliedGenerations: ReadonlyMap<number, bigint>,
): void {
  const { storage } = context;
  const { paths, sizes } = directory;
  makePlace(storage, paths.logs);
  repairNames(directory, context);
  const named = listSlots(storage, paths.logs).slots;
  const memory = new WindowMemory(LOG_SIZE_MAX);
  const slots = new Set([...named, ...appliedGenerations.keys(), ...missingSlots(named)]);
  for (const slot of slots) {
    const path = pathOfSlot(paths.logs, slot);
    const applied = appliedGenerations.get(slot) ?? 0n;
    using opened = openBounded(context, path, { memory, logSize: sizes.logSize });
    const log = opened?.log ?? new LogBytes(new Uint8Array(0));
    const place = { path, slot, applied, header: opened?.header ?? null };
    if (opened?.size === sizes.logSize && isSound(log, place)) continue;
    const found = saveFrames(log, place);
    let records = 0;
    context.replace("logs", path, (target) => {
      using file = storage.open(target, { access: "write", create: "exclusive", mode: 0o600 });
      file.allocate(0, sizes.logSize);
      const image = writeLogImage(file, log, found.places, {
        slot,
        generation: found.generation,
        logSize: sizes.logSize,
        claimedWallMs: place.header?.claimedWallMs ?? 0,
        // A log without its order is taken before the others.
        order: found.hasHeader ? place.header?.order ?? 0n : 0n,
      });
      records = image.records;
      file.chmod(image.state === "free" ? FREE_MODE : SEALED_MODE);
      file.sync();
    }, () => describe(found, records, opened === null));
    const lockPath = lockPathOfSlot(paths.logs, slot);
    if (storage.statusOrNull(lockPath) !== null) storage.unlink(lockPath);
  }
}

/**
 * Gives a log that lost its plain name this name again. If another file has the name, that file stays, because
 * nothing tells whether both hold the same increments: the log is kept and not counted.
 */
function repairNames(directory: DataDirectory, context: RepairContext): void {
  const { logs } = directory.paths;
  const lost = findLostLogs(directory);
  if (lost.some(({ isReplaced }) => !isReplaced)) resolveLoneLockNames(directory);
  for (const { slot, isReplaced } of lost) {
    const lockPath = lockPathOfSlot(logs, slot);
    if (isReplaced) {
      const what =
        "moved away: another file has the plain name of this log, and what is in this one was " +
        "not counted, because it may be in the other as well";
      context.moveToSaved("logs", lockPath, what);
    } else {
      context.note(
        "logs",
        pathOfSlot(logs, slot),
        "its plain name was missing and was made again",
      );
    }
  }
}

function missingSlots(named: readonly number[]): number[] {
  const gaps = findGaps(named).filter(({ first, last }) => last - first < GAP_FILLED_MAX);
  return gaps.flatMap(({ first, last }) =>
    Array.from({ length: last - first + 1 }, (_, index) => first + index)
  );
}

/** A log of the pool, and the greatest generation that a keyspace has applied of it. */
interface LogPlace {
  readonly path: string;
  readonly slot: number;
  readonly applied: bigint;
  /** The newest valid header in the file. */
  readonly header: LogHeader | null;
}

function isSound(log: LogBytes, { path, slot, applied, header }: LogPlace): boolean {
  const [first] = checkLogBytes(path, slot, { log, isHeld: false });
  return first === undefined && header !== null && header.generation >= applied;
}

interface OpenedLog extends Disposable {
  readonly log: LogBytes;
  readonly header: LogHeader | null;
  /** Bytes of the file. */
  readonly size: number;
}

/**
 * Opens what has the name of a log, to read a part of it at a time. Of a file that is longer than a log can be
 * only so much is read. Null if it is not a file.
 */
function openBounded(
  { storage }: RepairContext,
  path: string,
  { memory, logSize }: { readonly memory: WindowMemory; readonly logSize: number },
): OpenedLog | null {
  if (storage.statusOrNull(path)?.kind !== "file") return null;
  const file = openWhateverTheMode(storage, path);
  return undoOnError(() => file.close(), () => {
    const { size } = file.status();
    const read = size <= logSize
      ? size
      : Math.min(LOG_SIZE_MAX, Math.max(logSize, endOfData(file)));
    const log = new LogWindow(memory, { file, path, size: read });
    const header = headerOfFile(file, path);
    return { log, header, size, [Symbol.dispose]: () => file.close() };
  });
}

/** Finds the good frames with whole records, before and behind the damage. */
function saveFrames(log: LogBytes, { path, slot, applied, header: newest }: LogPlace): Found {
  const isOwn = newest !== null && newest.slot === slot;
  const isLost = isOwn && hasLostHeader(log, path);
  const header = isOwn && !isLost ? newest : null;
  if (header?.state === "free") {
    return {
      generation: max(header.generation, applied),
      places: [],
      lostBytes: 0,
      hasHeader: true,
      uncounted: null,
    };
  }
  const hasHeader = header !== null;
  // The applied use may be the latest one, and another keyspace may not have applied it yet.
  const tried = { first: max(applied, 1n), last: applied + GENERATIONS_TRIED };
  // If the older header copy is whole, it tells the use, and no search is needed. A search could miss it: the
  // use may be far above every applied generation, because an empty use is never applied.
  const generation = isLost
    ? newest.generation + 1n
    : header?.generation ?? findLatestGeneration(log, slot, tried);
  const places = generation === null ? [] : findFrames(log, { slot, generation }, log.size);
  const good = places.filter((place) => recordsOf(log, place) !== null);
  const end = places.reduce((_, { offset, length }) => offset + length, 0);
  const lostBytes = unusedBytes(good, Math.max(end, header?.length ?? 0));
  const isBelow = generation !== null && generation < applied && good.length > 0;
  const records = good.reduce((sum, place) => sum + (recordsOf(log, place) ?? 0), 0);
  return {
    // If no use was found: above everything that may have been written here.
    generation: generation === null ? applied + GENERATIONS_TRIED : max(generation, applied),
    places: isBelow ? [] : good,
    lostBytes,
    hasHeader,
    uncounted: isBelow ? { generation, records } : null,
  };
}

function hasLostHeader(log: LogBytes, path: string): boolean {
  const length = Math.min(HEAD_PAGE_BYTES, log.size);
  const start = log.at(0, length);
  const page = log.bytes.slice(start, start + length);
  return damagedHeaderOffset(page, path, () => log) !== null;
}

/** Describes what was saved of a log, and what is unknown. */
function describe(found: Found, records: number, isMissing: boolean): string {
  if (isMissing) return "made again, free: it was missing, and what it held is unknown";
  const damage = `${found.lostBytes} bytes of damage were left out`;
  if (found.uncounted !== null) {
    const { generation, records } = found.uncounted;
    return `made free; ${records} increments of generation ${generation} were not counted, because they ` +
      `may be in the counters already, which have generation ${found.generation}: the log is kept as it ` +
      `was${found.lostBytes === 0 ? "" : `, with ${found.lostBytes} bytes of damage`}`;
  }
  if (found.hasHeader) return `saved ${records} increments; ${damage}`;
  if (found.places.length === 0) {
    return "found no increments: its header is lost, so what it held is unknown";
  }
  return `saved ${records} increments of generation ${found.generation}, which the next fold counts ` +
    `where it is not yet in; ${damage}, and as its header is lost, what followed is unknown`;
}

function max(left: bigint, right: bigint): bigint {
  return left > right ? left : right;
}
