/** `countd worker`: sealed logs into keyspaces, each exactly once. */

export { Worker } from "./worker.ts";
