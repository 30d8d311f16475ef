/**
 * The database against node:sqlite and against itself, in one run:
 *
 *     deno run -A tests/bench/db_bench.ts
 *
 * Goals: of 100,000 sets on 1,000 keys the last 1,000 cost at most 1.5 times the first 1,000; a set is at
 * least 3 times as fast as an upsert in a transaction of its own (WAL, synchronous NORMAL), both in
 * process, ours with `--sync interval`; a start with a million entries takes seconds. Rounds of both kinds
 * alternate. A thousand sets take so little time that the fastest round counts, which leaves out what
 * other programs take away; against SQLite it is the median.
 */

import { DatabaseSync } from "node:sqlite";
import { type DB, init } from "../../src/database/mod.ts";
import { systemStorage } from "../../src/file/mod.ts";

const storage = systemStorage();

function median(times: readonly number[]): number {
  const sorted = [...times].sort((one, other) => one - other);
  return sorted[sorted.length >> 1] as number;
}

function report(name: string, figure: string, isMet: boolean): void {
  console.log(`${name.padEnd(40)} ${figure} (${isMet ? "met" : "MISSED"})`);
}

async function withDirectory(body: (directory: string) => Promise<void>): Promise<void> {
  const directory = Deno.makeTempDirSync({ prefix: "countd-bench-" });
  try {
    await body(directory);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

function open(directory: string): DB {
  return init(`${directory}/map`, `${directory}/log`, { storage, sync: "interval" });
}

const keys = Array.from({ length: 1000 }, (_, index) => `key-${index}`);

/** Sets from … to (without); returns the milliseconds. Each is awaited before the next. */
async function sets(db: DB, from: number, to: number): Promise<number> {
  const start = performance.now();
  for (let index = from; index < to; index++) {
    await db.write(keys[index % keys.length] as string, `value number ${index}`);
  }
  return performance.now() - start;
}

async function flatCost(): Promise<void> {
  const first: number[] = [];
  const last: number[] = [];
  for (let round = 0; round < 15; round++) {
    await withDirectory(async (directory) => {
      const db = open(directory);
      first.push(await sets(db, 0, 1000));
      await sets(db, 1000, 99_000);
      last.push(await sets(db, 99_000, 100_000));
      await db.close();
    });
  }
  const ratio = Math.min(...last) / Math.min(...first);
  const detail = `${Math.min(...first).toFixed(2)} ms, then ${Math.min(...last).toFixed(2)} ms`;
  report(
    "last 1,000 of 100,000 sets, by the first",
    `${ratio.toFixed(2)}×, goal at most 1.5: ${detail}`,
    ratio <= 1.5,
  );
}

const setsPerRound = 20_000;

async function againstSqlite(): Promise<void> {
  await withDirectory(async (directory) => {
    const db = open(directory);
    const sqlite = new DatabaseSync(`${directory}/sqlite`);
    sqlite.exec("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL");
    sqlite.exec("CREATE TABLE map (key TEXT PRIMARY KEY, value TEXT NOT NULL)");
    const upsert = sqlite.prepare(
      "INSERT INTO map VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    );
    const ours: number[] = [];
    const theirs: number[] = [];
    for (let round = 0; round < 9; round++) {
      const from = round * setsPerRound;
      ours.push(await sets(db, from, from + setsPerRound));
      const start = performance.now();
      for (let index = from; index < from + setsPerRound; index++) {
        upsert.run(keys[index % keys.length] as string, `value number ${index}`);
      }
      theirs.push(performance.now() - start);
    }
    sqlite.close();
    await db.close();
    const perSet = (times: readonly number[]) => median(times) * 1000 / setsPerRound;
    const ratio = perSet(theirs) / perSet(ours);
    const detail = `${perSet(ours).toFixed(2)} µs a set, SQLite ${perSet(theirs).toFixed(2)} µs`;
    report(
      "sets, by upserts of node:sqlite",
      `${ratio.toFixed(1)}×, goal at least 3: ${detail}`,
      ratio >= 3,
    );
  });
}

async function restarts(): Promise<void> {
  await withDirectory(async (directory) => {
    let db = open(directory);
    const entries = 1_000_000;
    for (let index = 0; index < entries; index++) {
      await db.write(`key-${index % 100_000}`, `value number ${index}`);
    }
    // The state after kill -9: no file is completed.
    await db.abandon();
    for (const how of ["after a kill", "after a clean end"]) {
      const start = performance.now();
      db = open(directory);
      const seconds = (performance.now() - start) / 1000;
      const { replayBytes, logBytes } = db.status();
      if (db.log.length !== entries || db.size !== 100_000) throw new Error("Entries are missing");
      report(
        `start with ${entries.toLocaleString("en")} entries ${how}`,
        `${seconds.toFixed(2)} s, goal seconds: read ${replayBytes} of ${logBytes} bytes again`,
        seconds < 5,
      );
      await db.close();
    }
  });
}

if (import.meta.main) {
  await flatCost();
  await againstSqlite();
  await restarts();
}
