/**
 * Many keyspaces of one counter each: folds of new and of existing ones, and pages of their list. All of them
 * through the embedded engine, so reading the logs is a part of it. The goals are for a quiet machine; the
 * seconds of the processor, without the kernel's own threads, depend less on others.
 *
 *     deno run -A tests/bench/keyspaces_bench.ts            (COUNTD_BENCH_QUICK=1: 10,000 keyspaces alone)
 */

import { cpuUsage } from "node:process";
import { systemClock } from "../../src/base/clock.ts";
import { noEvents } from "../../src/base/events.ts";
import { Counters } from "../../src/counters/mod.ts";
import { Reader } from "../../src/counters/view/mod.ts";
import { systemStorage } from "../../src/file/mod.ts";
import { median, reportRow } from "./row.ts";

const isQuick = Deno.env.get("COUNTD_BENCH_QUICK") !== undefined;
const ROUNDS = isQuick ? 3 : 5;
const KEYSPACES = isQuick ? [10_000] : [10_000, 100_000];
/** Most seconds for a fold of so many new keyspaces. */
const GOALS = new Map([[10_000, 2.5], [100_000, 30]]);
/** Logs that are folded together, each with an increment of every keyspace. */
const LOGS = 4;
const PAGE_MS_MAX = 20;

interface Measured {
  readonly seconds: number;
  readonly processorSeconds: number;
}

/** What a child process measures in one directory. */
interface Round {
  readonly created: Measured;
  readonly added: Measured;
  readonly addedFromLogs: Measured;
  readonly pagesMs: readonly number[];
}

async function measure(body: () => Promise<void>): Promise<Measured> {
  const before = cpuUsage();
  const start = performance.now();
  await body();
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = cpuUsage(before);
  return { seconds, processorSeconds: (user + system) / 1e6 };
}

async function round(directory: string, keyspaces: number): Promise<Round> {
  // So the increments of one pass fit one log, and do not leave room for another pass.
  const logSize = 2 ** Math.ceil(Math.log2(keyspaces * 80));
  const names = Array.from({ length: keyspaces }, (_, number) => `keyspace-${number}`);
  const increments = names.map((keyspace) => ({ keyspace, key: "count" }));
  await using counters = await Counters.open(directory, { logSize });
  await counters.batch(increments);
  const created = await measure(() => counters.fold());
  await counters.batch(increments);
  const added = await measure(() => counters.fold());
  for (let log = 0; log < LOGS; log++) await counters.batch(increments);
  const addedFromLogs = await measure(() => counters.fold());
  const value = await counters.get(names.at(-1)!, "count");
  if (value !== BigInt(2 + LOGS)) throw new Error(`A count is ${value}`);
  return { created, added, addedFromLogs, pagesMs: await pages(directory) };
}

/** Milliseconds for each page of the list. The first one reads the directory. */
async function pages(directory: string): Promise<number[]> {
  const options = { stale: false, clock: systemClock, events: noEvents };
  using reader = Reader.open(systemStorage(), directory, options);
  const times: number[] = [];
  for (let after = new Uint8Array(0);;) {
    const start = performance.now();
    const rows = await reader.keyspaces(after);
    times.push(performance.now() - start);
    if (rows.length === 0) return times;
    after = rows.at(-1)!.name.slice();
  }
}

async function roundInChild(keyspaces: number): Promise<Round> {
  const directory = Deno.makeTempDirSync({ prefix: "countd-bench-" });
  try {
    const { code, stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", import.meta.url, `${directory}/data`, String(keyspaces)],
      stderr: "inherit",
    }).output();
    if (code !== 0) throw new Error(`A round ended with ${code}`);
    return JSON.parse(new TextDecoder().decode(stdout));
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

function show({ seconds, processorSeconds }: Measured): string {
  return `${seconds.toFixed(2)} s (${processorSeconds.toFixed(2)} s of the processor)`;
}

async function measureAll(keyspaces: number): Promise<void> {
  const rounds: Round[] = [];
  for (let number = 0; number < ROUNDS; number++) rounds.push(await roundInChild(keyspaces));
  const middle = (pick: (round: Round) => Measured): Measured => ({
    seconds: median(rounds.map((round) => pick(round).seconds)),
    processorSeconds: median(rounds.map((round) => pick(round).processorSeconds)),
  });
  const goal = GOALS.get(keyspaces)!;
  const folds = [
    ["new keyspaces of one counter", (round: Round) => round.created, goal],
    ["existing ones", (round: Round) => round.added, goal / 2],
    [`existing ones, from ${LOGS} logs`, (round: Round) => round.addedFromLogs, goal / 2],
  ] as const;
  for (const [index, [what, pick, secondsMax]] of folds.entries()) {
    const measured = middle(pick);
    reportRow({
      id: `many ${keyspaces}${"abc"[index]}`,
      work: `fold of ${keyspaces} ${what}`,
      against: "–",
      ours: show(measured),
      theirs: "–",
      result: `${(measured.seconds / keyspaces * 1e6).toFixed(0)} µs for each`,
      goal: `≤ ${secondsMax} s`,
      met: measured.seconds <= secondsMax,
    });
  }
  const first = median(rounds.map(({ pagesMs }) => pagesMs[0]!));
  const others = rounds.flatMap(({ pagesMs }) => pagesMs.slice(1, -1));
  const page = median(others);
  reportRow({
    id: `many ${keyspaces}d`,
    work: `a page of the list of ${keyspaces} keyspaces`,
    against: "the first page, which reads the directory",
    ours: `${page.toFixed(1)} ms, the slowest ${Math.max(...others).toFixed(1)} ms`,
    theirs: `${first.toFixed(0)} ms`,
    result: `${page.toFixed(1)} ms`,
    goal: `≤ ${PAGE_MS_MAX} ms`,
    met: page <= PAGE_MS_MAX,
  });
}

if (import.meta.main) {
  const [directory, keyspaces] = Deno.args;
  if (directory !== undefined) {
    console.log(JSON.stringify(await round(directory, Number(keyspaces))));
  } else for (const count of KEYSPACES) await measureAll(count);
}
