/** The stand-in for `@std/fs`: what the tests and the build use of it, on `node:fs`. */
export { ensureDirSync } from "./ensure_dir.ts";
export { existsSync } from "./exists.ts";
export { type WalkEntry, type WalkOptions, walkSync } from "./walk.ts";
