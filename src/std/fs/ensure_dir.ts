import { mkdirSync } from "node:fs";

/** As `@std/fs`: makes the directory and its parents where they are missing. */
export function ensureDirSync(dir: string | URL): void {
  mkdirSync(dir, { recursive: true });
}
