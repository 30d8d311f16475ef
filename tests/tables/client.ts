/**
 * A process that works on tables for the tests: `deno run client.ts FILE`, the job as JSON in a file. It meets
 * the other clients, works, and writes its calls as JSON.
 */

import { FaultPlan, systemStorage } from "../../src/file/mod.ts";
import {
  KeyExistsError,
  KeyNotFoundError,
  LockDeadlineError,
  TableRoot,
  type TableSync,
} from "../../src/tables/mod.ts";
import type { Call, CallKind } from "../support/linearizability.ts";
import { Random } from "../support/random.ts";
import { SharedCounters } from "../support/shared_counters.ts";

interface Common {
  readonly root: string;
  readonly process: number;
  readonly lockTimeoutMs: number;
  readonly sync: TableSync;
  /** File of the counters that the clients share, and how many clients there are. */
  readonly counters: string;
  readonly parties: number;
}

/** The calls in order; in lock step the clients meet before each call, so that they race. */
interface Script extends Common {
  readonly job: "script";
  readonly calls: readonly { kind: CallKind; key: string; value?: string }[];
  readonly inLockStep: boolean;
}

/** Random calls on a few keys. */
interface Mix extends Common {
  readonly job: "mix";
  readonly seed: number;
  readonly count: number;
  readonly keys: readonly string[];
}

export type Job = Script | Mix;

const text = new TextDecoder();
const utf8 = new TextEncoder();

/** Counters: the tickets, the meeting at the start, and meetings of later rounds in turn. */
const TICKETS = 0;
const START = 1;
const ROUNDS = 2;

/** A value that shows its origin at both ends, so that no half of it can pass for the whole. */
export function valueText(id: string, length = 0): string {
  return `${id}:${id.at(-1)?.repeat(length) ?? ""}:${id}`;
}

if (import.meta.main) await main(JSON.parse(Deno.readTextFileSync(Deno.args[0] as string)) as Job);

async function main(job: Job): Promise<void> {
  const storage = systemStorage({ fault: FaultPlan.parse(Deno.env.get("COUNTD_FAULT")) });
  const root = new TableRoot(storage, job.root, job);
  // The first call of each kind compiles the code: not in the race.
  await root.get("warm up").catch(() => {});
  using counters = new SharedCounters(job.counters);
  await counters.meet(START, job.parties);
  const calls: Call[] = [];
  const run = async (kind: CallKind, key: string, value?: string) =>
    calls.push(await recorded(root, { kind, key, value, process: job.process, counters }));
  if (job.job === "script") {
    for (const [round, { kind, key, value }] of job.calls.entries()) {
      if (job.inLockStep) await counters.meet(ROUNDS, (round + 1) * job.parties);
      await run(kind, key, value);
    }
  } else {
    const random = new Random(job.seed);
    for (let count = 0; count < job.count; count++) {
      const kind = random.pick<CallKind>(
        ["get", "get", "get", "set", "create", "update", "delete"],
      );
      const key = random.pick(job.keys);
      const id = `${job.process}.${count}`;
      await run(kind, key, valueText(id, random.below(300)));
    }
  }
  console.log(JSON.stringify(calls));
}

async function recorded(
  root: TableRoot,
  { kind, key, value, process, counters }: {
    kind: CallKind;
    key: string;
    value: string | undefined;
    process: number;
    counters: SharedCounters;
  },
): Promise<Call> {
  const written = kind === "get" || kind === "delete" ? null : value ?? "";
  let found = written;
  let outcome: Call["outcome"] = "ok";
  const start = counters.take(TICKETS);
  try {
    if (kind === "get") found = text.decode(await root.get(key));
    else if (kind === "delete") await root.delete(key);
    else await root[kind](key, utf8.encode(written as string));
  } catch (error) {
    if (error instanceof KeyNotFoundError) outcome = "absent";
    else if (error instanceof KeyExistsError) outcome = "exists";
    else if (error instanceof LockDeadlineError) outcome = "unchanged";
    else throw error;
  }
  return { process, kind, key, value: found, outcome, start, end: counters.take(TICKETS) };
}
