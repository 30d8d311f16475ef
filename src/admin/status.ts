/**
 * The state of a data directory: logs by state, what waits to be folded, which process folds, which daemons
 * run and what they count. Only reads; it takes a lock only to open a log whose mode forbids reading.
 */
import type { Clock } from "../base/clock.ts";
import { CorruptError } from "../base/errors.ts";
import { isFormatError } from "../base/format.ts";
import {
  type DataDirectory,
  DIRECTORY_VERSION,
  directoryLocks,
  type DirectorySizes,
  type FailedMark,
} from "../counters/commitlog/mod.ts";
import { keyspaceHead, listKeyspaces } from "../counters/keyspace/mod.ts";
import { concernsOneFile, hasCode } from "../file/mod.ts";
import { type DaemonReport, readReports } from "./daemon_report.ts";
import { type Backlog, type LogCounts, PoolSurvey } from "./pool_survey.ts";

export interface Status {
  readonly directory: string;
  readonly format: number;
  readonly sizes: DirectorySizes;
  /** Set if a sync failed: no daemon serves this directory any more. */
  readonly failed: FailedMark | null;
  readonly logs: LogCounts;
  readonly backlog: Backlog;
  /** The process that folds, such as `pid 123`; null if none does. */
  readonly foldHolder: string | null;
  readonly keyspaces: KeyspaceCounts;
  /** Why some work is not done now, one sentence each; empty if daemons run and each can do its work. */
  readonly notReady: readonly string[];
  /** Warnings, one sentence each: what daemons cannot do, and damage that was found now. */
  readonly troubles: readonly string[];
  readonly space: { readonly freeBytes: number; readonly totalBytes: number };
  readonly daemons: readonly DaemonReport[];
  /** Sums of the metrics of the running daemons, each since its start. */
  readonly figures: LiveMetrics;
}

export interface KeyspaceCounts {
  readonly count: number;
  /** Counters in all keyspace files, without what is still in the logs. */
  readonly counters: number;
}

export interface LiveMetrics {
  readonly accepted: number;
  readonly refused: number;
  readonly refusedByReason: Readonly<Record<string, number>>;
  readonly recoveredByKind: Readonly<Record<string, number>>;
  /** Wall time of the last sync that succeeded; null if no running daemon has synced yet. */
  readonly lastSyncMs: number | null;
  /** True while a daemon waits for free space. */
  readonly diskFull: boolean;
  readonly saturated: number;
}

export async function statusOf(directory: DataDirectory, clock: Clock): Promise<Status> {
  const { storage, paths, control, sizes } = directory;
  const daemons = readReports(storage, paths.data);
  using survey = new PoolSurvey(directory, clock);
  const { keyspaces, damage } = surveyKeyspaces(directory);
  const { logs, backlog, troubles } = await survey.take();
  return {
    directory: paths.data,
    format: DIRECTORY_VERSION,
    sizes,
    failed: directory.failedMark(),
    logs,
    backlog,
    foldHolder: control.isHeldElsewhere(directoryLocks.fold)
      ? control.describeHolder(directoryLocks.fold)
      : null,
    keyspaces,
    notReady: reasonsOf(daemons, directory.failedMark()),
    troubles: [
      ...new Set([...daemons.flatMap((daemon) => daemon.troubles), ...troubles, ...damage]),
    ],
    space: storage.space(paths.data),
    daemons,
    figures: sumMetrics(daemons),
  };
}

/** The sum of the parts: a daemon that is not ready, or says why it is not, makes the whole not ready. */
function reasonsOf(daemons: readonly DaemonReport[], failed: FailedMark | null): string[] {
  const reasons = failed === null ? [] : [`the directory is marked failed: ${failed.reason}`];
  if (daemons.length === 0) reasons.push("no daemon runs");
  for (const { verb, pid, state, troubles } of daemons) {
    if (state !== "ready") reasons.push(`${verb} pid ${pid} is ${state}`);
    reasons.push(...troubles);
  }
  return [...new Set(reasons)];
}

/** Opens every keyspace for its total; damage is returned, not thrown. */
function surveyKeyspaces(
  { storage, paths }: DataDirectory,
): { keyspaces: KeyspaceCounts; damage: string[] } {
  const damage: string[] = [];
  const note = (error: Error) => damage.push(error.message);
  let counters = 0;
  const entries = listKeyspaces(storage, paths.keyspaces, note);
  for (const { path } of entries) {
    try {
      counters += keyspaceHead(storage, path)?.counters ?? 0;
    } catch (error) {
      const isOfOne = error instanceof CorruptError || isFormatError(error) ||
        concernsOneFile(error, "keyspace");
      // A keyspace that is gone since it was listed.
      if (hasCode(error, "ENOENT")) continue;
      if (!isOfOne) throw error;
      note(error);
    }
  }
  return { keyspaces: { count: entries.length, counters }, damage };
}

function sumMetrics(daemons: readonly DaemonReport[]): LiveMetrics {
  const sums = (name: string) => {
    const byLabel: Record<string, number> = {};
    for (const { figures } of daemons) {
      for (const [label, value] of Object.entries(figures[name] ?? {})) {
        if (typeof value === "number") byLabel[label] = (byLabel[label] ?? 0) + value;
      }
    }
    return byLabel;
  };
  const increments = sums("countd_increments_total");
  const syncSeconds = daemons.map(({ figures }) =>
    Number(figures["countd_last_sync_timestamp_seconds"]?.[""] ?? 0)
  );
  const lastSyncMs = Math.max(0, ...syncSeconds) * 1000;
  return {
    accepted: increments["accepted"] ?? 0,
    refused: increments["refused"] ?? 0,
    refusedByReason: sums("countd_rejected_total"),
    recoveredByKind: sums("countd_recovered_total"),
    lastSyncMs: lastSyncMs === 0 ? null : lastSyncMs,
    diskFull: (sums("countd_disk_full")[""] ?? 0) > 0,
    saturated: sums("countd_saturated_total")[""] ?? 0,
  };
}
