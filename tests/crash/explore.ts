/**
 * Crashes a piece of work, and its recovery, at every point at which it touches the disk.
 *
 * The work runs once to count its persistence operations. Then it runs again for each operation, and stops
 * before or after it. The disk that is left is that of each of several power cuts, or that of a SIGKILL.
 * On each of these disks recovery runs and must satisfy the oracle. Recovery itself is stopped at its own
 * points in the same way (a double crash) before it may finish.
 */

import type { FullCount } from "../support/full_count.ts";
import { Random, seedForTest } from "../support/random.ts";
import { type Cut, enumeratedCuts, journalCut, randomCut } from "../support/simulated_cut.ts";
import {
  type DiskEvent,
  type DiskOptions,
  SimulatedCrash,
  SimulatedDisk,
} from "../support/simulated_disk.ts";

/** Work, recovery and what must be true afterwards. `Oracle` is kept outside the disk. */
export interface Subject<Oracle> {
  readonly name: string;
  readonly disk?: DiskOptions;
  newOracle(): Oracle;
  copyOracle(oracle: Oracle): Oracle;
  /** Equal for oracles that allow the same disks. */
  signature(oracle: Oracle): string;
  /** Prepares the disk for the work; never crashed, and durable when it is done. */
  prepare(disk: SimulatedDisk, oracle: Oracle): void | Promise<void>;
  /** A few operations at most. Tells the oracle what it is about to do, and what was acknowledged. */
  work(disk: SimulatedDisk, oracle: Oracle): void | Promise<void>;
  /** A start after a crash. May be crashed and run again. */
  recover(disk: SimulatedDisk, oracle: Oracle): void | Promise<void>;
  /** Throws if something is lost, doubled or broken. */
  verify(disk: SimulatedDisk, oracle: Oracle): void | Promise<void>;
}

export interface Explored {
  /** Moments at which the work could have been stopped. */
  readonly moments: number;
  /** Moments at which the work was stopped. */
  readonly points: number;
  /** Different disks on which recovery ran. */
  readonly images: number;
  /** Disks that were skipped because an equal disk with an equal oracle had been seen. */
  readonly repeated: number;
  /** Disks on which recovery ran again after it had been stopped itself. */
  readonly doubleImages: number;
  /** Every fault point that the work and its recoveries reached. */
  readonly reached: ReadonlySet<string>;
}

export interface ExploreOptions {
  /** Power cuts at each moment, besides the kill that loses nothing. */
  readonly cuts?: readonly Cut[];
  /** Of all pairs of image and moment of recovery, every n-th is crashed twice; 0 for none. */
  readonly doubleEvery?: number;
  /** Stops only at operations that this accepts; at all if not given. */
  readonly at?: (event: DiskEvent) => boolean;
  /** Which of these operations, and in which order. */
  readonly moments?: (all: readonly DiskEvent[]) => Iterable<DiskEvent>;
}

interface Image<Oracle> {
  readonly disk: SimulatedDisk;
  readonly oracle: Oracle;
  readonly story: string;
}

/** Runs every single crash, and some of the double ones. Throws with the story of the first failure. */
export async function explore<Oracle>(
  subject: Subject<Oracle>,
  options: ExploreOptions = {},
): Promise<Explored> {
  const explorer = new Explorer(subject, options);
  await explorer.run();
  return explorer.result;
}

export interface NormalForm extends ExploreOptions {
  /** Stops at every n-th operation, from a random one on; at every one if not given. */
  readonly every?: number;
}

/**
 * Runs the normal form, in a long run the full one. If time is limited, the normal form is followed by as
 * much of the full one as the time allows, in random order. Returns what the complete one of them explored.
 */
export async function exploreCounted<Oracle>(
  subject: Subject<Oracle>,
  count: FullCount,
  { normal: { every = 1, ...normal }, full }: {
    readonly normal: NormalForm;
    readonly full: ExploreOptions;
  },
): Promise<Explored> {
  const whole = (all: readonly DiskEvent[]) => count.choices(all, () => true);
  if (count.isLong && !count.isLimited) return await explore(subject, { ...full, moments: whole });
  const sample = (all: readonly DiskEvent[]) => {
    if (every === 1) return all;
    const first = new Random(seedForTest(`${count.name}, first operation`)).below(every);
    return all.filter((_, index) => index % every === first);
  };
  const explored = await explore(subject, {
    ...normal,
    moments: (all) => count.normalForm(sample(all)),
  });
  if (!count.isLong) return explored;
  await explore(subject, { ...full, moments: (all) => count.choices(all, () => false) });
  return explored;
}

