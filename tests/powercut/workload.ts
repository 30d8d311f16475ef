/** What a workload does on a recorded disk, and how an image of it is examined. */

import type { Captured } from "../cli/capture.ts";
import { type CountdProcess, type RunOptions, startCountd } from "../support/process.ts";
import type { Random } from "../support/random.ts";
import type { RecordedDisk } from "./recorded_disk.ts";

/** Where a workload runs. */
export interface Stage {
  readonly disk: RecordedDisk;
  readonly random: Random;
  readonly durationMs: number;
  /** For daemons of a planted bug; empty for countd itself. */
  readonly options: RunOptions;
}

/** An image of the disk, mounted. */
export interface Trial {
  readonly place: string;
  /** The number of the last event before the cut. */
  readonly cut: number;
  readonly random: Random;
  /** Whether countd is used on the image with real daemons, too. */
  readonly isDeep: boolean;
  countd(...words: string[]): Promise<Captured>;
  /** Something that must not be. */
  problem(text: string): void;
  /** Something that may be, to be counted. */
  note(text: string): void;
}

/** What is left of a workload: when the disk may be cut, and what to ask of an image. */
export interface Recorded {
  /** Cuts are after this event. */
  readonly from: number;
  readonly to: number;
  /** Numbers of events at which something was answered. */
  readonly answers: readonly number[];
  /** How much was asked for, for the report. */
  readonly requests: number;
  examine(trial: Trial): Promise<void>;
}

export type Workload = (stage: Stage) => Promise<Recorded>;

export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Runs a verb that has to succeed on an image, and returns what it prints; null if it does not. */
export async function succeed(trial: Trial, ...words: string[]): Promise<string | null> {
  const { code, stdout, stderr } = await trial.countd(...words);
  if (code === 0) return stdout;
  trial.problem(`countd ${words.join(" ")}: exit ${code}: ${`${stdout}${stderr}`.slice(0, 600)}`);
  return null;
}

/** Checks a directory that may be empty yet: then there is nothing to check. */
export async function checkYoung(trial: Trial, data: string): Promise<void> {
  if ([...Deno.readDirSync(data)].length > 0) {
    return void await succeed(trial, "check", `--data=${data}`);
  }
  const { code, stdout, stderr } = await trial.countd("check", `--data=${data}`);
  if (code !== 3) trial.problem(`check of nothing: exit ${code}: ${stdout}${stderr}`);
}

/** Daemons that are killed, or stopped, and started again while a disk is recorded. */
export class Daemons implements AsyncDisposable {
  readonly #running = new Map<string, CountdProcess>();
  readonly #ports = new Map<string, number>();

  constructor(
    readonly commands: ReadonlyMap<string, readonly string[]>,
    readonly options: RunOptions,
  ) {}

  async startAll(): Promise<void> {
    for (const name of this.commands.keys()) await this.start(name);
  }

  async start(name: string): Promise<void> {
    const words = this.commands.get(name) as readonly string[];
    const process = startCountd(words, this.options);
    this.#running.set(name, process);
    if (words[0] === "worker") return void await process.stderrLine(/worker ready/);
    const { port } = await process.listening(words[0] === "serve" ? "write" : undefined);
    this.#ports.set(name, port);
  }

  /** The port of a daemon, that for writes if it is `serve`; null while it does not listen. */
  port(name: string): number | null {
    return this.#ports.get(name) ?? null;
  }

  /** Ends a random daemon, by SIGKILL or in order, and starts it again. */
  async restartOne(random: Random): Promise<void> {
    const name = random.pick([...this.commands.keys()]);
    const process = this.#running.get(name) as CountdProcess;
    this.#ports.delete(name);
    if (random.chance(0.7)) await process.kill();
    else {
      const code = await process.stop();
      if (code !== 0) throw new Error(`${name}: exit ${code}: ${process.stderrLines.join("\n")}`);
    }
    await this.start(name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const process of this.#running.values()) await process[Symbol.asyncDispose]();
  }
}
