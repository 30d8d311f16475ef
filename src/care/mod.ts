/** The door of looking after a data directory and an installation. */

export { type DaemonReport, DaemonReporter, readReports, runDirectory } from "./daemon_report.ts";
export { examine, type Finding } from "./doctor.ts";
export { type MetricsServer, serveMetrics } from "./metrics_server.ts";
export {
  type Backlog,
  type KeyspaceCounts,
  type LiveFigures,
  type LogCounts,
  type Status,
  statusOf,
} from "./status.ts";
