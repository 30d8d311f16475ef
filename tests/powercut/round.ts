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
  type FileSystemMode,
  mountDevice,
  RecordedDisk,
  unmount,
} from "./recorded_disk.ts";
import { Recording } from "./recording.ts";
import { tableChanges } from "./table_workload.ts";
import type { Recorded, Trial, Workload } from "./workload.ts";

export const WORKLOADS = {
  "serve": serveCounters,
  "apart": countersApart,
  "steps": countersInSteps,
  "tables": tableChanges,
  "database": databaseSets,
  "aof": aofAppends,
  "admin": adminVerb,
} as const satisfies Record<string, Workload>;

export type WorkloadName = keyof typeof WORKLOADS;

/** Images in which countd is used on with real daemons. */
const DEEP_SHARE = 0.08;

export interface RoundOptions {
  /** A directory in memory that is the round's alone. */
  readonly directory: string;
  readonly recorder: string;
  readonly workload: WorkloadName;
  readonly mode: FileSystemMode;
  readonly seed: number;
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
  const random = new Random(options.seed);
  const recorded = await recordWorkload(options, random);
  const { directory } = options;
  using recording = new Recording(`${directory}/events`);
  const { from, to, answers, requests } = recorded;
  const cuts = chooseCuts({ recording, from, to, answers, random, count: options.images });
  const diskBytes = Deno.statSync(`${directory}/image`).size;
  using images = new CutImages(recording, directory, diskBytes);
  await using examiner = new Examiner();
  const notes = new Map<string, number>();
  const failures: Failure[] = [];
  let made = 0;
  let pending = 0;
  for (const cut of cuts) {
    if (performance.now() > (options.endMs ?? Infinity)) break;
    const path = `${directory}/cut`;
    const missing = await images.make(cut, path, new Random(cut.seed));
    const kept = options.keep === undefined
      ? null
      : `${options.keep}/${options.workload}-${options.mode}-${options.seed}-${cut.at}-${made}`;
    if (kept !== null) await copySparse(path, kept);
    const problems = await examineImage({ path, cut, recorded, examiner, notes, options });
    made++;
    pending += missing;
    if (problems.length > 0) failures.push({ cut, pending: missing, problems });
    else if (kept !== null) Deno.removeSync(kept);
    if (problems.length > 0 && options.isFirstFailureEnough) break;
  }
  const events = recording.length;
  return { images: made, failures, notes, events, requests, answers: answers.length, pending };
}

async function recordWorkload(options: RoundOptions, random: Random): Promise<Recorded> {
  const { directory, recorder, mode, durationMs } = options;
  const flushDelayMaxMs = random.pick([1, 4, 20]);
  await using disk = await RecordedDisk.make({ directory, recorder, mode, flushDelayMaxMs });
  const stage = { disk, random, durationMs, options: options.options ?? {} };
  return await WORKLOADS[options.workload](stage);
}

interface Examination {
  readonly path: string;
  readonly cut: Cut;
  readonly recorded: Recorded;
  readonly examiner: Examiner;
  readonly notes: Map<string, number>;
  readonly options: RoundOptions;
}

/** Mounts an image and asks it everything. Returns what must not be. */
async function examineImage(
  { path, cut, recorded, examiner, notes, options }: Examination,
): Promise<string[]> {
  const { mode, directory } = options;
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
