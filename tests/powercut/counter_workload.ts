/** Counters under a power cut: writers with answers, folds all the time, kills. */

import { runCountd, startCountd } from "../support/process.ts";
import { CounterLoad, sizes } from "./counter_load.ts";
import { examineCounters, useOn } from "./examine_counters.ts";
import { answersOf } from "./oracle.ts";
import { Daemons, pause, type Recorded, type Stage } from "./workload.ts";

const KILL_EVERY_MS = 700;
const SEAL_AFTER_MS = 100;
/** They almost fill a log of the smallest size. */
const FULL_LOG_INCREMENTS = 1600;

/** An answer is durable with both ways to sync. */
const SYNCS = [["--sync=always"], ["--sync=interval", "--sync-interval=40ms"]] as const;

export function writerOptions(data: string, sync: readonly string[] = SYNCS[0]): string[] {
  return [
    `--data=${data}`,
    `--keyspace-size=${sizes.keyspaceSize}`,
    `--key-size=${sizes.keySize}`,
    "--ack",
    ...sync,
    "--log-size=64KiB",
    `--seal-after=${SEAL_AFTER_MS}ms`,
  ];
}

interface Plan {
  /** Daemons by name; the loads write to those named here. */
  readonly commands: ReadonlyMap<string, readonly string[]>;
  readonly writePorts: readonly string[];
  readonly hasKills: boolean;
}

async function record(stage: Stage, plan: Plan): Promise<Recorded> {
  const { disk, random } = stage;
  const from = disk.now;
  const loads = plan.writePorts.map((_, at) => new CounterLoad(`${at}`, disk, random));
  await using daemons = new Daemons(plan.commands, stage.options);
  const ending = new AbortController();
  const running = loads.map((load, at) =>
    load.run(() => daemons.port(plan.writePorts[at] as string), ending.signal)
  );
  await daemons.startAll();
  disk.startWriteBack(random.next32());
  for (let left = stage.durationMs; left > 0; left -= KILL_EVERY_MS) {
    await pause(Math.min(left, KILL_EVERY_MS));
    if (plan.hasKills && left > KILL_EVERY_MS) await daemons.restartOne(random);
  }
  const to = disk.now;
  ending.abort();
  await Promise.all(running);
  return recorded(loads, from, to);
}

function recorded(loads: readonly CounterLoad[], from: number, to: number): Recorded {
  const violations = loads.flatMap((load) => load.violations);
  if (violations.length > 0) throw new Error(`Before the cut: ${violations.join(", ")}`);
  const increments = loads.flatMap((load) => load.increments);
  return {
    from,
    to,
    answers: answersOf(increments),
    requests: increments.length,
    async examine(trial) {
      const data = `${trial.place}/data`;
      const stored = await examineCounters(trial, data, increments);
      if (stored !== null && trial.isDeep) await useOn(trial, data, stored);
    },
  };
}

/** `countd serve`, and two clients. */
export async function serveCounters(stage: Stage): Promise<Recorded> {
  const ports = ["--write-port=0", "--read-port=0"];
  const serve = [
    "serve",
    ...writerOptions(`${stage.disk.place}/data`, stage.random.pick(SYNCS)),
    "--logs=3",
    ...ports,
  ];
  return await record(stage, {
    commands: new Map([["serve", serve]]),
    writePorts: ["serve", "serve"],
    hasKills: stage.random.chance(0.5),
  });
}

/** Two writers, a worker and a reader apart, which are killed and started again. */
export async function countersApart(stage: Stage): Promise<Recorded> {
  const data = `${stage.disk.place}/data`;
  const options = writerOptions(data, stage.random.pick(SYNCS));
  const write = ["write", ...options, "--port=0", "--logs=3"];
  return await record(stage, {
    commands: new Map([
      ["first", write],
      ["second", write],
      ["worker", ["worker", `--data=${data}`]],
      ["read", ["read", `--data=${data}`, "--port=0"]],
    ]),
    writePorts: ["first", "second", "second"],
    hasKills: true,
  });
}

/**
 * One writer, and single folds of few keyspaces in between, with as few other syncs as possible. A sync of
 * one file often makes another one durable too, and hides that its own sync is missing. So the pool does not
 * grow, and what is written to a log goes where bytes were before: anything else changes the file, and the
 * sync of that change takes along all names.
 */
export async function countersInSteps(stage: Stage): Promise<Recorded> {
  const { disk, random } = stage;
  const data = `${disk.place}/data`;
  const from = disk.now;
  const load = new CounterLoad("0", disk, random, ["k0"]);
  const words = ["write", ...writerOptions(data), "--port=0", "--logs=4", "--backlog=256KiB"];
  await using writer = startCountd(words, stage.options);
  const { port } = await writer.listening();
  const end = performance.now() + stage.durationMs;
  for (let cycle = 0; cycle < 4 || performance.now() < end; cycle++) {
    load.renewKeyspace();
    // Two logs; the first cycles fill all four. Those that a fold has freed are claimed by the next cycle.
    for (let burst = 0; burst < 2; burst++) {
      await load.sendAndWait(port, cycle < 2 ? FULL_LOG_INCREMENTS : random.between(20, 200));
      await pause(2 * SEAL_AFTER_MS);
    }
    const fold = await runCountd(["worker", "--once", `--data=${data}`], stage.options);
    if (fold.code !== 0) throw new Error(`worker --once: exit ${fold.code}: ${fold.stderr}`);
  }
  return recorded([load], from, disk.now);
}
