/**
 * Finds every broken rule of a pool of commit logs. It opens logs as readers do, holds a lock no longer
 * than an open takes, and changes nothing. The numbers are those of README.md.
 */

import { CorruptError } from "../../base/errors.ts";
import type { LogBytes } from "../../file/checked_log/mod.ts";
import { concernsOneFile, type Storage } from "../../file/mod.ts";
import { checkBatch } from "../wire/mod.ts";
import { slotLock } from "./control.ts";
import { FAILED_MARK_OFFSET, orderLayout } from "./control_layout.ts";
import type { DataDirectory } from "./directory.ts";
import { BatchCursor } from "./frame.ts";
import { decodeHeader, type LogHeader } from "./header.ts";
import { HEAD_PAGE_BYTES, HEADER_COPY_BYTES } from "./layout.ts";
import { type Capture, LogReader } from "./log_reader.ts";
import { hasLogSize } from "./open_slot.ts";
import { damagedHeaderOffset } from "./damaged_header.ts";
import { findLostLogs } from "./lost_logs.ts";
import { scanLog } from "./scan_log.ts";
import {
  findGaps,
  listSlots,
  lockPathOfSlot,
  modeOfState,
  nameOfSlot,
  pathOfSlot,
} from "./slot_files.ts";

/** A broken rule: its number in README.md, its place, and a sentence. */
export interface Violation {
  readonly invariant: number;
  readonly path: string;
  readonly offset: number;
  readonly message: string;
}

/**
 * Checks the logs of an open data directory. With `labels`, also modes and lock names, which are right only
 * while no daemon runs.
 */
export function checkCommitLogs(
  directory: DataDirectory,
  options: { readonly labels?: boolean } = {},
): Violation[] {
  const { storage, control, paths } = directory;
  const violations: Violation[] = [];
  const mark = directory.failedMark();
  if (mark !== null) {
    violations.push({
      invariant: 11,
      path: paths.control,
      offset: FAILED_MARK_OFFSET,
      message: `A sync failed (${mark.reason}): run countd check --clear-failed`,
    });
  }
  if (storage.statusOrNull(paths.logs) === null) return violations;
  const { slots, unfinished } = listSlots(storage, paths.logs);
  const lost = findLostLogs(directory);
  for (const { slot, isReplaced } of lost) violations.push(lostName(paths.logs, slot, isReplaced));
  const lostSlots = lost.map(({ slot }) => slot);
  for (const { first, last } of findGaps([...slots, ...lostSlots])) {
    const logs = first === last ? "The log is" : `The logs up to ${nameOfSlot(last)} are`;
    violations.push({
      invariant: 14,
      path: pathOfSlot(paths.logs, first),
      offset: 0,
      message:
        `${logs} missing, and later ones are there: what was in it is unknown; run countd repair`,
    });
  }
  for (const slot of unfinished) {
    if (lostSlots.includes(slot)) continue;
    if (!options.labels || control.isHeldElsewhere(slotLock(slot))) continue;
    violations.push({
      invariant: 10,
      path: lockPathOfSlot(paths.logs, slot),
      offset: 0,
      message: "The process that was making this log died; the next writer makes it again",
    });
  }
  let greatestOrder = 0n;
  for (const slot of slots) {
    const checked = checkReadable(directory, slot, options.labels ?? false);
    violations.push(...checked.violations);
    if (checked.order > greatestOrder) greatestOrder = checked.order;
  }
  // Read after the logs: a claim raises the counter before it stores a header.
  const order = control.order();
  if (order === null || order < greatestOrder) {
    violations.push({
      invariant: 15,
      path: paths.control,
      offset: orderLayout.order.offset,
      message: `The order counter ${
        order === null ? "is damaged" : `says ${order}, and a log has order ${greatestOrder}`
      }: run countd repair`,
    });
  }
  return violations;
}

function lostName(logs: string, slot: number, isReplaced: boolean): Violation {
  return {
    invariant: 13,
    path: lockPathOfSlot(logs, slot),
    offset: 0,
    message: isReplaced
      ? "A log that was in use has only its lock name, and its plain name leads to another file: " +
        "run countd repair"
      : "A log that was in use has lost its plain name: the next writer, worker or repair restores it",
  };
}

/** As `checkSlot`, also for a log that is truncated during the check, or that cannot be opened or read. */
function checkReadable(
  ...[directory, slot, labels]: Parameters<typeof checkSlot>
): ReturnType<typeof checkSlot> {
  try {
    return checkSlot(directory, slot, labels);
  } catch (error) {
    if (!(error instanceof CorruptError || concernsOneFile(error, "log"))) throw error;
    const { path, offset } = error instanceof CorruptError ? error.where : { ...error, offset: 0 };
    return { violations: [{ invariant: 2, path, offset, message: error.message }], order: 0n };
  }
}

