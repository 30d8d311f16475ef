/** Every file that makes files is known: for a temporary name in the table of src/README.md, or for a final one here. */

import { assert, assertEquals } from "@std/assert";
import { readProject, readText } from "./project.ts";

/** Source files that make only files which keep their names, and why a kill leaves nothing to sweep. */
const FINAL: Readonly<Record<string, string>> = {
  "src/admin/copy_files.ts": "in an unfinished directory",
  "src/admin/backup_logs.ts": "in an unfinished directory",
  "src/admin/manifest.ts": "in an unfinished directory",
  "src/admin/restore.ts": "in an unfinished directory",
  "src/aof/file/open_file.ts": "the file itself, which begins empty",
  "src/aof/file/repair.ts": "bytes that are kept aside",
  "src/aof/tail/side_file.ts": "the side file, which is completed by the next writer",
  "src/database/files/pair_lock.ts": "the two files, which begin empty",
  "src/file/checked_log/failed_sync.ts": "the failed mark",
  "src/file/checked_log/torn_tail.ts": "bytes that are kept aside",
};

/** The seam to the system passes the order to make a file on. */
const SEAM = /^(?:ffi\/file\.ts|src\/file\/[a-z_]+\.ts)$/;

const MAKES =
  /create: (?:true, exclusive|"exclusive"|"missing")|\? "exclusive"|\b(?:makeDirectory|mkdir)\(/;

interface Row {
  readonly name: string;
  readonly makers: readonly string[];
  readonly sweepers: readonly string[];
}

function pathsIn(cell: string): string[] {
  return [...cell.matchAll(/`([^`]+\.ts)`/g)].map(([, path]) =>
    path!.startsWith("../") ? path!.slice(3) : `src/${path}`
  );
}

function readTable(text: string): Row[] {
  const section = text.split("## Temporary names")[1]?.split("\n## ")[0] ?? "";
  return section.split("\n").filter((line) => /^\| .*`/.test(line)).map((line) => {
    const [, name = "", makers = "", sweepers = ""] = line.split("|");
    return { name: name.trim(), makers: pathsIn(makers), sweepers: pathsIn(sweepers) };
  });
}

function codeOf(text: string): string {
  return text.replace(/\/\*[^]*?\*\/|\/\/.*/g, "");
}

/** What is wrong: a file that makes files and is not known, or one that is named and makes or removes nothing. */
function problemsOf(rows: readonly Row[], sources: ReadonlyMap<string, string>): string[] {
  const makers = [...sources].filter(([path, text]) => !SEAM.test(path) && MAKES.test(codeOf(text)))
    .map(([path]) => path);
  const known = [...rows.flatMap((row) => row.makers), ...Object.keys(FINAL)];
  const makesByContext = ["src/admin/repair_context.ts", "src/admin/repair.ts"];
  const problems = makers.filter((path) => !known.includes(path))
    .map((path) => `${path} makes files and is not in the table of src/README.md`);
  for (const path of known) {
    if (makers.includes(path) || makesByContext.includes(path)) continue;
    problems.push(`${path} is said to make files, and does not`);
  }
  for (const { name, sweepers } of rows) {
    const removes = sweepers.some((path) =>
      /\.unlink\(|removeTree\(|unlinkLockName\(|removeLeftover\(/.test(
        codeOf(sources.get(path) ?? ""),
      )
    );
    if (!removes) problems.push(`${name} is removed by no file of its row`);
  }
  return problems;
}

Deno.test("Every temporary name is in the table of src/README.md, with the file that removes it after a kill", () => {
  const rows = readTable(readText("src/README.md"));
  assert(rows.length >= 10, `${rows.length} rows`);
  const paths = [...readProject().keys()].filter((path) => /^(?:src|ffi)\//.test(path));
  const sources = new Map(paths.map((path) => [path, readText(path)]));
  assertEquals(problemsOf(rows, sources), []);
  // The rule is shown to fire on planted text.
  sources.set(
    "src/tables/planted.ts",
    'storage.open(path, { access: "write", create: "missing" });',
  );
  assertEquals(problemsOf(rows, sources), [
    "src/tables/planted.ts makes files and is not in the table of src/README.md",
  ]);
  assertEquals(
    problemsOf([...rows, { name: "x", makers: [], sweepers: [] }], new Map()).at(-1),
    "x is removed by no file of its row",
  );
});
