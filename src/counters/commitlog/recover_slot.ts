/**
 * Recovery of a log whose holder is dead, or may be. The process that gets the slot's byte does it; a
 * second recovery changes nothing. A recovered log is sealed after its last good frame, or freed if it is
 * empty, and never appended to.
 */

import { CorruptError } from "../../base/errors.ts";
import { keepTornTail } from "../../file/checked_log/mod.ts";
import { isDiskFull } from "../../file/mod.ts";
import type { DataDirectory } from "./directory.ts";
import { HeldLog } from "./held_log.ts";
import { changeOf, type LogHeader } from "./header.ts";
import { HEAD_PAGE_BYTES } from "./layout.ts";
import { type Scan, scanLog } from "./scan_log.ts";
import { nameOfSlot } from "./slot_files.ts";

export interface Recovery {
  readonly slot: number;
  readonly generation: bigint;
  /** The state of the log now: free, or sealed and waiting for a fold. */
  readonly state: "free" | "sealed";
  /** True if the log was active, so its writer died. */
  readonly wasActive: boolean;
  readonly keptRecords: number;
  readonly keptBytes: number;
  /**
   * Bytes of the torn tail: published or framed, and behind the last good frame. They are kept in
   * `tornPath`.
   */
  readonly tornBytes: number;
  readonly tornPath: string | null;
  /** True if durable data is damaged: the log is then sealed as a whole, and folds quarantine it. */
  readonly isCorrupt: boolean;
}

/**
 * Recovers a log that this process holds: makes it free or sealed, and releases it. Throws `CorruptError`
 * if both header copies are damaged; the log is then left as it was.
 */
export function recoverHeld(log: HeldLog): Recovery {
  try {
    return recover(log);
  } catch (error) {
    // Released after any error, so that another process can try again.
    log.leaveForRecovery();
    throw error;
  }
}

function recover(log: HeldLog): Recovery {
  const { storage } = log.directory;
  const header = log.header();
  if (header === null) {
    const error = new CorruptError(
      `${log.path} has lost its header: it is left alone until countd repair has dealt with it`,
      { path: log.path, offset: 0 },
    );
    log.release(null);
    throw error;
  }
  const identity = { slot: log.slot, generation: header.generation };
  if (header.state !== "active") {
    log.release(header.state);
    return {
      ...identity,
      state: header.state,
      wasActive: false,
      keptRecords: header.records,
      keptBytes: header.length - HEAD_PAGE_BYTES,
      tornBytes: 0,
      tornPath: null,
      isCorrupt: false,
    };
  }
  storage.reach("recover.1.before");
  const scan = scanLog(log.log, identity, { length: log.log.size, durable: header.durable });
  const isCorrupt = scan.damage !== null;
  storage.reach("recover.1.after");
  storage.reach("recover.2.before");
  const aside = isCorrupt ? null : keepCutAside(log, header, scan);
  // The header will call these frames durable, but so far they may be in the page cache only.
  log.file.syncData();
  storage.reach("recover.2.after");
  storage.reach("recover.3.before");
  const length = isCorrupt ? scan.lastFrameEnd : scan.tail;
  const state = length === HEAD_PAGE_BYTES ? "free" : "sealed";
  if (state === "free") log.store({ state, length, durable: HEAD_PAGE_BYTES, records: 0 });
  else {
    const durable = isCorrupt ? scan.durable : length;
    log.store({ state, length: Math.max(length, durable), durable, records: scan.records });
  }
  log.release(state);
  storage.reach("recover.3.after");
  return {
    ...identity,
    state,
    wasActive: true,
    keptRecords: scan.records,
    keptBytes: scan.tail - HEAD_PAGE_BYTES,
    tornBytes: aside?.bytes ?? 0,
    tornPath: aside?.path ?? null,
    isCorrupt,
  };
}

/** Takes and recovers a slot; null if its holder lives. */
export function recoverSlot(directory: DataDirectory, slot: number): Recovery | null {
  const log = HeldLog.take(directory, slot);
  return log === null ? null : recoverHeld(log);
}

/** Copies the torn tail, up to the last published or framed byte, into a file beside the log. */
function keepCutAside(
  log: HeldLog,
  header: LogHeader,
  scan: Scan,
): { readonly bytes: number; readonly path: string | null } | null {
  const { storage, paths, sizes, control: { live } } = log.directory;
  live.load(log.slot);
  const published = live.change === changeOf(header) && live.tail <= sizes.logSize ? live.tail : 0;
  const end = Math.max(scan.lastFrameEnd, published);
  if (end <= scan.tail) return null;
  const path = `${paths.logs}/cut-${nameOfSlot(log.slot)}-${header.generation}`;
  try {
    keepTornTail(storage, path, log.log, { from: scan.tail, to: end });
  } catch (error) {
    // The torn tail was never acknowledged, so a full disk must not delay the fold of the rest.
    if (!isDiskFull(error)) throw error;
    return { bytes: end - scan.tail, path: null };
  }
  return { bytes: end - scan.tail, path };
}
