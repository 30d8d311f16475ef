/** The database under a power cut: two clients over HTTP, and kills. */

import { existsSync } from "@std/fs/exists";
import type { RunOptions } from "../support/process.ts";
import type { Random } from "../support/random.ts";
import { answersOf, type Change, isAnswered, valueProblems } from "./oracle.ts";
import type { RecordedDisk } from "./recorded_disk.ts";
import {
  checkYoung,
  Daemons,
  pause,
  type Recorded,
  type Stage,
  succeed,
  type Trial,
} from "./workload.ts";

const CLIENTS = 2;
const KEYS = 12;
const KILL_EVERY_MS = 900;
const SHOWN_MAX = 5;

export async function databaseSets(stage: Stage): Promise<Recorded> {
  const { disk, random } = stage;
  const from = disk.now;
  const changes: Change[] = [];
  await using daemons = startDatabase(`${disk.place}/data`, stage.options);
  const ending = new AbortController();
  const clients = Array.from({ length: CLIENTS }, (_, at) => {
    const client = { name: `c${at}`, disk, random, port: () => daemons.port("db") };
    return setValues(client, changes, ending.signal);
  });
  await daemons.startAll();
  disk.startWriteBack(random.next32());
  for (let left = stage.durationMs; left > 0; left -= KILL_EVERY_MS) {
    await pause(Math.min(left, KILL_EVERY_MS));
    if (left > KILL_EVERY_MS && random.chance(0.6)) await daemons.restartOne(random);
  }
  const to = disk.now;
  ending.abort();
  await Promise.all(clients);
  return {
    from,
    to,
    answers: answersOf(changes),
    requests: changes.length,
    examine: (trial) => examineDatabase(trial, changes),
  };
}

function startDatabase(data: string, options: RunOptions): Daemons {
  const words = ["db", "serve", `--data=${data}`, "--sync=always", "--port=0"];
  return new Daemons(new Map([["db", words]]), options);
}

interface Client {
  readonly name: string;
  readonly disk: RecordedDisk;
  readonly random: Random;
  port(): number | null;
}

async function setValues(
  { name, disk, random, port }: Client,
  changes: Change[],
  signal: AbortSignal,
): Promise<void> {
  for (let number = 0; !signal.aborted; number++) {
    await pause(random.between(0, 8));
    const now = port();
    if (now === null) continue;
    const key = `${name}-${random.below(KEYS)}`;
    const fill = "x".repeat(random.pick([0, 10, 300, 5000]));
    const value = `${name}-${number}-${fill}`;
    const change = { key, value, sentAt: disk.now, answeredAt: Infinity };
    changes.push(change);
    if (await isSet(now, key, value)) change.answeredAt = disk.now;
  }
}

/** Whether the server answers that a value is set; false if it was killed. */
async function isSet(port: number, key: string, body: string): Promise<boolean> {
  let response: Response;
  try {
    response = await fetch(`http://127.0.0.1:${port}/set/${key}`, { method: "POST", body });
    await response.text();
  } catch {
    return false;
  }
  // The daemon stops.
  if (response.status === 503) return false;
  if (response.status !== 200) throw new Error(`POST /set/${key}: ${response.status}`);
  return true;
}

interface LogEntry {
  readonly Key: string;
  readonly Value: string;
}

async function examineDatabase(trial: Trial, changes: readonly Change[]): Promise<void> {
  const data = `${trial.place}/data`;
  const isAny = changes.some((change) => isAnswered(change, trial.cut));
  if (trial.random.chance(0.3) && existsSync(data)) await checkYoung(trial, data);
  const dump = `${trial.place}/dump`;
  const { code, stdout, stderr } = await trial.countd("db", "export", dump, `--data=${data}`);
  if (code === 3 && !isAny) return trial.note("no database yet");
  if (code !== 0) {
    return trial.problem(`db export: exit ${code}: ${`${stdout}${stderr}`.slice(0, 600)}`);
  }
  if (stderr.includes("torn")) trial.note("torn tail");
  const map = JSON.parse(Deno.readTextFileSync(`${dump}/db.json`)) as Record<string, string>;
  const log = JSON.parse(Deno.readTextFileSync(`${dump}/log.json`)) as LogEntry[];
  const problems = valueProblems(changes, trial.cut, new Map(Object.entries(map)));
  for (const problem of problems.slice(0, SHOWN_MAX)) trial.problem(problem);
  // Values are unique, so an entry of the log is one change.
  const values = new Set(log.map(({ Value }) => Value));
  if (values.size !== log.length) trial.problem("an entry is in the log twice");
  const lost = changes.filter((change) =>
    isAnswered(change, trial.cut) && !values.has(change.value ?? "")
  );
  for (const { key } of lost.slice(0, SHOWN_MAX)) trial.problem(`not in the log: a set of ${key}`);
  if (trial.isDeep) await setOn(trial, data);
  await succeed(trial, "check", `--data=${data}`);
}

/** Serves the recovered database, and sets a value. */
async function setOn(trial: Trial, data: string): Promise<void> {
  await using daemons = startDatabase(data, {});
  await daemons.startAll();
  const port = daemons.port("db") as number;
  if (!await isSet(port, "after", "yes")) trial.problem("the recovered database takes no value");
  const response = await fetch(`http://127.0.0.1:${port}/get/after`);
  const value = await response.text();
  if (value !== "yes") trial.problem(`the recovered database answers ${value}`);
  trial.note("used on");
}
