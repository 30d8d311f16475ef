/** Reading a data directory: from the command line, and over the read port. */

export { CHANGED_KEYS_MAX, FOLD_WAIT_MS, Reader, type ReaderOptions } from "./reader.ts";
export type { KeyspaceTotal } from "./keyspace_list.ts";
export { type ReadEnvironment, ReadServer, type ReadServerOptions } from "./read_server.ts";
