/** Single verbs under a power cut: backup, restore, repair, and the fold of what a dead writer left. */

import { existsSync } from "@std/fs/exists";
import { runCountd, runProgram, startCountd } from "../support/process.ts";
import { CounterLoad } from "./counter_load.ts";
import { writerOptions } from "./counter_workload.ts";
import { readCounters } from "./examine_counters.ts";
import { counterName, type Counts, differences } from "./oracle.ts";
import { pause, type Recorded, type Stage, succeed, type Trial } from "./workload.ts";

const VERBS = ["backup", "restore", "repair", "worker"] as const;
type Verb = (typeof VERBS)[number];

/** In the first page behind the meta blocks of a small keyspace file: one of its two orders. */
const DAMAGED_OFFSET = 2048 + 200;
/** What follows the end of the verb, so that a cut can come after it. */
const AFTER_MS = 300;

interface Paths {
  readonly data: string;
  readonly backup: string;
  readonly restored: string;
}

function pathsOn(place: string): Paths {
  return { data: `${place}/data`, backup: `${place}/backup`, restored: `${place}/restored` };
}

function wordsOf(verb: Verb, { data, backup, restored }: Paths): string[] {
  switch (verb) {
    case "backup":
      return ["backup", backup, `--data=${data}`];
    case "restore":
      return ["restore", backup, `--data=${restored}`];
    case "repair":
      return ["repair", "--in-place", `--data=${data}`];
    case "worker":
      return ["worker", "--once", `--data=${data}`];
  }
}

async function run(stage: Stage, ...words: string[]): Promise<void> {
  const { code, text, stderr } = await runCountd(words, stage.options);
  if (code !== 0) throw new Error(`countd ${words.join(" ")}: exit ${code}: ${text}${stderr}`);
}

/** Counts, folds, counts more, and dies. Returns every counter. */
async function makeData(stage: Stage, data: string): Promise<Counts> {
  const counts = new Map<string, number>();
  for (const isFolded of [true, false]) {
    await using writer = startCountd(["write", ...writerOptions(data), "--port=0"]);
    const { port } = await writer.listening();
    const load = new CounterLoad(isFolded ? "old" : "new", stage.disk, stage.random);
    await load.sendAndWait(port, 2500);
    for (const { keyspace, key, increment, answeredAt } of load.increments) {
      if (answeredAt === Infinity) throw new Error("an increment without an answer");
      const name = counterName(keyspace, key);
      counts.set(name, (counts.get(name) ?? 0) + increment);
    }
    await writer.kill();
    if (isFolded) await run(stage, "worker", "--once", `--data=${data}`);
  }
  await run(stage, "kv", "set", "motd", "hello", `--data=${data}`);
  return counts;
}

/** Damages one order of a keyspace, and the control file. */
async function damage(data: string): Promise<void> {
  for (const [path, offset] of [["keyspaces/k0", DAMAGED_OFFSET], ["control", 4]] as const) {
    using file = Deno.openSync(`${data}/${path}`, { write: true });
    file.seekSync(offset, Deno.SeekMode.Start);
    file.writeSync(new Uint8Array(20).fill(0x5a));
  }
  const { code, text } = await runCountd(["check", `--data=${data}`]);
  if (code !== 6) throw new Error(`check of a damaged directory: exit ${code}: ${text}`);
}

export async function adminVerb(stage: Stage): Promise<Recorded> {
  const { disk, random } = stage;
  const verb = random.pick(VERBS);
  const paths = pathsOn(disk.place);
  const counts = await makeData(stage, paths.data);
  if (verb === "restore") await run(stage, "backup", paths.backup, `--data=${paths.data}`);
  if (verb === "repair") await damage(paths.data);
  await runProgram(["sync", "-f", disk.place]);
  const from = disk.now;
  disk.startWriteBack(random.next32());
  await run(stage, ...wordsOf(verb, paths));
  const endedAt = disk.now;
  await pause(AFTER_MS);
  return {
    from,
    to: disk.now,
    answers: [endedAt],
    requests: counts.size,
    examine: (trial) => examineVerb(trial, { verb, counts, endedAt }),
  };
}

interface Ended {
  readonly verb: Verb;
  readonly counts: Counts;
  /** The newest event when the verb had ended with 0. */
  readonly endedAt: number;
}

async function examineVerb(trial: Trial, { verb, counts, endedAt }: Ended): Promise<void> {
  const paths = pathsOn(trial.place);
  const hasEnded = endedAt <= trial.cut;
  trial.note(`${verb}${hasEnded ? ", ended" : ""}`);
  const made = verb === "backup" ? paths.backup : verb === "restore" ? paths.restored : null;
  const isMade = made !== null && existsSync(made) && [...Deno.readDirSync(made)].length > 0;
  if (hasEnded && made !== null && !isMade) trial.problem(`${verb} had ended, and made nothing`);
  // What was cut short can be done again; so can a repair that had ended.
  if (!isMade && !(hasEnded && verb === "repair")) {
    if (await succeed(trial, ...wordsOf(verb, paths)) === null) return;
  }
  for (const { name } of Deno.readDirSync(trial.place)) {
    if (!isMade && name.includes("partial")) trial.problem(`${verb} leaves ${name}`);
  }
  if (verb === "backup") await succeed(trial, ...wordsOf("restore", paths));
  if (made !== null) await compareWhole(trial, paths.restored, counts);
  await compareWhole(trial, paths.data, counts);
}

async function compareWhole(trial: Trial, data: string, counts: Counts): Promise<void> {
  await succeed(trial, "worker", "--once", `--data=${data}`);
  const found = await readCounters(trial, data);
  if (found !== null) {
    const different = differences(counts, found);
    if (different.length > 0) trial.problem(`${data} is not whole: ${different.slice(0, 3)}`);
  }
  const motd = await succeed(trial, "kv", "get", "motd", `--data=${data}`);
  if (motd !== null && motd !== "hello") trial.problem(`kv get motd: ${motd}`);
  await succeed(trial, "check", `--data=${data}`);
}
