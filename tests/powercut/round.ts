/** One round: a workload on a recorded disk, then images of it, each mounted, examined and thrown away. */

import type { RunOptions } from "../support/process.ts";
import { Random } from "../support/random.ts";
import { adminVerb } from "./admin_workload.ts";
import { aofAppends } from "./aof_workload.ts";
import { countersApart, countersInSteps, serveCounters } from "./counter_workload.ts";
import { chooseCuts, copySparse, type Cut, CutImages } from "./cut_images.ts";
import { databaseSets } from "./database_workload.ts";
import { Examiner } from "./examiner.ts";
import {
  attachLoop,
  detachLoop,
  FILE_SYSTEMS,
  type FileSystemMode,
  mountDevice,
  RecordedDisk,
  unmount,
} from "./recorded_disk.ts";
import { Recording } from "./recording.ts";
import { tableChanges } from "./table_workload.ts";
import { recordRecovery, recoveredTwice } from "./recovery.ts";
import type { Recorded, Trial, Workload } from "./workload.ts";

export const WORKLOADS = {
  "serve": serveCounters,
  "apart": countersApart,
  "steps": countersInSteps,
  "tables": tableChanges,
  "database": databaseSets,
  "aof": aofAppends,
  "admin": adminVerb,
  "recovery": countersApart,
} as const satisfies Record<string, Workload>;

export type WorkloadName = keyof typeof WORKLOADS;

/** What a round does. */
export interface Order {
  readonly workload: WorkloadName;
  readonly mode: FileSystemMode;
  readonly seed: number;
}

/** Gives the order of a seed: every workload in turn, each time on the next file system. */
export function orderOf(seed: number): Order {
  const workloads = Object.keys(WORKLOADS) as WorkloadName[];
  const modes = Object.keys(FILE_SYSTEMS) as FileSystemMode[];
  const workload = workloads[seed % workloads.length] as WorkloadName;
  const shift = seed + Math.floor(seed / workloads.length);
  return { workload, mode: modes[shift % modes.length] as FileSystemMode, seed };
}

/** Cuts of a round whose recoveries are cut again. */
const FIRST_CUTS = 3;
/** Images in which countd is used on with real daemons. */
const DEEP_SHARE = 0.08;

export interface RoundOptions extends Order {
  /** A directory in memory that is the round's alone. */
  readonly directory: string;
  readonly recorder: string;
  readonly images: number;
  readonly durationMs: number;
  /** For daemons with a planted bug. */
  readonly options?: RunOptions;
  /** Ends the round at the first failure. */
  readonly isFirstFailureEnough?: boolean;
  /** A time of `performance.now()` after which no further image is made. */
  readonly endMs?: number;
  /** Where images that fail are kept, as the power cut left them. */
  readonly keep?: string;
}

export interface Failure {
  readonly cut: Cut;
  readonly pending: number;
  readonly problems: readonly string[];
}

export interface RoundReport {
  readonly images: number;
  readonly failures: readonly Failure[];
  /** How often what was seen that may be. */
  readonly notes: ReadonlyMap<string, number>;
  readonly events: number;
  readonly requests: number;
  readonly answers: number;
  /** Writes that may have been missing, over all images. */
  readonly pending: number;
}

/** Records, cuts and examines. Throws if the recording itself fails. */
export async function runRound(options: RoundOptions): Promise<RoundReport> {
  const { directory, seed, images: count } = options;
  const random = new Random(seed);
  const recorded = await recordWorkload(options, random);
  using recording = new Recording(`${directory}/events`);
  const { from, to, answers, requests } = recorded;
  const tally = new Tally(recording.length, requests, answers.length);
  using images = new CutImages(recording, directory);
  await using examiner = new Examiner();
  if (options.workload === "recovery") {
    const firsts = chooseCuts({ recording, from, to, answers, random, count: FIRST_CUTS });
    for (const first of firsts) {
      const again = await recordRecovery(options, { first, images, random });
      using recovery = new Recording(`${again.directory}/events`);
      using inner = new CutImages(recovery, again.directory, `${again.directory}/before`);
      const cuts = chooseCuts({
        recording: recovery,
        from: again.from,
        to: again.to,
        answers: [],
        random,
        count: Math.ceil(count / FIRST_CUTS),
      });
      const twice = { cuts, images: inner, recorded: recoveredTwice(recorded, first) };
      await examineCuts({ ...options, directory: again.directory }, { ...twice, examiner, tally });
      Deno.removeSync(again.directory, { recursive: true });
    }
  } else {
    const cuts = chooseCuts({ recording, from, to, answers, random, count });
    await examineCuts(options, { cuts, images, recorded, examiner, tally });
  }
  return tally;
}

