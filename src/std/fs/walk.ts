import { type Dirent, lstatSync, readdirSync } from "node:fs";
import { basename, join, normalize } from "node:path";

/** As `@std/fs`. Left out: depth, what to skip, and following symlinks. */
export interface WalkOptions {
  includeDirs?: boolean;
  /** Only paths that end with one of these, with or without the point. */
  exts?: string[];
  /** Only paths that fit one of these. */
  match?: RegExp[];
}

export interface WalkEntry {
  path: string;
  name: string;
  isFile: boolean;
  isDirectory: boolean;
  isSymlink: boolean;
}

/** As `@std/fs`: the root and everything below it, parents first, in no particular order. */
export function* walkSync(
  root: string,
  options: WalkOptions = {},
): IterableIterator<WalkEntry> {
  const { includeDirs = true, exts, match } = options;
  const endings = exts?.map((ext) => ext.startsWith(".") ? ext : `.${ext}`);
  const included = (path: string) =>
    (endings === undefined || endings.some((ending) => path.endsWith(ending))) &&
    (match === undefined || match.some((pattern) => pattern.test(path)));
  const path = normalize(root);
  if (includeDirs && included(path)) yield entryOf(path, lstatSync(path));
  for (const child of readdirSync(path, { withFileTypes: true })) {
    const childPath = join(path, child.name);
    if (child.isDirectory()) yield* walkSync(childPath, options);
    else if (included(childPath)) yield entryOf(childPath, child);
  }
}

function entryOf(
  path: string,
  kind: Pick<Dirent, "isFile" | "isDirectory" | "isSymbolicLink">,
): WalkEntry {
  return {
    path,
    name: basename(path),
    isFile: kind.isFile(),
    isDirectory: kind.isDirectory(),
    isSymlink: kind.isSymbolicLink(),
  };
}
