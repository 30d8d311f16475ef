import { statSync } from "node:fs";

/** As `@std/fs`. Left out: `isReadable`. */
export interface ExistsOptions {
  isFile?: boolean;
  isDirectory?: boolean;
}

/** As `@std/fs`: whether there is something (of that kind) at the path, links followed. */
export function existsSync(path: string | URL, options: ExistsOptions = {}): boolean {
  if (options.isFile && options.isDirectory) {
    throw new TypeError("ExistsOptions.options.isDirectory and isFile must not be true together");
  }
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return false;
  if (options.isFile) return found.isFile();
  return options.isDirectory ? found.isDirectory() : true;
}
