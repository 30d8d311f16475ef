/**
 * What to do with a log whose holder is dead, or that nobody has looked at since the start. Whoever gets
 * the byte does it; doing it twice changes nothing the second time. A recovered log is sealed at its
 * cut, or freed when it is empty, and never appended to.
 */

import { CorruptError } from "../../base/errors.ts";
import { isDiskFull } from "../../file/mod.ts";
import type { DataDirectory } from "./directory.ts";
import { HeldLog } from "./held_log.ts";
import { HEAD_PAGE_BYTES, liveLayout } from "./layout.ts";
import { hasDurableDamage, type Scan, scanLog } from "./scan_log.ts";
import { nameOfSlot } from "./slot_files.ts";

export interface Recovery {
  readonly slot: number;
  readonly generation: bigint;
  /** What the log is now: free, or sealed and waiting for a fold. */
  readonly state: "free" | "sealed";
  /** True where the log was found active: its writer died. */
  readonly wasActive: boolean;
  readonly keptRecords: number;
  readonly keptBytes: number;
  /** Bytes behind the cut that had been published or hold frames; they lie in `tornPath`. */
  readonly tornBytes: number;
  readonly tornPath: string | null;
  /** True where durable data is damaged: the log is sealed as a whole and set aside by folds. */
  readonly isCorrupt: boolean;
}

/**
 * Brings a slot that this process holds to rest (free or sealed) and lets it go. Throws `CorruptError`
 * where both header copies are damaged; the log is then left as it was.
 */
export function recoverHeld(log: HeldLog): Recovery {
  try {
    return recover(log);
  } catch (error) {
    // Whatever stopped it, the slot is not kept from whoever tries again.
    log.leaveForRecovery();
    throw error;
  }
}

function recover(log: HeldLog): Recovery {
  const { storage } = log.directory;
  const header = log.header();
  if (header === null) {
    const error = new CorruptError(
      `${log.path} has lost its header: it is left alone until countd repair looks at it`,
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
  const scan = scanLog(log.bytes, identity, log.bytes.length);
  const isCorrupt = hasDurableDamage(scan, header.durable);
  storage.reach("recover.1.after");
  storage.reach("recover.2.before");
  const aside = isCorrupt ? null : keepCutAside(log, header.generation, scan);
  // Frames that only the page cache held until now must not be vouched for by a header that is not.
  log.file.syncData();
  storage.reach("recover.2.after");
  storage.reach("recover.3.before");
  const length = isCorrupt ? scan.lastFrameEnd : scan.goodEnd;
  const state = length === HEAD_PAGE_BYTES ? "free" : "sealed";
  if (state === "free") log.store({ state, length, durable: HEAD_PAGE_BYTES, records: 0 });
  else {
    const durable = isCorrupt ? Math.max(scan.durable, header.durable) : length;
    log.store({ state, length: Math.max(length, durable), durable, records: scan.records });
  }
  log.release(state);
  storage.reach("recover.3.after");
  return {
    ...identity,
    state,
    wasActive: true,
    keptRecords: scan.records,
    keptBytes: scan.goodEnd - HEAD_PAGE_BYTES,
    tornBytes: aside?.bytes ?? 0,
    tornPath: aside?.path ?? null,
    isCorrupt,
  };
}

/** Recovers a slot, or null where its holder lives. */
export function recoverSlot(directory: DataDirectory, slot: number): Recovery | null {
  const log = HeldLog.take(directory, slot);
  return log === null ? null : recoverHeld(log);
}

/** Saves what lies between the cut and the last published or framed byte beside the log. */
function keepCutAside(
  log: HeldLog,
  generation: bigint,
  scan: Scan,
): { readonly bytes: number; readonly path: string | null } | null {
  const { bytes, directory: { storage, paths } } = log;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const published = Number(view.getBigInt64(liveLayout.publishedTail.offset, true));
  const end = Math.max(scan.lastFrameEnd, published <= bytes.length ? published : 0);
  if (end <= scan.goodEnd) return null;
  const path = `${paths.logs}/cut-${nameOfSlot(log.slot)}-${generation}`;
  try {
    using file = storage.open(path, { access: "write", create: "missing", mode: 0o600 });
    file.write(bytes.slice(scan.goodEnd, end), 0);
    file.sync();
    storage.syncDirectory(paths.logs);
  } catch (error) {
    // What is cut was never vouched for; a full disk must not keep the rest of the log from its fold.
    if (!isDiskFull(error)) throw error;
    return { bytes: end - scan.goodEnd, path: null };
  }
  return { bytes: end - scan.goodEnd, path };
}