class Explorer<Oracle> {
  readonly #subject: Subject<Oracle>;
  readonly #cuts: readonly Cut[];
  readonly #doubleEvery: number;
  readonly #at: (event: DiskEvent) => boolean;
  readonly #moments: (all: readonly DiskEvent[]) => Iterable<DiskEvent>;
  readonly #reached = new Set<string>();
  #allMoments = 0;
  #points = 0;
  #images = 0;
  #doubleImages = 0;
  #pairs = 0;
  #repeated = 0;
  readonly #seen = new Set<string>();

  constructor(subject: Subject<Oracle>, options: ExploreOptions) {
    this.#subject = subject;
    this.#cuts = options.cuts ?? enumeratedCuts;
    this.#doubleEvery = options.doubleEvery ?? 0;
    this.#at = options.at ?? (() => true);
    this.#moments = options.moments ?? ((all) => all);
  }

  get result(): Explored {
    return {
      moments: this.#allMoments,
      points: this.#points,
      images: this.#images,
      repeated: this.#repeated,
      doubleImages: this.#doubleImages,
      reached: this.#reached,
    };
  }

  async run(): Promise<void> {
    const whole = await this.#ground();
    const moments: DiskEvent[] = [];
    whole.disk.observer = (event) => {
      if (event.index >= 0 && this.#at(event)) moments.push(event);
    };
    await this.#subject.work(whole.disk, whole.oracle);
    whole.disk.observer = null;
    this.#note(whole.disk);
    await this.#finish({ ...whole, disk: whole.disk.twin(), story: "no crash" });
    this.#allMoments = moments.length;
    for (const { index, when } of this.#moments(moments)) await this.#stopWork(index, when);
  }

  /** A prepared disk whose operations count from 0 again. */
  async #ground(): Promise<{ disk: SimulatedDisk; oracle: Oracle }> {
    const disk = new SimulatedDisk(this.#subject.disk);
    const oracle = this.#subject.newOracle();
    await this.#subject.prepare(disk, oracle);
    disk.syncEverything();
    return { disk: disk.twin(), oracle };
  }

  #note(disk: SimulatedDisk): void {
    for (const point of disk.reached) this.#reached.add(point);
  }

  async #stopWork(index: number, when: DiskEvent["when"]): Promise<void> {
    const { disk, oracle } = await this.#ground();
    const images = await this.#stop(disk, oracle, {
      run: () => this.#subject.work(disk, oracle),
      index,
      when,
      story: "",
    });
    this.#points++;
    for (const image of images) await this.#recoverFrom(image);
  }

  /** Runs something until an operation, and returns the disks that could be left afterwards. */
  async #stop(
    disk: SimulatedDisk,
    oracle: Oracle,
    options: {
      run: () => void | Promise<void>;
      index: number;
      when: DiskEvent["when"];
      story: string;
    },
  ): Promise<Image<Oracle>[]> {
    const images: Image<Oracle>[] = [];
    disk.observer = (event) => {
      if (event.index !== options.index || event.when !== options.when) return;
      const story = `${options.story}stopped ${event.when} operation ${event.index} ` +
        `(${event.kind} ${event.path} of ${event.process}), `;
      const add = (image: SimulatedDisk, what: string) => {
        const key = `${withoutChance(image.digest())}\n${this.#subject.signature(oracle)}`;
        if (this.#seen.has(key)) this.#repeated++;
        else {
          this.#seen.add(key);
          const copy = this.#subject.copyOracle(oracle);
          images.push({ disk: image, oracle: copy, story: story + what });
        }
      };
      add(disk.twin(), "killed");
      for (const cut of this.#cuts) add(disk.powerCut(cut), `power cut that keeps ${cut.name}`);
      throw disk.crash(null);
    };
    await untilCrash(disk, options.run);
    this.#note(disk);
    return images;
  }

  async #recoverFrom(image: Image<Oracle>): Promise<void> {
    const start = image.disk.twin();
    const oracle = this.#subject.copyOracle(image.oracle);
    await this.#finish(image);
    this.#images++;
    if (this.#doubleEvery === 0) return;
    const operations = image.disk.operations;
    for (let index = 0; index < operations; index++) {
      if (this.#pairs++ % this.#doubleEvery !== 0) continue;
      const disk = start.twin();
      const copy = this.#subject.copyOracle(oracle);
      const again = await this.#stop(disk, copy, {
        run: () => this.#subject.recover(disk, copy),
        index,
        when: index % 2 === 0 ? "before" : "after",
        story: `${image.story}; recovery `,
      });
      for (const second of again) {
        await this.#finish(second);
        this.#doubleImages++;
      }
    }
  }

  /** Runs recovery to its end, and asks the oracle. */
  async #finish(image: Image<Oracle>): Promise<void> {
    try {
      await this.#subject.recover(image.disk, image.oracle);
      this.#note(image.disk);
      const operations = image.disk.operations;
      await this.#subject.verify(image.disk.twin(), image.oracle);
      if (image.disk.operations !== operations) throw new Error("Verifying changed the disk");
    } catch (cause) {
      throw new Error(`${this.#subject.name}: ${image.story}: ${(cause as Error).message}`, {
        cause,
      });
    }
  }
}

