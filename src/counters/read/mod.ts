/** The read port: answers over TCP. */

export { type ReadEnvironment, ReadServer, type ReadServerOptions } from "./read_server.ts";
