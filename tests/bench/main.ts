/**
 * Runs the benchmarks of this directory one after the other, each in a process of its own, so that none
 * pays for the memory of another:
 *
 *     deno task bench             all of them; the table goes to RESULTS.md as well
 *     deno task bench aof read    these two, on the screen alone
 *
 * Builds nothing: a benchmark whose peer program is missing reports that and is skipped.
 */

import { type BenchRow, collectVariable, rowIn } from "./row.ts";

const directory = decodeURIComponent(new URL(".", import.meta.url).pathname);
const suffix = "_bench.ts";

interface Result {
  readonly name: string;
  readonly rows: readonly BenchRow[];
  /** Its output besides rows. */
  readonly lines: readonly string[];
  readonly success: boolean;
}

async function run(name: string): Promise<Result> {
  console.log(`\n${name}`);
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", `${directory}${name}${suffix}`],
    env: { [collectVariable]: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const rows: BenchRow[] = [];
  const lines: string[] = [];
  let rest = "";
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    const parts = (rest + text).split("\n");
    rest = parts.pop() ?? "";
    for (const line of parts) {
      const row = rowIn(line);
      if (row === null) lines.push(line);
      else rows.push(row);
      console.log(row === null ? line : cellsOf(row).join(" | "));
    }
  }
  const { success } = await child.status;
  return { name, rows, lines, success };
}

function cellsOf({ id, work, against, ours, theirs, result, goal, met }: BenchRow): string[] {
  return [id, work, against, ours, theirs, result, goal, met === null ? "" : met ? "yes" : "no"];
}

async function output(program: string, ...args: string[]): Promise<string> {
  try {
    const { stdout } = await new Deno.Command(program, { args, stderr: "null" }).output();
    return new TextDecoder().decode(stdout).trim();
  } catch {
    return "not found";
  }
}

async function machine(): Promise<string> {
  const model = /^model name\s*: (.*)$/m.exec(Deno.readTextFileSync("/proc/cpuinfo"))?.[1];
  const gibibytes = (Deno.systemMemoryInfo().total / 2 ** 30).toFixed(0);
  return [
    `${navigator.hardwareConcurrency} cores of ${model ?? "an unnamed processor"}, ` +
    `${gibibytes} GiB, ${Deno.build.os} ${Deno.osRelease()}`,
    `Deno ${Deno.version.deno}, V8 ${Deno.version.v8}`,
    (await output("redis-server", "--version")).split(" ").slice(0, 3).join(" "),
    `commit ${await output("git", "-C", directory, "rev-parse", "--short", "HEAD")}`,
  ].join("; ");
}

async function report(results: readonly Result[]): Promise<string> {
  const head = ["#", "work", "against", "countd", "other side", "result", "goal", "met"];
  const rows = results.flatMap((result) => result.rows)
    .sort((left, right) => left.id.localeCompare(right.id, "en", { numeric: true }));
  const table = [head, head.map(() => "---"), ...rows.map(cellsOf)]
    .map((cells) => `| ${cells.join(" | ")} |`);
  const others = results.filter(({ lines }) => lines.some((line) => line !== ""))
    .map(({ name, lines }) => `## ${name}\n\n\`\`\`text\n${lines.join("\n").trim()}\n\`\`\`\n`);
  return [
    "# Results",
    "",
    "Made by `deno task bench`. Both sides of each row alternate in one run: the ratios are valid on any " +
    "machine, the absolute numbers only on this one.",
    "",
    `${await machine()}.`,
    "",
    ...table,
    "",
    "The cost of folding a record, and of reading a page, as the keyspace grows:",
    "",
    "![costs against the number of counters](growth.svg)",
    "",
    "Memory of the daemons over time: [MEMORY.md](MEMORY.md). The missed goals, with profiles that show " +
    "why: [LIMITS.md](LIMITS.md).",
    "",
    ...others,
  ].join("\n");
}

const found = [...Deno.readDirSync(directory)]
  .filter(({ name }) => name.endsWith(suffix))
  .map(({ name }) => name.slice(0, -suffix.length))
  .sort();
const unknown = Deno.args.find((name) => !found.includes(name));
if (unknown !== undefined) {
  console.error(`No benchmark is called ${unknown}; there are ${found.join(", ")}`);
  Deno.exit(2);
}
const results: Result[] = [];
for (const name of Deno.args.length > 0 ? Deno.args : found) results.push(await run(name));
if (Deno.args.length === 0) {
  const path = `${directory}RESULTS.md`;
  Deno.writeTextFileSync(path, await report(results));
  await output(Deno.execPath(), "fmt", "--quiet", path);
}
Deno.exit(results.every(({ success }) => success) ? 0 : 1);
