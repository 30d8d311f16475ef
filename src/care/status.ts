/**
 * How a data directory stands: logs by state, what waits to be folded, who folds, which daemons live and
 * what they count. Reads only; takes no lock beyond what opening a log of another label needs.
 */
import type { Clock } from "../base/clock.ts";
import { CorruptError } from "../base/errors.ts";
import {
  type DataDirectory,
  directoryLocks,
  type DirectorySizes,
  directoryVersion,
  type FailedMark,
  headPageBytes,
  listSlots,
  LogReader,
  type LogState,
  newestHeader,
  scanLog,
} from "../commitlog/mod.ts";
import { KeyspaceReader, listKeyspaces } from "../keyspace/mod.ts";
import { type DaemonReport, readReports } from "./daemon_report.ts";

export interface Status {
  readonly directory: string;
  readonly format: number;
  readonly sizes: DirectorySizes;
  /** Set where a sync failed: no daemon serves this directory any more. */
  readonly failed: FailedMark | null;
  readonly logs: LogCounts;
  readonly backlog: Backlog;
  /** Who folds, such as `pid 123`; null where nobody does. */
  readonly foldHolder: string | null;
  readonly keyspaces: KeyspaceCounts;
  /** What somebody should look at, one sentence each: what daemons set aside, and damage seen here. */
  readonly troubles: readonly string[];
  readonly space: { readonly freeBytes: number; readonly totalBytes: number };
  readonly daemons: readonly DaemonReport[];
  /** Sums over the daemons that live, each since its start. */
  readonly figures: LiveFigures;
}

/** Commit logs by state; `unreadable` ones have no valid header, or could not be opened just now. */
export type LogCounts = Readonly<Record<LogState | "unfinished" | "unreadable", number>>;

export interface KeyspaceCounts {
  readonly count: number;
  /** Counters in all keyspace files, without what is still in the logs. */
  readonly counters: number;
}

/** What is in the logs and not yet folded. */
export interface Backlog {
  readonly records: number;
  readonly bytes: number;
  /** Age of the oldest log that waits; 0 where none does. */
  readonly seconds: number;
}

export interface LiveFigures {
  readonly accepted: number;
  readonly refused: number;
  readonly refusedByReason: Readonly<Record<string, number>>;
  readonly recoveredByKind: Readonly<Record<string, number>>;
  /** Wall time of the last sync that succeeded; null where no living daemon has synced yet. */
  readonly lastSyncMs: number | null;
  /** True while a daemon waits for free space. */
  readonly diskFull: boolean;
  readonly saturated: number;
}

/** Shortly after a log changed hands its label may refuse a reader: it is tried again this often. */
const openAttempts = 20;
const openRetryMs = 5;

export async function statusOf(directory: DataDirectory, clock: Clock): Promise<Status> {
  const { storage, paths, control, sizes } = directory;
  const daemons = readReports(storage, paths.data);
  const { keyspaces, damage } = surveyKeyspaces(directory);
  return {
    directory: paths.data,
    format: directoryVersion,
    sizes,
    failed: directory.failedMark(),
    ...await surveyLogs(directory, clock),
    foldHolder: control.isHeldElsewhere(directoryLocks.fold)
      ? control.describeHolder(directoryLocks.fold)
      : null,
    keyspaces,
    troubles: [...daemons.flatMap(({ troubles }) => troubles), ...damage],
    space: storage.space(paths.data),
    daemons,
    figures: sumFigures(daemons),
  };
}

async function surveyLogs(
  directory: DataDirectory,
  clock: Clock,
): Promise<{ logs: LogCounts; backlog: Backlog }> {
  const { slots, unfinished } = listSlots(directory.storage, directory.paths.logs);
  const logs = { free: 0, active: 0, sealed: 0, unfinished: unfinished.length, unreadable: 0 };
  let records = 0;
  let bytes = 0;
  let oldestMs = Infinity;
  for (const slot of slots) {
    using reader = await openLog(directory, slot, clock);
    const log = reader === null ? null : surveyLog(reader);
    if (log === null) {
      logs.unreadable++;
      continue;
    }
    logs[log.state]++;
    if (log.bytes === 0) continue;
    records += log.records;
    bytes += log.bytes;
    oldestMs = Math.min(oldestMs, log.claimedWallMs);
  }
  const ageMs = oldestMs === Infinity ? 0 : Math.max(0, clock.wallMs() - oldestMs);
  return { logs, backlog: { records, bytes, seconds: Math.round(ageMs / 1000) } };
}

async function openLog(
  directory: DataDirectory,
  slot: number,
  clock: Clock,
): Promise<LogReader | null> {
  for (let attempt = 0; attempt < openAttempts; attempt++) {
    const reader = LogReader.open(directory, slot);
    if (reader !== null) return reader;
    await clock.sleep(openRetryMs);
  }
  return null;
}

/** Opens every keyspace for its total; a file that cannot be read is told, not thrown. */
function surveyKeyspaces(
  { storage, paths }: DataDirectory,
): { keyspaces: KeyspaceCounts; damage: string[] } {
  const damage: string[] = [];
  const note = (error: CorruptError) => damage.push(error.message);
  let counters = 0;
  const entries = listKeyspaces(storage, paths.keyspaces, note);
  for (const { path } of entries) {
    try {
      using reader = KeyspaceReader.open(storage, path);
      counters += reader.total;
    } catch (error) {
      if (!(error instanceof CorruptError)) throw error;
      note(error);
    }
  }
  return { keyspaces: { count: entries.length, counters }, damage };
}

/** What one log holds that is not folded; null where no header is valid. */
function surveyLog(reader: LogReader) {
  const capture = reader.capture();
  const newest = newestHeader(reader.bytes.subarray(0, headPageBytes));
  if (capture === null || newest === null) return null;
  const { state, claimedWallMs, generation } = capture;
  if (state !== "active") {
    const { length, records } = newest.header;
    return { state, claimedWallMs, records, bytes: length - headPageBytes };
  }
  const scan = scanLog(reader.bytes, { slot: reader.slot, generation }, capture.limit);
  return { state, claimedWallMs, records: scan.records, bytes: scan.cut - headPageBytes };
}

function sumFigures(daemons: readonly DaemonReport[]): LiveFigures {
  const sums = (name: string) => {
    const byLabel: Record<string, number> = {};
    for (const { figures } of daemons) {
      for (const [label, value] of Object.entries(figures[name] ?? {})) {
        byLabel[label] = (byLabel[label] ?? 0) + value;
      }
    }
    return byLabel;
  };
  const increments = sums("countd_increments_total");
  const syncs = daemons.map(({ figures }) =>
    figures["countd_last_sync_timestamp_seconds"]?.[""] ?? 0
  );
  const lastSync = Math.max(0, ...syncs);
  return {
    accepted: increments["accepted"] ?? 0,
    refused: increments["refused"] ?? 0,
    refusedByReason: sums("countd_rejected_total"),
    recoveredByKind: sums("countd_recovered_total"),
    lastSyncMs: lastSync === 0 ? null : lastSync * 1000,
    diskFull: (sums("countd_disk_full")[""] ?? 0) > 0,
    saturated: sums("countd_saturated_total")[""] ?? 0,
  };
}
