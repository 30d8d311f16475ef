import { statSync } from "node:fs";

/** As `@std/fs`: whether there is something at the path, links followed. Left out: the options. */
export function existsSync(path: string | URL): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}
