/** What is asked of the counters in an image. */

import { existsSync } from "@std/fs/exists";
import { startCountd } from "../support/process.ts";
import { CounterLoad } from "./counter_load.ts";
import {
  counterName,
  countProblems,
  type Counts,
  differences,
  type Increment,
  isAnswered,
} from "./oracle.ts";
import { checkYoung, succeed, type Trial } from "./workload.ts";

const SHOWN_MAX = 5;

interface Listing {
  readonly keyspaces: readonly { readonly keyspace: string; readonly counters: string }[];
}

interface Page {
  readonly rows: readonly { readonly key: string; readonly value: string }[];
}

/** Every counter as `keyspaces` and `top` print it; null if one of them fails. */
export async function readCounters(
  trial: Trial,
  data: string,
  ...options: string[]
): Promise<Counts | null> {
  const stored = new Map<string, number>();
  const where = [`--data=${data}`, "--json", ...options];
  const listing = await succeed(trial, "keyspaces", ...where);
  if (listing === null) return null;
  for (const { keyspace, counters } of (JSON.parse(listing) as Listing).keyspaces) {
    const text = await succeed(trial, "top", keyspace, "--length=1000000", ...where);
    if (text === null) return null;
    const { rows } = JSON.parse(text) as Page;
    if (rows.length !== Number(counters)) {
      trial.problem(`${keyspace} has ${rows.length} rows, and ${counters} by its listing`);
    }
    for (const { key, value } of rows) stored.set(counterName(keyspace, key), Number(value));
  }
  return stored;
}

function compare(
  trial: Trial,
  when: string,
  { stored, increments }: { readonly stored: Counts; readonly increments: readonly Increment[] },
): void {
  const problems = countProblems(increments, trial.cut, stored);
  for (const problem of problems.slice(0, SHOWN_MAX)) trial.problem(`${when}: ${problem}`);
}

/** Examines, recovers and compares. Returns the counters after it; null if there are none to ask for. */
export async function examineCounters(
  trial: Trial,
  data: string,
  increments: readonly Increment[],
): Promise<Counts | null> {
  const route = trial.random.pick(["check", "read", "fold"]);
  if (!existsSync(data)) {
    compare(trial, "without a directory", { stored: new Map(), increments });
    trial.note("no directory yet");
    return null;
  }
  if (!existsSync(`${data}/control`)) {
    compare(trial, "without control", { stored: new Map(), increments });
    await checkYoung(trial, data);
    return null;
  }
  if (route === "check") await succeed(trial, "check", `--data=${data}`);
  const before = route === "read" ? await readCounters(trial, data) : null;
  if (before !== null) compare(trial, "read before recovery", { stored: before, increments });
  const { code, stderr } = await trial.countd("worker", "--once", `--data=${data}`);
  if (code !== 0) trial.problem(`worker --once: exit ${code}: ${stderr.slice(0, 600)}`);
  if (stderr.includes("torn")) trial.note("torn tail");
  const stored = await readCounters(trial, data, "--stale");
  if (stored === null) return null;
  compare(trial, "after recovery", { stored, increments });
  if (before !== null) {
    const gone = [...before].filter(([name, value]) => value > (stored.get(name) ?? 0));
    if (gone.length > 0) trial.problem(`read, and gone after recovery: ${gone.slice(0, 3)}`);
  }
  if (trial.random.chance(0.15)) await copyAndCompare(trial, data, stored);
  await succeed(trial, "check", `--data=${data}`);
  const answered = increments.filter((one) => isAnswered(one, trial.cut)).length;
  if (answered > 0) trial.note("with answers");
  return stored;
}

/** A backup, restored, holds the same. */
async function copyAndCompare(trial: Trial, data: string, stored: Counts): Promise<void> {
  const [backup, restored] = [`${trial.place}/copy`, `${trial.place}/restored`];
  if (await succeed(trial, "backup", backup, `--data=${data}`) === null) return;
  if (await succeed(trial, "restore", backup, `--data=${restored}`) === null) return;
  const found = await readCounters(trial, restored);
  if (found === null) return;
  const different = differences(stored, found);
  if (different.length > 0) trial.problem(`the restored backup differs: ${different.slice(0, 3)}`);
  await succeed(trial, "check", `--data=${restored}`);
  trial.note("backup");
}

/** Counts on with a real server on a recovered directory. Everything must be exact. */
export async function useOn(trial: Trial, data: string, stored: Counts): Promise<void> {
  const ports = ["--write-port=0", "--read-port=0"];
  const expected = new Map(stored);
  {
    await using server = startCountd(["serve", `--data=${data}`, "--ack", ...ports]);
    const { port } = await server.listening("write");
    const load = new CounterLoad("after", { now: 0 }, trial.random);
    await load.sendAndWait(port, trial.random.pick([50, 700, 4000]));
    for (const { keyspace, key, increment, answeredAt } of load.increments) {
      if (answeredAt !== 0) trial.problem(`no answer to ${keyspace} ${key} after recovery`);
      const name = counterName(keyspace, key);
      expected.set(name, (expected.get(name) ?? 0) + increment);
    }
    for (const violation of load.violations) trial.problem(`after recovery: ${violation}`);
    if (trial.random.chance(0.5)) await server.kill();
    else {
      const code = await server.stop();
      if (code !== 0) trial.problem(`serve: exit ${code}: ${server.stderrLines.join("\n")}`);
    }
  }
  await succeed(trial, "worker", "--once", `--data=${data}`);
  const found = await readCounters(trial, data);
  if (found === null) return;
  const different = differences(expected, found);
  if (different.length > 0) trial.problem(`used on, and not exact: ${different.slice(0, 3)}`);
  await succeed(trial, "check", `--data=${data}`);
  trial.note("used on");
}
