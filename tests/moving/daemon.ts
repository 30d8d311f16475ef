/** Drives a verb that keeps files open, and finds the outcome of it. */

import type { CountdProcess } from "../support/process.ts";
import { waitUntil } from "../support/wait.ts";
import { commonFault, isNamed, type Outcome } from "./outcome.ts";
import { endOf, type Scene } from "./scene.ts";
import { isReported, isUndetectable } from "./truth.ts";
import type { Verb } from "./verbs.ts";

/** How long a daemon may take until it is ready, or says why not, in milliseconds. */
const READY_MS = 30_000;

/** How long a daemon that answers nothing has to end by itself, in milliseconds. */
const END_MS = 4000;

/** What a daemon answered: refused is an answer in words or in a code of the protocol. */
export type Answered = "right" | "refused" | "wrong" | "nothing";

/** The worse of two. */
export function worse(one: Answered, other: Answered): Answered {
  const order: readonly Answered[] = ["right", "refused", "nothing", "wrong"];
  return order.indexOf(one) > order.indexOf(other) ? one : other;
}

export interface DaemonVerb {
  readonly name: string;
  readonly args: (scene: Scene) => readonly string[];
  /** Command line in place of countd's. */
  readonly command?: (scene: Scene) => readonly string[];
  /** The line of stderr or stdout that says that it is ready. Default: it is at once. */
  readonly ready?: RegExp;
  /** What it does before the event, if that comes while it runs. */
  readonly first?: (process: CountdProcess, scene: Scene) => Promise<unknown>;
  /** Drives it after the event. */
  readonly work: (process: CountdProcess, scene: Scene) => Promise<Work>;
  /** It ends when its stdin does, not by a signal. */
  readonly endsWithInput?: true;
}

export interface Work {
  readonly answered: Answered;
  /** True if what was answered is stored; asked when the process has ended. */
  readonly isKept: () => Promise<boolean>;
}

export function daemonVerb(verb: DaemonVerb): Verb {
  return { name: verb.name, isDaemon: true, drive: (scene) => drive(verb, scene) };
}

async function drive(verb: DaemonVerb, scene: Scene): Promise<Outcome> {
  await using process = verb.command === undefined
    ? scene.start(verb.args(scene))
    : scene.startCommand(verb.command(scene));
  const isReady = await untilReady(process, verb.ready);
  let work: Work = { answered: "nothing", isKept: () => Promise.resolve(true) };
  if (isReady) {
    if (scene.isRunning) {
      await verb.first?.(process, scene);
      await scene.happen(process);
    }
    work = await verb.work(process, scene);
  }
  if (work.answered !== "right") await untilOver(process, END_MS);
  const endedByItself = process.over;
  if (verb.endsWithInput) await process.closeStdin();
  else process.signal("SIGTERM");
  const ended = await endOf(process);
  const said = complaints(process);
  const word = (): string => {
    const fault = commonFault(ended);
    if (fault !== null || ended === null) return fault ?? "HANG";
    const isExplained = isNamed(scene, said);
    if (ended.code !== 0) return isExplained ? `exit ${ended.code}` : `MUTE ${ended.code}`;
    if (endedByItself && !verb.endsWithInput) return isExplained ? "exit 0" : "MUTE 0";
    if (work.answered === "nothing") return isExplained ? "waits" : "MUTE waits";
    if (isExplained) return "named";
    if (work.answered === "refused") return "MUTE refused";
    return work.answered === "right" ? "goes on" : isUndetectable(scene) ? "older" : "WRONG";
  };
  const found = word();
  const all = [...process.stderrLines, ...process.stdoutLines].join("\n");
  // A fault is told first; else what was answered must be there, or be reported as gone.
  if (/^[A-Z]{3}/.test(found) || await work.isKept()) return { word: found, said: all };
  // A file system that was mounted later hides what was stored before; it is not lost.
  if (await scene.uncover() && await work.isKept()) return { word: found, said: all };
  if (await isReported(scene, scene.data)) {
    return { word: found === "goes on" ? "named" : found, said: all };
  }
  if (isUndetectable(scene)) return { word: "older", said: all };
  return { word: "LOST", said: all };
}

/** Lines that tell of trouble. Other events name files as well. */
function complaints(process: CountdProcess): string {
  return [...process.stderrLines, ...process.stdoutLines]
    .filter((line) => /level=(?:warn|error)|^countd: |wait/.test(line)).join("\n");
}

async function untilReady(process: CountdProcess, ready?: RegExp): Promise<boolean> {
  if (ready === undefined) return true;
  const isReady = () =>
    process.stderrLines.some((line) => ready.test(line)) ||
    process.stdoutLines.some((line) => ready.test(line));
  await waitUntil("a daemon that is ready", () => process.over || isReady(), {
    deadlineMs: READY_MS,
  }).catch(() => {});
  return isReady();
}

async function untilOver(process: CountdProcess, deadlineMs: number): Promise<void> {
  await waitUntil("the end of a daemon", () => process.over, { deadlineMs }).catch(() => {});
}
