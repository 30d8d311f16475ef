/**
 * Power cuts on a recorded disk, for as long as wanted:
 *
 *     deno task powercut --seconds 300 --seed 1 [--workload NAME] [--mode NAME] [--images N] [--keep DIRECTORY]
 *
 * Rounds take the workloads and the file systems in turn. Prints a line for each round, each failure, and
 * the sums; exits with 1 if an image failed, or none was made. With --keep, images that failed stay as the
 * power cut left them.
 */

import { parseArgs } from "@std/cli/parse-args";
import { withTemporaryDirectory } from "../support/temporary.ts";
import {
  buildRecorder,
  FILE_SYSTEMS,
  type FileSystemMode,
  MEMORY,
  whatIsMissing,
} from "./recorded_disk.ts";
import {
  type Order,
  orderOf,
  type RoundReport,
  runRound,
  type WorkloadName,
  WORKLOADS,
} from "./round.ts";

const IMAGES_A_ROUND = 40;
const RECORDING_MS = 4000;
/** So much of the time has to be left for another round. */
const ROUND_MIN_MS = 10_000;

interface Totals {
  rounds: number;
  images: number;
  failures: number;
  readonly notes: Map<string, number>;
}

function report({ workload, mode, seed }: Order, round: RoundReport): void {
  const { images, failures, events, requests, answers, pending } = round;
  const mean = (pending / Math.max(1, images)).toFixed(1);
  console.log(
    `${workload} on ${mode}, seed ${seed}: ${images} images, ${failures.length} failures; ` +
      `${requests} requests, ${answers} answers, ${events} events, ${mean} writes pending`,
  );
  for (const { cut, pending, problems } of failures) {
    console.log(`  FAILED: cut ${cut.at}, ${cut.survival}, ${pending} pending, seed ${cut.seed}`);
    for (const problem of problems.slice(0, 8)) console.log(`    ${problem}`);
  }
}

function add(totals: Totals, round: RoundReport): void {
  totals.rounds++;
  totals.images += round.images;
  totals.failures += round.failures.length;
  for (const [note, count] of round.notes) {
    totals.notes.set(note, (totals.notes.get(note) ?? 0) + count);
  }
}

/** One of `names`, or undefined if none is given. Ends the program for another name. */
function chosen<Name extends string>(given: string | undefined, names: object): Name | undefined {
  if (given === undefined || Object.hasOwn(names, given)) return given as Name | undefined;
  console.error(`${given} is not one of ${Object.keys(names).join(", ")}`);
  Deno.exit(2);
}

async function run(words: readonly string[]): Promise<Totals> {
  const given = parseArgs([...words], {
    string: ["seconds", "seed", "workload", "mode", "images", "keep"],
  });
  const workload = chosen<WorkloadName>(given.workload, WORKLOADS);
  const mode = chosen<FileSystemMode>(given.mode, FILE_SYSTEMS);
  const first = Number(given.seed ?? crypto.getRandomValues(new Uint16Array(1))[0]);
  const beginMs = performance.now();
  const endMs = beginMs + Number(given.seconds ?? 60) * 1000;
  const totals: Totals = { rounds: 0, images: 0, failures: 0, notes: new Map() };
  if (given.keep !== undefined) Deno.mkdirSync(given.keep, { recursive: true });
  await withTemporaryDirectory(async (temporary) => {
    const recorder = await buildRecorder(temporary);
    for (let seed = first; seed === first || performance.now() < endMs - ROUND_MIN_MS; seed++) {
      const inTurn = orderOf(seed);
      const order = { ...inTurn, workload: workload ?? inTurn.workload, mode: mode ?? inTurn.mode };
      await withTemporaryDirectory(async (directory) => {
        const images = Number(given.images ?? IMAGES_A_ROUND);
        const keep = given.keep === undefined ? {} : { keep: given.keep };
        const place = { directory, recorder, endMs, ...keep };
        try {
          const round = await runRound({ ...order, ...place, images, durationMs: RECORDING_MS });
          report(order, round);
          add(totals, round);
        } catch (error) {
          totals.failures++;
          console.log(`FAILED: ${JSON.stringify(order)}: ${(error as Error).stack}`);
        }
      }, MEMORY);
    }
  }, MEMORY);
  const notes = [...totals.notes].map(([note, count]) => `${note} ${count}`).sort();
  console.log(`may be: ${notes.join(", ")}`);
  const { rounds, images, failures } = totals;
  const seconds = Math.round((performance.now() - beginMs) / 1000);
  console.log(
    `powercut: seed ${first}, ${rounds} rounds, ${images} images, ${failures} failures, ${seconds} s`,
  );
  return totals;
}

if (import.meta.main) {
  const missing = await whatIsMissing();
  if (missing !== null) {
    console.log(missing);
    Deno.exit(1);
  }
  const { images, failures } = await run(Deno.args);
  Deno.exit(failures === 0 && images > 0 ? 0 : 1);
}
