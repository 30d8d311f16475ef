/** Checks, repairs, copies and inspects a data directory and an installation. */

export { backup, type BackupOptions, type BackupReport } from "./backup.ts";
export { checkDirectory, type CheckReport } from "./check.ts";
export { type Cleared, clearFailed } from "./clear_failed.ts";
export { type DaemonReport, DaemonReporter, readReports, runDirectory } from "./daemon_report.ts";
export { examine, type Finding } from "./doctor.ts";
export { inspectLog, type LogInspection, type LogOutcome } from "./log_inspect.ts";
export { repairLog } from "./log_repair.ts";
export { followLog, readLog, type TailSink } from "./log_tail.ts";
export { readKernelFile } from "./mounts.ts";
export { repair, type RepairOptions, type RepairReport } from "./repair.ts";
export type { RepairAction } from "./repair_context.ts";
export { restore, type RestoreReport } from "./restore.ts";
export { type KeyspaceCounts, type LiveMetrics, type Status, statusOf } from "./status.ts";
export { PoolMetrics } from "./pool_metrics.ts";
export { type Backlog, type LogCounts, PoolSurvey } from "./pool_survey.ts";
export { type Noun, type Violation } from "./violation.ts";

// What the signatures above name of the room below.
export { describeSelf, type Holder } from "../counters/commitlog/mod.ts";
