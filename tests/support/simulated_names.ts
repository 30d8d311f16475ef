/** Names of a simulated disk: the parts of a path, and changes that a sync of a directory makes durable. */

import { OsError } from "../../src/file/mod.ts";
import type { DirectoryInode, Inode } from "./simulated_inode.ts";

export interface NameChange {
  readonly directory: DirectoryInode;
  readonly name: string;
  readonly inode: Inode | null;
}

export type Change =
  | { readonly kind: "names"; readonly names: readonly NameChange[] }
  | { readonly kind: "mode"; readonly inode: Inode; readonly mode: number };

export function setName(entries: Map<string, Inode>, change: NameChange): void {
  if (change.inode === null) entries.delete(change.name);
  else entries.set(change.name, change.inode);
}

export function applyDurably(change: Change): void {
  if (change.kind === "mode") change.inode.durableMode = change.mode;
  else for (const each of change.names) setName(each.directory.durable, each);
}

const NAME_BYTES_MAX = 255;
const encoder = new TextEncoder();

/** The parts of a path from the root. */
export function pathParts(path: string, syscall: string): string[] {
  const parts: string[] = [];
  if (path === "") throw new OsError(syscall, path, "ENOENT");
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part === "..") parts.pop();
    else if (encoder.encode(part).length > NAME_BYTES_MAX) {
      throw new OsError(syscall, path, "ENAMETOOLONG");
    } else parts.push(part);
  }
  return parts;
}
