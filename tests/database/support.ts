/** A database in a directory of its own; each test ends with `check` on it. */

import { assertEquals } from "@std/assert";
import {
  check,
  type DatabasePaths,
  type DB,
  init,
  type InitOptions,
} from "../../src/database/mod.ts";
import { type Storage, systemStorage } from "../../src/file/mod.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";

export interface TestFiles {
  readonly directory: string;
  readonly paths: DatabasePaths;
  readonly storage: Storage;
  open(options?: InitOptions): DB;
  /** Writes a file before the first open. */
  put(which: "map" | "log", content: string | Uint8Array): void;
  read(which: "map" | "log"): Uint8Array;
  /** Names in the directory, sorted. */
  names(): string[];
}

export interface TestOptions {
  /** False if the test leaves files that are not a valid database. */
  readonly checks?: boolean;
}

export async function withDatabase(
  body: (files: TestFiles) => void | Promise<void>,
  options: TestOptions = {},
): Promise<void> {
  await withTemporaryDirectory(async (directory) => {
    const storage = systemStorage();
    const paths = { map: `${directory}/db.json`, log: `${directory}/log.json` };
    await body({
      directory,
      paths,
      storage,
      open: (opened = {}) => init(paths.map, paths.log, { storage, ...opened }),
      put(which, content) {
        const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
        Deno.writeFileSync(paths[which], bytes);
      },
      read: (which) => Deno.readFileSync(paths[which]),
      names: () => [...Deno.readDirSync(directory)].map((entry) => entry.name).sort(),
    });
    if (options.checks ?? true) assertEquals(check(storage, paths), []);
  });
}

/** Runs `body` on an open database, and closes it in any case. */
export async function using<Result>(
  db: DB,
  body: (db: DB) => Result | Promise<Result>,
): Promise<Result> {
  try {
    return await body(db);
  } finally {
    await db.close();
  }
}