/** What a round counts. */
class Tally implements RoundReport {
  readonly failures: Failure[] = [];
  readonly notes = new Map<string, number>();
  images = 0;
  pending = 0;

  constructor(readonly events: number, readonly requests: number, readonly answers: number) {}
}

interface CutsToExamine {
  readonly cuts: readonly Cut[];
  readonly images: CutImages;
  readonly recorded: Recorded;
  readonly examiner: Examiner;
  readonly tally: Tally;
}

async function examineCuts(options: RoundOptions, given: CutsToExamine): Promise<void> {
  const { cuts, images, tally } = given;
  for (const cut of cuts) {
    if (performance.now() > (options.endMs ?? Infinity)) return;
    const path = `${options.directory}/cut`;
    const pending = await images.make(cut, path, new Random(cut.seed));
    const name = `${options.workload}-${options.mode}-${options.seed}-${tally.images}`;
    const kept = options.keep === undefined ? null : `${options.keep}/${name}`;
    if (kept !== null) await copySparse(path, kept);
    const problems = await examineImage(options, { ...given, path, cut });
    tally.images++;
    tally.pending += pending;
    if (problems.length > 0) tally.failures.push({ cut, pending, problems });
    else if (kept !== null) Deno.removeSync(kept);
    if (problems.length > 0 && options.isFirstFailureEnough) return;
  }
}

async function recordWorkload(options: RoundOptions, random: Random): Promise<Recorded> {
  const { directory, recorder, mode, durationMs } = options;
  const flushDelayMaxMs = random.pick([1, 4, 20]);
  await using disk = await RecordedDisk.make({ directory, recorder, mode, flushDelayMaxMs });
  const stage = { disk, random, durationMs, options: options.options ?? {} };
  return await WORKLOADS[options.workload](stage);
}

/** Mounts an image and asks it everything. Returns what must not be. */
async function examineImage(
  { mode, directory }: RoundOptions,
  { path, cut, recorded, examiner, tally }: CutsToExamine & {
    readonly path: string;
    readonly cut: Cut;
  },
): Promise<string[]> {
  const { notes } = tally;
  const problems: string[] = [];
  const note = (text: string) => void notes.set(text, (notes.get(text) ?? 0) + 1);
  const place = `${directory}/mount`;
  const device = await attachLoop(path);
  try {
    const refusal = await mountDevice(device, place, mode);
    if (refusal !== null) {
      // File systems expect blocks of 4,096 bytes to be whole.
      if (cut.survival === "torn sectors") note("not mounted");
      else problems.push(`The file system cannot be mounted: ${refusal}`);
      return problems;
    }
    const random = new Random(cut.seed + 1);
    const trial: Trial = {
      place,
      cut: cut.at,
      random,
      isDeep: random.chance(DEEP_SHARE),
      countd: (...words) => examiner.run(...words),
      problem: (text) => void problems.push(text.replaceAll(place, "")),
      note,
    };
    try {
      await recorded.examine(trial);
    } catch (error) {
      trial.problem(`The examination ended: ${(error as Error).stack}`);
    }
    try {
      await unmount(place);
    } catch {
      await examiner.end();
      await unmount(place);
      problems.push("countd leaves files open after a verb has ended");
    }
    return problems;
  } finally {
    await detachLoop(device);
  }
}
