/** What most tests of tables need. */

import { assertEquals } from "@std/assert";
import { systemStorage } from "../../src/file/mod.ts";
import { checkTables, TableRoot, type TableRootOptions } from "../../src/tables/mod.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";

const utf8 = new TextEncoder();
const text = new TextDecoder("utf-8", { fatal: true });

export function bytes(content: string): Uint8Array {
  return utf8.encode(content);
}

export function asText(content: Uint8Array): string {
  return text.decode(content);
}

/** So long that a test that expects success reaches it only if the machine hangs. */
export const LOCK_TIMEOUT_MS = 30_000;

export function openRoot(path: string, options: Partial<TableRootOptions> = {}): TableRoot {
  return new TableRoot(systemStorage(), path, {
    lockTimeoutMs: LOCK_TIMEOUT_MS,
    sync: "os",
    ...options,
  });
}

/** A root in a directory of its own; when the test is over nothing in it may break a rule. */
export async function withRoot(
  body: (root: TableRoot, path: string) => Promise<void>,
  options: Partial<TableRootOptions> = {},
): Promise<void> {
  await withTemporaryDirectory(async (directory) => {
    const path = `${directory}/tables`;
    await body(openRoot(path, options), path);
    assertEquals(checkTables(systemStorage(), path), []);
  });
}

/** Everything below a directory, sorted; directories with a slash at the end. */
export function listTree(directory: string): string[] {
  const found: string[] = [];
  const walk = (below: string) => {
    for (const entry of Deno.readDirSync(`${directory}/${below}`)) {
      found.push(below + entry.name + (entry.isDirectory ? "/" : ""));
      if (entry.isDirectory) walk(`${below}${entry.name}/`);
    }
  };
  walk("");
  return found.sort();
}

/** As `listTree`, without the directory for temporary files (which must be empty). */
export function listValues(directory: string): string[] {
  return listTree(directory).filter((path) => !path.endsWith(".countd-temporary/"));
}
