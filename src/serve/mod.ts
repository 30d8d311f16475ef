/** `countd serve`: write, worker and read on one data directory. */

export { Serve, type ServeOptions } from "./serve.ts";
export { WorkerProcess, type WorkerProcessOptions } from "./worker_process.ts";