/** Removes the random digits in the name of an unfinished directory: disks that differ in them are equal. */
function withoutChance(digest: string): string {
  return digest.replaceAll(/\.partial-[0-9a-f]{16}/g, ".partial-");
}

/** Runs work that a crash of its disk may stop; any other error passes through. */
export async function untilCrash(
  disk: SimulatedDisk,
  run: () => void | Promise<void>,
): Promise<void> {
  try {
    await run();
  } catch (error) {
    if (disk.crashed === null) throw error;
  } finally {
    disk.observer = null;
  }
}

/**
 * Runs `body`, and ignores rejected promises of stopped programs in between: nothing awaits them any more,
 * and unfinished work of a dead process is not a failure.
 */
export async function amongTheDead<T>(body: () => Promise<T>): Promise<T> {
  const ignore = (event: PromiseRejectionEvent) => {
    if (event.reason instanceof SimulatedCrash) event.preventDefault();
  };
  globalThis.addEventListener("unhandledrejection", ignore);
  try {
    return await body();
  } finally {
    // The last program has just been stopped: its promises are reported at the end of this turn.
    await new Promise((resolve) => setTimeout(resolve, 0));
    globalThis.removeEventListener("unhandledrejection", ignore);
  }
}

/**
 * Runs one life after the other on the same disk: each is stopped at a random operation by a random cut or
 * a kill, and the last may end. Returns the number of crashes.
 */
export async function randomLives<Oracle>(
  subject: Subject<Oracle>,
  random: Random,
  lives: number,
): Promise<number> {
  let disk = new SimulatedDisk(subject.disk);
  let oracle = subject.newOracle();
  await subject.prepare(disk, oracle);
  disk.syncEverything();
  disk = disk.twin();
  let crashes = 0;
  const story: string[] = [];
  try {
    for (let life = 0; life < lives; life++) {
      const bound = random.pick([5, 30, 120, 400]);
      const stopAt = disk.operations + random.below(bound);
      const cut = random.chance(0.3)
        ? null
        : random.chance(0.5)
        ? randomCut(random)
        : journalCut(random);
      if (random.chance(0.5)) disk.writeBack = { random, chance: 0.1 };
      let kept: Oracle | null = null;
      const current = disk;
      const own = oracle;
      disk.observer = (event) => {
        if (event.index < stopAt || event.when !== "before" || current.crashed !== null) return;
        kept = subject.copyOracle(own);
        story.push(
          `life ${life} stopped at ${event.kind} ${event.path}, ${cut?.name ?? "killed"}`,
        );
        throw current.crash(cut);
      };
      await untilCrash(disk, async () => {
        await subject.recover(current, own);
        await subject.work(current, own);
      });
      const crash: SimulatedCrash | null = disk.crashed;
      if (crash === null) {
        disk = disk.twin();
        continue;
      }
      crashes++;
      disk = crash.disk;
      oracle = kept ?? oracle;
    }
    disk.writeBack = null;
    await subject.recover(disk, oracle);
    await subject.verify(disk.twin(), oracle);
  } catch (cause) {
    throw new Error(
      `${subject.name}, seed ${random.seed}: ${(cause as Error).message}\n${story.join("\n")}`,
      { cause },
    );
  }
  return crashes;
}
