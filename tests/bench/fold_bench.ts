/**
 * Folds and keyspace files against SQLite, LMDB and Redis, in one run, so that the ratios are valid on any
 * machine: rows 4, 6, 7 and 8 of the table in RESULTS.md.
 *
 *     deno run -A tests/bench/fold_bench.ts            (COUNTD_BENCH_QUICK=1: up to 100,000 counters)
 *
 * Times are medians of at least five rounds; where two things are compared their rounds alternate.
 */

import { returnLargeBlocks, systemStorage } from "../../src/file/mod.ts";
import { KeyspaceReader } from "../../src/counters/keyspace/mod.ts";
import { Random } from "../support/random.ts";
import { CountdSubject, SqliteSubject } from "./fold_subjects.ts";
import {
  type Distribution,
  drawFrom,
  increments,
  KEY_BYTES,
  recordBatches,
  writeKey,
} from "./fold_workload.ts";
import { LmdbClient } from "./lmdb_client.ts";
import { redisBytesPerMember } from "./redis_memory.ts";
import { type BenchRow, median, reportRow } from "./row.ts";

const isQuick = Deno.env.get("COUNTD_BENCH_QUICK") !== undefined;
const ROUNDS = 5;
const BACKLOG_RECORDS = isQuick ? 500_000 : 5_000_000;
/** The other programs take this many increments a round; their cost for each does not depend on it. */
const PEER_INCREMENTS = 50_000;
const MIDDLE = isQuick ? 100_000 : 1_000_000;
const SIZES = isQuick ? [10_000, 100_000] : [100_000, 1_000_000, 10_000_000];
const LARGEST = SIZES.at(-1) as number;

function microseconds(body: () => void): number {
  const start = performance.now();
  body();
  return (performance.now() - start) * 1000;
}

function inDirectory<T>(body: (directory: string) => Promise<T>): Promise<T> {
  const directory = Deno.makeTempDirSync({ prefix: "countd-bench-" });
  return body(directory).finally(() => Deno.removeSync(directory, { recursive: true }));
}

function backlogOf(distribution: Distribution, counters: number, seed: number): Uint8Array[] {
  return recordBatches(BACKLOG_RECORDS, increments(drawFrom(distribution, counters), seed));
}

/** Microseconds for each record of a backlog, folded at once. */
function foldCost(
  subject: CountdSubject,
  distribution: Distribution,
  counters: number,
): number {
  const backlog = backlogOf(distribution, counters, 7);
  const rounds = Array.from({ length: ROUNDS }, () => {
    return microseconds(() => subject.fold(backlog)) / BACKLOG_RECORDS;
  });
  return median(rounds);
}

/** Row 4: how the cost of a record grows with the keyspace. */
async function foldGrowth(): Promise<BenchRow[]> {
  const costs = new Map<string, number>();
  for (const counters of SIZES) {
    await inDirectory((directory) => {
      using subject = new CountdSubject(directory, counters);
      for (const distribution of ["zipf", "uniform"] as const) {
        const cost = foldCost(subject, distribution, counters);
        costs.set(`${distribution} ${counters}`, cost);
        console.log(`  fold, ${distribution}, ${counters} counters: ${rate(cost)}`);
      }
      return Promise.resolve();
    });
  }
  return (["zipf", "uniform"] as const).map((distribution) => {
    const cost = (counters: number) => costs.get(`${distribution} ${counters}`) as number;
    const ratio = cost(LARGEST) / cost(SIZES[0] as number);
    const others = SIZES.slice(0, -1).toReversed();
    return {
      id: distribution === "zipf" ? "4b" : "4c",
      work: `cost of a record, ${distribution}, at ${LARGEST} counters`,
      against: `at ${others.join(" and ")}`,
      ours: rate(cost(LARGEST)),
      theirs: others.map((counters) => rate(cost(counters))).join(" and "),
      result: `${ratio.toFixed(2)}×`,
      goal: distribution === "zipf" ? "≤ 3×" : "reported",
      met: distribution === "zipf" ? ratio <= 3 : null,
    };
  });
}

/** Row 4: one record of ours against one upsert of SQLite and LMDB; rounds alternate. */
function foldAgainstOthers(): Promise<BenchRow[]> {
  return inDirectory(async (directory) => {
    const rows: BenchRow[] = [];
    using ours = new CountdSubject(directory, MIDDLE);
    using sqlite = new SqliteSubject(`${directory}/sqlite`, MIDDLE);
    const lmdb = await LmdbClient.start(`${directory}/lmdb`, {
      counters: MIDDLE,
      count: PEER_INCREMENTS,
    });
    const draw = drawFrom("zipf", MIDDLE);
    const next = increments(draw, 11);
    const backlog = backlogOf("zipf", MIDDLE, 7);
    const times: Record<string, number[]> = { ours: [], SQLite: [], LMDB: [] };
    for (let round = 0; round < ROUNDS; round++) {
      const time = (name: string, count: number, body: () => void) =>
        times[name]?.push(microseconds(body) / count);
      time("ours", BACKLOG_RECORDS, () => ours.fold(backlog));
      time("SQLite", PEER_INCREMENTS, () => sqlite.add(PEER_INCREMENTS, next));
      if (lmdb) times["LMDB"]?.push(await lmdb.round() / PEER_INCREMENTS);
    }
    await lmdb?.close();
    const own = median(times["ours"] ?? []);
    for (const name of ["SQLite", "LMDB"]) {
      const other = times[name] ?? [];
      if (other.length === 0) continue;
      const ratio = median(other) / own;
      const isGoal = name === "SQLite";
      rows.push({
        id: isGoal ? "4" : "4a",
        work: `fold ${BACKLOG_RECORDS} records, Zipf 1.0, into ${MIDDLE} counters`,
        against: isGoal
          ? "SQLite upsert with a rank index, batches of 10,000"
          : `${name}, the same`,
        ours: rate(own),
        theirs: rate(median(other)),
        result: `${ratio.toFixed(1)}×`,
        goal: isGoal ? "≥ 20×" : "reported",
        met: isGoal ? ratio >= 20 : null,
      });
    }
    return rows;
  });
}

