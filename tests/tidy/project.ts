/** The project as the rules see it: every TypeScript file, and the entry files. */

import { walkSync } from "@std/fs/walk";
import { readSource, type SourceFile } from "./source.ts";

export const projectRoot = decodeURIComponent(new URL("../..", import.meta.url).pathname);

export function readText(path: string): string {
  return Deno.readTextFileSync(projectRoot + path);
}

/** Every file of the project by its path from the root, without the output of tools. */
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

/** The part of a `deno.json` that says where work starts. Paths are from its folder. */
interface Configuration {
  readonly tasks: Readonly<Record<string, { readonly command: string }>>;
  readonly exports: Readonly<Record<string, string>>;
  readonly links: readonly string[];
}

/** The doors of the package: what a program imports as `@countd/countd/…`, by the name of the export. */
export function readDoors(): ReadonlyMap<string, string> {
  return new Map(
    Object.entries(readConfiguration().exports).map(([name, path]) => [name, plain(path)]),
  );
}

/** Where work starts: the program, the tests, the tasks, the doors, and what linked packages offer. */
export function entriesOf(paths: Iterable<string>): string[] {
  const entries = [...paths].filter((path) => /^main\.ts$|_(?:test|bench|run)\.ts$/.test(path));
  const configuration = readConfiguration();
  entries.push(...readDoors().values());
  for (const { command } of Object.values(configuration.tasks)) {
    entries.push(...command.match(/[\w./]+\.ts\b/g) ?? []);
  }
  for (const link of configuration.links) {
    const linked = plain(link);
    const { exports } = readConfiguration(linked);
    entries.push(...Object.values(exports).map((path) => `${linked}/${plain(path)}`));
  }
  return entries;
}

function readConfiguration(folder = "."): Configuration {
  return JSON.parse(readText(`${folder}/deno.json`)) as Configuration;
}

/** A path of `deno.json` without its `./`. */
function plain(path: string): string {
  return path.replace(/^\.\//, "");
}
