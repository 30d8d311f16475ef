/** The project as the rules see it: every TypeScript file, and the files where work starts. */

import { walkSync } from "@std/fs/walk";
import { readSource, type SourceFile } from "./source.ts";

export const projectRoot = decodeURIComponent(new URL("../..", import.meta.url).pathname);

export function readText(path: string): string {
  return Deno.readTextFileSync(projectRoot + path);
}

/** Every file of the project by its path from the root, without what tools leave there. */
export const projectPaths: readonly string[] = [
  ...walkSync(projectRoot, { includeDirs: false }),
].map(({ path }) => path.slice(projectRoot.length))
  .filter((path) => !/^(?:\.git|\.cache|node_modules|countd-data)\/|^countd$/.test(path));

/** Every source file of the project by its path, `main.ts`, `src/`, `ffi/` and `tests/`. */
export function readProject(): ReadonlyMap<string, SourceFile> {
  const paths = ["main.ts"];
  for (const top of ["src", "ffi", "tests"]) {
    for (const { path } of walkSync(projectRoot + top, { exts: ["ts"], includeDirs: false })) {
      paths.push(path.slice(projectRoot.length));
    }
  }
  return new Map(paths.sort().map((path) => [path, readSource(path, readText(path))]));
}

/** Where work starts: the program, the tests, the tasks, and what linked packages offer. */
export function entriesOf(paths: Iterable<string>): string[] {
  const entries = [...paths].filter((path) => /^main\.ts$|_(?:test|bench|run)\.ts$/.test(path));
  const configuration = JSON.parse(readText("deno.json")) as {
    tasks: Record<string, { command: string }>;
    links: string[];
  };
  for (const { command } of Object.values(configuration.tasks)) {
    entries.push(...command.match(/[\w./]+\.ts\b/g) ?? []);
  }
  for (const link of configuration.links) {
    const linked = link.replace(/^\.\//, "");
    const { exports } = JSON.parse(readText(`${linked}/deno.json`)) as {
      exports: Record<string, string>;
    };
    entries.push(...Object.values(exports).map((path) => `${linked}/${path.slice(2)}`));
  }
  return entries;
}
