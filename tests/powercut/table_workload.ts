/** Tables under a power cut: shells that set and delete values, each in keys of its own. */

import { existsSync } from "@std/fs/exists";
import { startCountd } from "../support/process.ts";
import type { Random } from "../support/random.ts";
import { answersOf, type Change, valueProblems } from "./oracle.ts";
import { checkYoung, pause, type Recorded, type Stage, succeed, type Trial } from "./workload.ts";

const SHELLS = 2;
const KEYS = 8;
const SHOWN_MAX = 5;
/** A value that a shell prints once everything before is done. */
const SENTINEL = "done";

interface Shell {
  readonly name: string;
  readonly data: string;
  readonly random: Random;
}

export async function tableChanges(stage: Stage): Promise<Recorded> {
  const { disk, random } = stage;
  const data = `${disk.place}/data`;
  const from = disk.now;
  const ending = new AbortController();
  const changes: Change[] = [];
  const shells = Array.from(
    { length: SHELLS },
    (_, at) => changeValues(stage, { name: `s${at}`, data, random }, changes, ending.signal),
  );
  disk.startWriteBack(random.next32());
  await pause(stage.durationMs);
  const to = disk.now;
  ending.abort();
  await Promise.all(shells);
  return {
    from,
    to,
    answers: answersOf(changes),
    requests: changes.length,
    examine: (trial) => examineTables(trial, changes),
  };
}

/** Changes values through one shell after the other; each is killed at some time. */
async function changeValues(
  { disk, options }: Stage,
  { name: shellName, data, random }: Shell,
  changes: Change[],
  signal: AbortSignal,
): Promise<void> {
  /** Keys that a delete finds: without a terminal, a shell ends at the first error. */
  const present = new Set<string>();
  for (let number = 0; !signal.aborted;) {
    await using shell = startCountd(["shell", `--data=${data}`], options);
    let answers = 0;
    const sentinel = `sentinel-${shellName}`;
    await shell.writeStdin(`set ${sentinel} ${SENTINEL}\n`);
    for (let left = random.between(5, 120); left > 0 && !signal.aborted; left--) {
      number++;
      const table = random.pick(["", `a/${shellName}`, `t${Math.floor(number / 40)}`]);
      const key = `${shellName}-${random.below(KEYS)}`;
      const fill = "y".repeat(random.pick([0, 20, 6000]));
      const name = `${table}/${key}`;
      const value = present.delete(name) && random.chance(0.4) ? null : `v${number}-${fill}`;
      const change = { key: name, value, sentAt: disk.now, answeredAt: Infinity };
      changes.push(change);
      const verb = value === null ? `delete ${key}` : `set ${key} ${value}`;
      const script = `use "${table}"\n${verb}\nuse ""\nget ${sentinel}\n`;
      await shell.writeStdin(script);
      await shell.stdoutLine(new RegExp(`^${SENTINEL}$`), { from: answers++ });
      change.answeredAt = disk.now;
      if (value !== null) present.add(name);
    }
  }
}

/** Values by table and key, as the files hold them. */
function readTables(root: string, table = ""): Map<string, string> {
  const found = new Map<string, string>();
  for (const { name, isDirectory } of Deno.readDirSync(root)) {
    const path = `${root}/${name}`;
    if (name === ".countd-temporary") continue;
    if (isDirectory) {
      const inner = `${table}${table === "" ? "" : "/"}${name.replace(/\.tbl$/, "")}`;
      for (const [key, value] of readTables(path, inner)) found.set(key, value);
    } else if (name.endsWith(".kv") && !name.startsWith("sentinel-")) {
      found.set(`${table}/${name.slice(0, -3)}`, Deno.readTextFileSync(path));
    }
  }
  return found;
}

async function examineTables(trial: Trial, changes: readonly Change[]): Promise<void> {
  const data = `${trial.place}/data`;
  const root = `${data}/tables`;
  const stored = existsSync(root) ? readTables(root) : new Map<string, string>();
  const problems = valueProblems(changes, trial.cut, stored);
  for (const problem of problems.slice(0, SHOWN_MAX)) trial.problem(problem);
  if (!existsSync(data)) return trial.note("no directory yet");
  await checkYoung(trial, data);
  // countd prints what the files hold, and writes on.
  for (const [name, value] of trial.random.shuffle([...stored]).slice(0, 3)) {
    const [table, key] = splitName(name);
    const printed = await succeed(trial, "kv", "get", key, `--table=${table}`, `--data=${data}`);
    if (printed !== null && printed !== value) trial.problem(`kv get ${name} prints another value`);
  }
  await succeed(trial, "kv", "set", "after", "yes", `--data=${data}`);
  const printed = await succeed(trial, "kv", "get", "after", `--data=${data}`);
  if (printed !== null && printed !== "yes") trial.problem(`kv get after: ${printed}`);
  await succeed(trial, "check", `--data=${data}`);
}

function splitName(name: string): [table: string, key: string] {
  const at = name.lastIndexOf("/");
  return [name.slice(0, at), name.slice(at + 1)];
}
