/** One cell: files of its own, what happens to one of them, and how a verb is started on them. */

import {
  countdCommand,
  type CountdProcess,
  type Ended,
  startCountd,
  startProgram,
} from "../support/process.ts";
import { giveIfOrdinary } from "./events.ts";
import type { Event, Target } from "./events.ts";
import type { Kind } from "./kinds.ts";
import { unmountBelow } from "./mounted.ts";
import { copyTree, type Sample } from "./sample.ts";

/** After so long a verb hangs, in milliseconds. */
export const HANG_MS = 30_000;

export interface SceneOptions {
  readonly kind: Kind;
  readonly event: Event;
  readonly sample: Sample;
  /** The directory of the cell: empty, and removed afterwards. */
  readonly root: string;
  /** The event comes while the verb runs. */
  readonly isRunning: boolean;
  /** The verb reads the backup, so something happens to the file in it. */
  readonly isInBackup: boolean;
}

export class Scene {
  readonly kind: Kind;
  readonly event: Event;
  readonly isRunning: boolean;
  /** What `--data` names. */
  readonly data: string;
  readonly backup: string;
  readonly aof: string;
  /** A path for what a verb makes. */
  readonly out: string;
  readonly #options: SceneOptions;
  readonly #base: string;

  private constructor(options: SceneOptions) {
    const { kind, event, root, isRunning } = options;
    this.#options = options;
    this.kind = kind;
    this.event = event;
    this.isRunning = isRunning;
    this.backup = `${root}/files/backup`;
    this.aof = `${root}/files/aof`;
    this.data = kind.name === "backup.json" ? this.backup : `${root}/files/data`;
    this.out = `${root}/out`;
    this.#base = kind.holds === "bytes" ? this.aof : options.isInBackup ? this.backup : this.data;
  }

  /** Makes the files, and lets the event happen unless it comes later. */
  static async make(options: SceneOptions): Promise<Scene> {
    const { root, sample, event, isRunning } = options;
    await copyTree(sample.now, `${root}/files`);
    Deno.mkdirSync(`${root}/aside`);
    giveIfOrdinary(event, root);
    const scene = new Scene(options);
    const target = scene.target();
    await event.prepare?.(target);
    if (!isRunning) await event.happen?.(target, null);
    return scene;
  }

  /** The file, as it is now: daemons hold a log and a report of their own. */
  target(daemon?: CountdProcess): Target {
    const { kind, sample, root } = this.#options;
    const held = daemon === undefined ? {} : this.#heldBy(daemon);
    const path = kind.file(this.#base, { ...sample, ...held });
    const within = path.slice(`${root}/files`.length);
    const name = path.slice(path.lastIndexOf("/") + 1);
    const folder = path.slice(0, -name.length - 1);
    const older = `${sample.older}${within}`;
    return {
      path,
      names: kind.name === "log" ? [`${folder}/lock-${name}`] : [],
      isDirectory: kind.isDirectory === true,
      folder,
      older: exists(older) ? older : kind.file(`${sample.older}/data`, sample),
      aside: `${root}/aside`,
      root,
    };
  }

  #heldBy(daemon: CountdProcess): Partial<Pick<Sample, "log" | "report">> {
    const names = (folder: string) =>
      exists(`${this.data}/${folder}`)
        ? [...Deno.readDirSync(`${this.data}/${folder}`)].map(({ name }) => name).sort()
        : [];
    const log = names("logs").find((name) => name.startsWith("lock-"))?.slice("lock-".length);
    const report = names("run").find((name) => name.endsWith(`-${daemon.pid}`));
    return { ...log === undefined ? {} : { log }, ...report === undefined ? {} : { report } };
  }

  /** The event comes to the file of a running daemon. */
  async happen(daemon: CountdProcess): Promise<void> {
    await this.event.happen?.(this.target(daemon), daemon.pid);
  }

  /** Takes away the file system that was mounted while the verb ran; false if there is none. */
  async uncover(): Promise<boolean> {
    if (!this.isRunning || this.event.name !== "other file system") return false;
    await unmountBelow(this.#options.root);
    return true;
  }

  /** Starts countd under the event. */
  start(args: readonly string[]): CountdProcess {
    return this.startCommand(this.#command(args));
  }

  #command(args: readonly string[]): string[] {
    return countdCommand(args, this.event.asOrdinary ? { as: "ordinary" } : {});
  }

  /** Starts any command line under the event. */
  startCommand(command: readonly string[]): CountdProcess {
    const { wrap } = this.event;
    const isWrapped = wrap !== undefined && !this.isRunning;
    return startProgram(isWrapped ? wrap(this.target(), command) : command);
  }

  /** Runs countd under the event; null if it hangs. `through` adds a command around it. */
  async run(
    args: readonly string[],
    through: (command: readonly string[]) => readonly string[] = (command) => command,
  ): Promise<Ended | null> {
    return await endOf(this.startCommand(through(this.#command(args))));
  }

  /** Runs countd afterwards, without faults of system calls and as the user of the tests. */
  async runAfterwards(args: readonly string[]): Promise<Ended | null> {
    return await endOf(startCountd(args));
  }
}

/** The end of a process, null if it hangs. */
export async function endOf(started: CountdProcess): Promise<Ended | null> {
  await using process = started;
  try {
    return await process.ended({ deadlineMs: HANG_MS });
  } catch {
    return null;
  }
}

export function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}
