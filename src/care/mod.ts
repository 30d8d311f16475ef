/** The door of looking after a data directory and an installation. */

export { checkDirectory, type CheckReport } from "./check.ts";
export { type Cleared, clearFailed } from "./clear_failed.ts";
export { type DaemonReport, DaemonReporter, readReports, runDirectory } from "./daemon_report.ts";
export { examine, type Finding } from "./doctor.ts";
export { type MetricsServer, type MetricsServerOptions, serveMetrics } from "./metrics_server.ts";
export { type KeyspaceCounts, type LiveFigures, type Status, statusOf } from "./status.ts";
export { PoolFigures } from "./pool_figures.ts";
export { type Backlog, type LogCounts, PoolSurvey } from "./pool_survey.ts";
export { type Noun, type Violation } from "./violation.ts";
