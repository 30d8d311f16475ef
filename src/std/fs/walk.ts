import { type Dirent, lstatSync, readdirSync } from "node:fs";
import { basename, join, normalize } from "node:path";

/** As `@std/fs`. Left out: following and canonicalizing symlinks. */
export interface WalkOptions {
  /** Default: no limit. 0 gives the root alone. */
  maxDepth?: number;
  includeFiles?: boolean;
  includeDirs?: boolean;
  /** Only paths that end with one of these, with or without the point. */
  exts?: string[];
  /** Only paths that fit one of these. */
  match?: RegExp[];
  /** Nothing that fits one of these, and nothing below it. */
  skip?: RegExp[];
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
  const { maxDepth = Infinity, includeFiles = true, includeDirs = true, exts, match, skip } =
    options;
  if (maxDepth < 0) return;
  const endings = exts?.map((ext) => ext.startsWith(".") ? ext : `.${ext}`);
  const included = (path: string) =>
    (endings === undefined || endings.some((ending) => path.endsWith(ending))) &&
    (match === undefined || match.some((pattern) => pattern.test(path))) &&
    !(skip ?? []).some((pattern) => pattern.test(path));
  const path = normalize(root);
  if (includeDirs && included(path)) yield entryOf(path, lstatSync(path));
  if (maxDepth < 1 || (skip ?? []).some((pattern) => pattern.test(path))) return;
  for (const child of readdirSync(path, { withFileTypes: true })) {
    const childPath = join(path, child.name);
    if (child.isDirectory()) yield* walkSync(childPath, { ...options, maxDepth: maxDepth - 1 });
    else if (includeFiles && included(childPath)) yield entryOf(childPath, child);
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
