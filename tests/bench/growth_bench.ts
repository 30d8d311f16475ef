/**
 * How costs grow with the keyspace, from a thousand to ten million counters: folding a record, and a page
 * of 100 at a random offset. Draws growth.svg.
 *
 *     deno run -A tests/bench/growth_bench.ts       (COUNTD_BENCH_QUICK=1: up to 100,000 counters)
 */

import { systemStorage } from "../../src/file/mod.ts";
import { KeyspaceReader } from "../../src/counters/keyspace/mod.ts";
import { Random } from "../support/random.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { CountdSubject } from "./fold_subjects.ts";
import { drawFrom, increments, recordBatches } from "./fold_workload.ts";
import { type Curve, logLogChart } from "./log_log_chart.ts";
import { median } from "./row.ts";

const isQuick = Deno.env.get("COUNTD_BENCH_QUICK") !== undefined;
const exponents = isQuick ? [3, 4, 5] : [3, 4, 5, 6, 7];
const backlogRecords = 2_000_000;
const rounds = 5;
const pages = 5000;
const pageRows = 100;

/** Nanoseconds for each record of a Zipf backlog, folded at once, syncs included. */
function foldNanoseconds(subject: CountdSubject, counters: number): number {
  const backlog = recordBatches(backlogRecords, increments(drawFrom("zipf", counters), 7));
  return median(Array.from({ length: rounds }, () => {
    const start = performance.now();
    subject.fold(backlog);
    return (performance.now() - start) * 1e6 / backlogRecords;
  }));
}

/** Nanoseconds for one page at a random offset. */
function pageNanoseconds(path: string, counters: number): number {
  using reader = KeyspaceReader.open(systemStorage(), path);
  const random = new Random(3);
  const into = new Uint8Array(1 << 16);
  return median(Array.from({ length: rounds }, () => {
    const start = performance.now();
    for (let page = 0; page < pages; page++) {
      reader.copyRows(random.below(counters - pageRows), pageRows, into, 0);
    }
    return (performance.now() - start) * 1e6 / pages;
  }));
}

const fold: Curve = { name: "fold, for each record", points: [] };
const page: Curve = { name: `page of ${pageRows} at a random offset`, points: [] };
for (const exponent of exponents) {
  const counters = 10 ** exponent;
  await withTemporaryDirectory((directory) => {
    using subject = new CountdSubject(directory, counters);
    fold.points.push([counters, foldNanoseconds(subject, counters)]);
    page.points.push([counters, pageNanoseconds(subject.path, counters)]);
  });
  const last = [fold, page].map(({ points }) => points.at(-1)?.[1].toFixed(0));
  console.log(`  10^${exponent} counters: fold ${last[0]} ns a record, page ${last[1]} ns`);
}
Deno.writeTextFileSync(
  new URL("growth.svg", import.meta.url),
  logLogChart([fold, page], { x: "counters in the keyspace", y: "nanoseconds" }),
);