function checkSlot(
  directory: DataDirectory,
  slot: number,
  labels: boolean,
): { readonly violations: Violation[]; readonly order: bigint } {
  const { storage, control, paths, sizes } = directory;
  const path = pathOfSlot(paths.logs, slot);
  const status = storage.status(path);
  if (status.kind !== "file" || !hasLogSize(directory, status.size)) {
    const what = status.kind === "file" ? `${status.size} bytes` : "not a file";
    const message = `Not a log of ${sizes.logSize} bytes: ${what}`;
    return { violations: [{ invariant: 2, path, offset: 0, message }], order: 0n };
  }
  using reader = LogReader.open(directory, slot);
  // A living process holds the log, and its label keeps this one out for now: nothing to report.
  if (reader === null) return { violations: [], order: 0n };
  // Captured before the byte is tested: a log that is claimed after that has another generation.
  const capture = reader.capture();
  const violations = checkLogBytes(path, slot, {
    log: reader.log,
    isHeld: control.isHeldElsewhere(slotLock(slot)),
  });
  // The log was recycled and claimed during the check, so what was found mixes two uses. The fold that
  // ended the first use has verified it.
  const order = capture === null ? 0n : orderOfFrames(reader.log, slot, capture);
  if (capture !== null && !reader.isStill(capture)) return { violations: [], order };
  if (labels && !control.isHeldElsewhere(slotLock(slot))) {
    violations.push(...checkLabels(storage, path, reader));
  }
  return { violations, order };
}

/**
 * The order of a log that holds frames, else 0: before the first frame a power cut may have lost the counter,
 * and the same order is given again.
 */
function orderOfFrames(log: LogBytes, slot: number, { generation, order }: Capture): bigint {
  const frame = new BatchCursor(log, { slot, generation });
  return frame.at(HEAD_PAGE_BYTES, log.size) ? order : 0n;
}

/**
 * Checks the bytes of one log. If `isHeld`, a living process may be appending, and an unfinished end is not
 * a fault. The check ends even if the bytes change under it; its result then counts only if the log still
 * has the same generation.
 */
export function checkLogBytes(
  path: string,
  slot: number,
  { log, isHeld }: { readonly log: LogBytes; readonly isHeld: boolean },
): Violation[] {
  const violations: Violation[] = [];
  const add = (invariant: number, offset: number, message: string) =>
    violations.push({ invariant, path, offset, message });
  // Both copies are taken at once, because the holder may store the next header at any time.
  const start = log.at(0, HEAD_PAGE_BYTES);
  const head = log.bytes.slice(start, start + HEAD_PAGE_BYTES);
  const copies = [0, HEADER_COPY_BYTES].map((offset) => ({
    offset,
    header: decodeHeader(head.subarray(offset, offset + HEADER_COPY_BYTES), path),
  }));
  const valid = copies.filter((copy): copy is { offset: number; header: LogHeader } =>
    copy.header !== null
  ).sort((left, right) => left.header.sequence < right.header.sequence ? 1 : -1);
  const [newest, older] = valid;
  if (newest === undefined) {
    add(3, 0, "Neither header copy is valid");
    return violations;
  }
  for (const { offset, header } of valid) {
    if (header.slot !== slot) add(3, offset, `The header says slot ${header.slot}`);
  }
  if (older !== undefined && older.header.generation > newest.header.generation) {
    add(4, newest.offset, "The generation fell");
  }
  const damagedOffset = damagedHeaderOffset(head, path, () => log);
  if (damagedOffset !== null) {
    add(
      3,
      damagedOffset,
      "The newest header is damaged, and the log holds frames: run countd repair",
    );
  }
  const { header } = newest;
  if (header.state === "free" || violations.length > 0) return violations;
  const length = header.state === "sealed" ? header.length : log.size;
  const identity = { slot, generation: header.generation };
  const scan = scanLog(log, identity, { length });
  const durable = header.state === "sealed" ? header.durable : 0;
  if (header.state === "sealed" && scan.tail < durable) {
    add(5, scan.tail, `Damage below the durable length ${durable}: run countd repair`);
  } else if (!isHeld && scan.tail < scan.durable) {
    add(6, scan.tail, `Damage below the durable length ${scan.durable}: run countd repair`);
  }
  violations.push(...checkFrames(path, new BatchCursor(log, identity), scan.tail));
  return violations;
}

/**
 * Checks frame by frame. Each length comes from a frame that verifies now, because the log may have been
 * used again since the scan.
 */
function checkFrames(path: string, frame: BatchCursor, limit: number): Violation[] {
  const violations: Violation[] = [];
  for (let offset = HEAD_PAGE_BYTES; frame.at(offset, limit); offset = frame.end) {
    try {
      const records = checkBatch(frame.bytes, frame.batchStart, frame.start + frame.length);
      if (records !== frame.number) {
        const message = `The frame says ${frame.number} records and holds ${records}`;
        violations.push({ invariant: 8, path, offset, message });
      }
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      violations.push({ invariant: 7, path, offset, message });
    }
  }
  return violations;
}

function checkLabels(storage: Storage, path: string, reader: LogReader): Violation[] {
  const newest = reader.header();
  if (newest === null || newest.slot !== reader.slot) return [];
  const { mode, links } = storage.status(path);
  // An active log of a dead writer keeps the labels of a held log until it is recovered.
  if (newest.state === "active") return [];
  const wanted = modeOfState(newest.state);
  if (mode === wanted && links === 1) return [];
  return [{
    invariant: 9,
    path,
    offset: 0,
    message: `A ${newest.state} log has mode 0${mode.toString(8)} and ${links} names, not 0${
      wanted.toString(8)
    } and 1; the next worker puts it right`,
  }];
}
