/**
 * Repair of commit logs: what can be saved of a damaged one becomes a sealed log at rest, which the next
 * worker folds as any other.
 *
 * The generation is what keeps increments from being counted twice or not at all: the new log never has
 * one that a keyspace has applied already unless it is the very log that was applied.
 */

import {
  checkLogBytes,
  type DataDirectory,
  findFrames,
  type FramePlace,
  freeMode,
  listSlots,
  lockPathOfSlot,
  logImage,
  newestHeader,
  pathOfSlot,
  sealedMode,
} from "../commitlog/mod.ts";
import { checkBatch } from "../wire/mod.ts";
import { CountdError } from "../base/errors.ts";
import { makePlace } from "./copy_files.ts";
import type { RepairContext } from "./repair_context.ts";

/** Uses that a log whose header is lost may have seen since a keyspace last spoke of it. */
const GENERATIONS_TRIED = 64n;

interface Found {
  readonly generation: bigint;
  readonly places: readonly FramePlace[];
  /** Bytes of frames that could not be used. */
  readonly lostBytes: number;
}

/** `marks`: the greatest generation of each slot that is in any keyspace. */
export function repairLogs(
  directory: DataDirectory,
  context: RepairContext,
  marks: ReadonlyMap<number, bigint>,
): void {
  const { storage } = context;
  const { paths, sizes } = directory;
  makePlace(storage, paths.logs);
  const slots = new Set([...listSlots(storage, paths.logs).slots, ...marks.keys()]);
  for (const slot of slots) {
    const path = pathOfSlot(paths.logs, slot);
    const applied = marks.get(slot) ?? 0n;
    const bytes = readWhole(context, path);
    if (bytes !== null && bytes.length === sizes.logSize && isSound(bytes, slot, applied)) continue;
    const content = bytes ?? new Uint8Array(0);
    const found = saveFrames(content, slot, applied);
    const image = logImage(content, found.places, {
      slot,
      generation: found.generation,
      logSize: sizes.logSize,
      claimedWallMs: newestHeader(content.slice(0, 4096))?.header.claimedWallMs ?? 0,
    });
    context.replace("logs", path, (target) => {
      using file = storage.open(target, { access: "write", create: "exclusive", mode: 0o600 });
      file.allocate(0, sizes.logSize);
      file.write(image.bytes, 0);
      file.chmod(image.state === "free" ? freeMode : sealedMode);
      file.sync();
    }, `saved ${image.records} increments; ${found.lostBytes} bytes of damage were left out`);
    const lockPath = lockPathOfSlot(paths.logs, slot);
    if (storage.statusOrNull(lockPath) !== null) storage.unlink(lockPath);
  }
}

function isSound(bytes: Uint8Array, slot: number, applied: bigint): boolean {
  const [first] = checkLogBytes("", slot, { bytes, isHeld: false });
  const header = newestHeader(bytes.slice(0, 4096))?.header;
  return first === undefined && header !== undefined && header.generation >= applied;
}

function readWhole({ storage }: RepairContext, path: string): Uint8Array | null {
  const status = storage.statusOrNull(path);
  if (status?.kind !== "file") return null;
  storage.chmod(path, 0o600);
  try {
    using file = storage.open(path, { access: "read" });
    const bytes = new Uint8Array(status.size);
    file.read(bytes, 0);
    return bytes;
  } finally {
    storage.chmod(path, status.mode);
  }
}

/** Good frames with proper records, from before and behind the damage. */
function saveFrames(bytes: Uint8Array, slot: number, applied: bigint): Found {
  const header = bytes.length < 4096 ? null : newestHeader(bytes.slice(0, 4096))?.header ?? null;
  const isOurs = header !== null && header.slot === slot;
  if (isOurs && header.state === "free") {
    return { generation: max(header.generation, applied), places: [], lostBytes: 0 };
  }
  const tried = isOurs ? [header.generation] : candidates(applied);
  for (const generation of tried) {
    const places = findFrames(bytes, { slot, generation }, bytes.length);
    if (places.length === 0) continue;
    const good = places.filter((place) => hasProperRecords(bytes, place));
    const end = places.at(-1);
    const used = good.reduce((sum, place) => sum + place.length, 0);
    const extent = Math.max((end?.offset ?? 0) + (end?.length ?? 0), isOurs ? header.length : 0);
    return {
      // Made from nothing after it had been lost: what is in it stands above what was counted before.
      generation: generation < applied ? applied + 1n : generation,
      places: good,
      lostBytes: Math.max(0, extent - 4096 - used),
    };
  }
  // Above everything that may have been written here, so that what comes next counts.
  const generation = isOurs ? header.generation : applied + GENERATIONS_TRIED;
  const lostBytes = isOurs ? header.length - 4096 : 0;
  return { generation: max(generation, applied), places: [], lostBytes };
}

/** Without a header: first the uses that no keyspace has seen, the likeliest one first. */
function candidates(applied: bigint): bigint[] {
  const list: bigint[] = [];
  for (let more = 1n; more <= GENERATIONS_TRIED; more++) list.push(applied + more);
  return list;
}

function hasProperRecords(bytes: Uint8Array, { offset, length }: FramePlace): boolean {
  try {
    checkBatch(bytes, offset + 32, offset + length);
    return true;
  } catch (error) {
    if (error instanceof CountdError) return false;
    throw error;
  }
}

function max(left: bigint, right: bigint): bigint {
  return left > right ? left : right;
}
