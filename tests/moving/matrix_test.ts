/**
 * A share of the matrix: cells that the seed chooses, and so others at each run. The outcome of each is as in
 * OUTCOMES.md, where those with a fault are counted.
 */

import { assert, assertEquals } from "@std/assert";
import { runningAsRoot } from "../support/ordinary_user.ts";
import { FullCount } from "../support/full_count.ts";
import { Random, seedForTest } from "../support/random.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { allCells, type Cell, missingFor, nameOf, tryCell } from "./cells.ts";
import { makeSample } from "./sample.ts";
import { Table } from "./table.ts";

const CELLS = 12;
const CELLS_OF_FULL_COUNT = 400;
/** Cells at the same time: most of them wait. */
const AT_ONCE = 2;

/** Cells with a fault; may only fall. A keyspace file that is gone is missed by no process. */
const FAULTS_MAX = 16;

Deno.test("The table of outcomes has every cell, and no more faults than before", () => {
  const table = Table.read();
  const without = allCells().filter((cell) => table.wordsOf(cell).length === 0).map(nameOf);
  assertEquals(without, []);
  assert(table.faults <= FAULTS_MAX, `${table.faults} cells with a fault`);
});

const count = new FullCount("matrix");

Deno.test("Files that move under a verb have the outcomes of the table", async () => {
  // Verbs run as an ordinary user where owner or mode are the question.
  if (!runningAsRoot()) return console.log("left to root: copies of logs that their mode closes");
  const random = new Random(seedForTest("matrix"));
  const cells = random.shuffle(allCells());
  const rounds = count.rounds(CELLS, CELLS_OF_FULL_COUNT);
  const table = Table.read();
  const different: string[] = [];
  await withTemporaryDirectory(async (directory) => {
    const sample = await makeSample(directory);
    const next = async () => {
      for (const round of rounds) {
        const cell = cells[round] as Cell;
        const missing = await missingFor(cell);
        if (missing !== null) {
          console.log(missing);
          continue;
        }
        const known = table.wordsOf(cell);
        const { word, said } = await tryCell(cell, sample);
        if (known.includes(word)) continue;
        different.push(`${nameOf(cell)}: ${word}, not ${known.join(" or ")}\n${said}`);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, next));
  });
  assertEquals(different, []);
});
