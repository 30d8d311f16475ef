/** `countd write`: increments from sockets into commit logs. */

export {
  LogWriter,
  type LogWriterOptions,
  type Surroundings,
  type SyncMode,
} from "./log_writer.ts";
export { WriteServer, type WriteServerOptions } from "./write_server.ts";
