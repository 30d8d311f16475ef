/**
 * The compiled executable for tests. It is made once for each state of the sources and kept in `.cache/`.
 * A test gets a copy, alone in a directory, so that it cannot use any file of the project.
 */

import { ensureDirSync } from "@std/fs/ensure-dir";
import { existsSync } from "@std/fs/exists";
import { walkSync } from "@std/fs/walk";
import { createHash } from "node:crypto";
import { compile } from "./compile.ts";

const projectRoot = decodeURIComponent(new URL("../..", import.meta.url).pathname);

/** A copy of the executable as `directory/countd`. `directory` must be empty. */
export async function placeBinary(directory: string): Promise<string> {
  const cache = `${projectRoot}.cache/binary`;
  const made = `${cache}/countd-${hashOfSources()}`;
  if (!existsSync(made)) {
    if (existsSync(cache)) Deno.removeSync(cache, { recursive: true });
    ensureDirSync(cache);
    const temporary = `${made}.${crypto.randomUUID()}`;
    await compile({ output: temporary });
    Deno.renameSync(temporary, made);
  }
  const path = `${directory}/countd`;
  Deno.copyFileSync(made, path);
  Deno.chmodSync(path, 0o755);
  return path;
}

/** Over everything that ends up in the executable, and over how it is made. */
function hashOfSources(): string {
  const files = [
    "deno.json",
    "deno.lock",
    "main.ts",
    "tests/support/compile.ts",
    "tests/support/runtime_base.ts",
  ];
  for (const top of ["src", "ffi"]) {
    for (
      const { path } of walkSync(projectRoot + top, { exts: ["ts", "json"], includeDirs: false })
    ) {
      files.push(path.slice(projectRoot.length));
    }
  }
  const hash = createHash("sha256").update(Deno.version.deno);
  for (const file of files.sort()) {
    hash.update(`\0${file}\0`).update(Deno.readFileSync(projectRoot + file));
  }
  return hash.digest("hex").slice(0, 16);
}
