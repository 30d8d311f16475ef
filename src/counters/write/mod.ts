/** `countd write`: increments from sockets into commit logs. */

export { LogWriter } from "./log_writer.ts";
export type { Environment, LogWriterOptions, SyncMode } from "./log_writer_options.ts";
export { WriteServer, type WriteServerOptions } from "./write_server.ts";
export { type Increment, RecordBatch } from "./record_batch.ts";