/** Rows 6 and 7: a page costs the same at any offset, and how many bytes a counter takes on disk. */
function pagesAndBytes(): Promise<BenchRow[]> {
  return inDirectory(async (directory) => {
    using subject = new CountdSubject(directory, MIDDLE);
    const loaded = subject.bytesOnDisk / MIDDLE;
    using reader = KeyspaceReader.open(systemStorage(), subject.path);
    const into = new Uint8Array(1 << 16);
    const pages = 20_000;
    const read = (offset: number) =>
      microseconds(() => {
        for (let page = 0; page < pages; page++) reader.copyRows(offset, 100, into, 0);
      }) / pages;
    const first: number[] = [];
    const middle: number[] = [];
    for (let round = 0; round < 4 * ROUNDS; round++) {
      first.push(read(0));
      middle.push(read(MIDDLE / 2));
    }
    const ratio = median(middle) / median(first);
    const rows: BenchRow[] = [{
      id: "6",
      work: `page of 100 at offset ${MIDDLE / 2}, from the file`,
      against: "at offset 0",
      ours: `${median(middle).toFixed(2)} µs`,
      theirs: `${median(first).toFixed(2)} µs`,
      result: `${ratio.toFixed(2)}×`,
      goal: "≤ 1.3×",
      met: ratio <= 1.3,
    }];
    const redis = await redisBytesPerMember(directory, MIDDLE);
    subject.fold(backlogOf("zipf", MIDDLE, 7));
    subject.fold(backlogOf("zipf", MIDDLE, 8));
    const folded = subject.bytesOnDisk / MIDDLE;
    subject.writer.trim();
    const trimmed = subject.bytesOnDisk / MIDDLE;
    if (redis !== null) {
      const after = `${folded.toFixed(1)} after two folds of every page, ${
        trimmed.toFixed(1)
      } trimmed`;
      rows.push({
        id: "7",
        work: `bytes on disk for each of ${MIDDLE} counters with 16-byte keys`,
        against: "Redis, MEMORY USAGE",
        ours: `${loaded.toFixed(1)} (${after})`,
        theirs: redis.toFixed(1),
        result: (loaded / redis).toFixed(2),
        goal: "≤ 0.6",
        met: loaded / redis <= 0.6,
      });
    }
    return rows;
  });
}

/** Row 8: private memory of the two sides of a keyspace file with the most counters. */
function privateMemory(): Promise<BenchRow[]> {
  return inDirectory(async (directory) => {
    const rows: BenchRow[] = [];
    for (const [side, goal] of [["worker", 600], ["reader", 300]] as const) {
      const { code, stdout } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", import.meta.url, side, directory, String(LARGEST)],
        stderr: "inherit",
      }).output();
      if (code !== 0) throw new Error(`The ${side} ended with ${code}`);
      const mebibytes = Number(new TextDecoder().decode(stdout).trim());
      rows.push({
        id: side === "worker" ? "8a" : "8",
        work: `private memory of a keyspace's ${side}, ${LARGEST} counters`,
        against: "–",
        ours: `${mebibytes} MiB`,
        theirs: "–",
        result: `${mebibytes} MiB`,
        goal: `≤ ${goal} MiB`,
        met: mebibytes <= goal,
      });
    }
    return rows;
  });
}

/** Folds a backlog that touches the most keys at once; prints the peak of private memory in MiB. */
function worker(directory: string, counters: number): void {
  let peak = 0;
  const sample = () => peak = Math.max(peak, privateMebibytes());
  returnLargeBlocks();
  using subject = new CountdSubject(directory, counters);
  // The backlog replaces the mapped logs, which are not private memory of a worker.
  const backlog = backlogOf("uniform", counters, 7);
  const own = backlog.reduce((sum, bytes) => sum + bytes.length, 0) / 2 ** 20;
  for (let round = 0; round < 3; round++) subject.fold(backlog, sample);
  console.log(Math.round(peak - own));
}

/** Looks random keys and pages up until the cache is full; prints the private memory in MiB. */
function reader(directory: string, counters: number): void {
  using reader = KeyspaceReader.open(systemStorage(), `${directory}/bench`);
  const random = new Random(5);
  const key = new Uint8Array(KEY_BYTES);
  const into = new Uint8Array(1 << 16);
  for (let index = 0; index < 300_000; index++) {
    writeKey(random.below(counters), key, 0);
    if (reader.rankOf(key) < 0) throw new Error("A counter is missing");
    reader.copyRows(random.below(counters), 100, into, 0);
  }
  console.log(Math.round(privateMebibytes()));
}

function privateMebibytes(): number {
  const text = Deno.readTextFileSync("/proc/self/smaps_rollup");
  const kibibytes = [...text.matchAll(/^Private_\w+:\s+(\d+) kB$/gm)];
  return kibibytes.reduce((sum, match) => sum + Number(match[1]), 0) / 1024;
}

function rate(microsecondsEach: number): string {
  return `${(1 / microsecondsEach).toFixed(2)} million/s`;
}

if (import.meta.main) {
  const [side, directory, counters] = Deno.args;
  if (side === "worker") worker(directory as string, Number(counters));
  else if (side === "reader") reader(directory as string, Number(counters));
  else {
    for (const measure of [foldGrowth, foldAgainstOthers, pagesAndBytes, privateMemory]) {
      for (const row of await measure()) reportRow(row);
    }
  }
}
