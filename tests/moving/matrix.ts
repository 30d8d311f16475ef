/**
 * The whole matrix: each kind of file, each thing that happens to it, each verb.
 *
 *     deno task matrix [--kind X] [--event Y] [--verb Z] [--update] [--faults] [--jobs N] [--report FILE]
 *
 * Compares each outcome with the table in OUTCOMES.md, prints those that differ, and exits with 1 if one
 * does. `--update` writes the table; with `--add` a cell keeps the outcomes that it has. `--faults` takes only
 * the cells that have a fault in the table. The report has what the verbs with a fault said.
 */

import { parseArgs } from "@std/cli/parse-args";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { allCells, type Cell, missingFor, nameOf, tryCell } from "./cells.ts";
import { isFault } from "./outcome.ts";
import { makeSample } from "./sample.ts";
import { Table } from "./table.ts";

/** Lines of what a verb said that a report shows. */
const SAID_LINES = 12;

const options = parseArgs(Deno.args, {
  string: ["kind", "event", "verb", "jobs", "report"],
  boolean: ["update", "add", "faults", "print"],
  unknown: (option) => {
    console.error(`Unknown argument ${option}`);
    Deno.exit(2);
  },
});

function isWanted(name: string, wanted: string | undefined): boolean {
  return wanted === undefined || wanted.split(",").includes(name);
}

const table = Table.read();
const cells = allCells().filter((cell) =>
  isWanted(cell.kind.name, options.kind) && isWanted(cell.event.name, options.event) &&
  isWanted(cell.verb.name, options.verb) &&
  (!options.faults || table.wordsOf(cell).some(isFault))
);
const reports: string[] = [];
let differences = 0;
let left = 0;

async function tryOne(cell: Cell, sample: Parameters<typeof tryCell>[1]): Promise<void> {
  const missing = await missingFor(cell);
  if (missing !== null) {
    left++;
    return;
  }
  const { word, said } = await tryCell(cell, sample);
  const known = table.wordsOf(cell);
  if (!known.includes(word)) {
    differences++;
    console.log(
      `${nameOf(cell)}: ${word}${known.length > 0 ? ` (was ${known.join(" or ")})` : ""}`,
    );
  } else if (options.print) console.log(`${nameOf(cell)}: ${word}`);
  if (isFault(word)) {
    const lines = said.split("\n").slice(-SAID_LINES).map((line) => `      ${line.slice(0, 400)}`);
    reports.push(`${nameOf(cell)}: ${word}\n${lines.join("\n")}\n`);
  }
  if (options.update) table.set(cell, options.add ? [...known, word] : [word]);
}

await withTemporaryDirectory(async (directory) => {
  // A verb that runs as the ordinary user reads its cell below this directory.
  const sample = await makeSample(directory);
  const queue = [...cells];
  const next = async () => {
    for (let cell = queue.shift(); cell !== undefined; cell = queue.shift()) {
      try {
        await tryOne(cell, sample);
      } catch (error) {
        differences++;
        console.log(`${nameOf(cell)}: the harness failed: ${(error as Error).message}`);
      }
    }
  };
  await Promise.all(Array.from({ length: Number(options.jobs ?? 2) }, next));
});
if (options.update) table.write();
if (options.report !== undefined) Deno.writeTextFileSync(options.report, reports.sort().join("\n"));
console.log(
  `${cells.length} cells, ${differences} not as in the table, ${reports.length} with a fault` +
    (left > 0 ? `, ${left} left out: they need root or strace` : ""),
);
Deno.exit(differences > 0 && !options.update ? 1 : 0);
