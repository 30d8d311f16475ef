/**
 * How much a test does: its normal form; in a long run its full count, or as much of it as time allows.
 *
 *     COUNTD_TEST_LONG=1      full counts
 *     COUNTD_TEST_SECONDS=N   full counts, as far as N seconds for the test file reach
 *     COUNTD_TEST_END=MS      from this time on, by the wall clock, the normal form is cut short, too
 *
 * A test whose time is over ends in good order. `deno task long` reads what it prints at its end.
 */

import { Random, seedForTest } from "./random.ts";

/** Of a workload that is scaled to the time left, this much, because larger ones cost more for each part. */
const SCALED = 0.7;

export interface TimeLimits {
  readonly isLong: boolean;
  /** For all full counts of the file. */
  readonly seconds: number;
  /** For all normal forms of the file. */
  readonly secondsMax: number;
}

/** The time of one test file, which its full counts share. */
export class TimeShare {
  readonly isLong: boolean;
  readonly isLimited: boolean;
  readonly lastMs: number;
  readonly #endMs: number;
  readonly #waiting = new Map<string, number>();

  constructor(limits: TimeLimits, readonly now: () => number) {
    this.isLong = limits.isLong;
    this.isLimited = Number.isFinite(limits.seconds);
    this.#endMs = now() + limits.seconds * 1000;
    this.lastMs = now() + limits.secondsMax * 1000;
  }

  /** Announces a full count, so that those before it leave time for it. */
  announce(name: string, weight: number): void {
    this.#waiting.set(name, weight);
  }

  /** Begins a full count. Returns when its part of the time ends: that is by weight, of what is left. */
  begin(name: string): number {
    const all = [...this.#waiting.values()].reduce((sum, weight) => sum + weight, 0);
    const part = (this.#waiting.get(name) ?? 1) / Math.max(all, 1);
    this.#waiting.delete(name);
    if (!this.isLimited) return Infinity;
    return this.now() + Math.max(0, this.#endMs - this.now()) * part;
  }
}

/** What the environment says at a time of the wall clock. */
export function timeLimits(
  get: (name: string) => string | undefined,
  wallMs: number,
): TimeLimits {
  const seconds = get("COUNTD_TEST_SECONDS");
  return {
    isLong: seconds !== undefined || get("COUNTD_TEST_LONG") !== undefined,
    seconds: Number(seconds ?? Infinity),
    secondsMax: (Number(get("COUNTD_TEST_END") ?? Infinity) - wallMs) / 1000,
  };
}

const shareOfFile = new TimeShare(
  timeLimits((name) => Deno.env.get(name), Date.now()),
  () => performance.now(),
);

/**
 * The full count of one test. It is made before the tests of its file run, so that they share the time.
 * Each of its methods gives the work piece by piece, and no more of it when the time is over.
 */
export class FullCount {
  readonly #share: TimeShare;
  #endMs: number | null = null;
  #isShort = false;

  /** `weight`: how much of the time of the file it gets, compared with the other full counts there. */
  constructor(
    readonly name: string,
    { weight = 1, share = shareOfFile }: { weight?: number; share?: TimeShare } = {},
  ) {
    this.#share = share;
    share.announce(name, weight);
  }

  get isLong(): boolean {
    return this.#share.isLong;
  }

  /** Whether time decides how much of the full count is done. */
  get isLimited(): boolean {
    return this.#share.isLimited;
  }

  /** Whether not even the normal form was done. What holds after many rounds need not hold then. */
  get isShort(): boolean {
    return this.#isShort;
  }

  /** The numbers from 0: `normal` of them, in a long run `full`. */
  *rounds(normal: number, full: number): Generator<number, void> {
    const count = this.isLong ? full : normal;
    let round = 0;
    for (; round < count && !this.#isOver(round < normal); round++) yield round;
    this.#tell(round, count);
  }

  /** The items of the normal form, and in a long run the others: in random order if time is limited. */
  *choices<T>(items: readonly T[], isNormal: (item: T) => boolean): Generator<T, void> {
    const normal = items.filter(isNormal);
    const others = this.isLong ? items.filter((item) => !isNormal(item)) : [];
    if (this.isLimited) new Random(seedForTest(`${this.name}, order`)).shuffle(others);
    let done = 0;
    for (const item of [...normal, ...others]) {
      if (this.#isOver(done < normal.length)) break;
      yield item;
      done++;
    }
    this.#tell(done, normal.length + others.length);
  }

  /** All items of a normal form: work that a limited long run does before it begins with the full count. */
  *normalForm<T>(items: readonly T[]): Generator<T, void> {
    for (const item of items) {
      if (this.#isOver(true)) return;
      yield item;
    }
  }

  /**
   * The size of a workload that cannot be cut short: `normal`, in a long run `full`. If time is limited,
   * the normal one is followed by a larger one that fits, by the time that the normal one took.
   */
  *sizes(normal: number, full: number): Generator<number, void> {
    if (!this.isLimited) {
      yield this.isLong ? full : normal;
      return this.#tell(full, full);
    }
    if (this.#isOver(true)) return this.#tell(0, full);
    const startMs = this.#share.now();
    yield normal;
    const endMs = this.#share.now();
    const fitting = SCALED * normal * (this.#endMs! - endMs) / Math.max(1, endMs - startMs);
    const size = Math.min(full, Math.floor(fitting));
    if (size > normal) yield size;
    this.#tell(Math.max(normal, size), full);
  }

  #isOver(isNormal: boolean): boolean {
    this.#endMs ??= this.#share.begin(this.name);
    const now = this.#share.now();
    if (isNormal && now >= this.#share.lastMs) this.#isShort = true;
    return now >= (isNormal ? this.#share.lastMs : this.#endMs);
  }

  #tell(done: number, all: number): void {
    if (this.isLong) console.log(`${this.name}: ${done} of ${all} of the full count`);
  }
}

export interface ToldCount {
  readonly name: string;
  readonly done: number;
  readonly all: number;
}

/** What a test file that ended did of its full counts, from its output. */
export function toldCounts(output: string): ToldCount[] {
  return [...output.matchAll(/^(.+): (\d+) of (\d+) of the full count$/gm)].map((
    [, name = "", done, all],
  ) => ({ name, done: Number(done), all: Number(all) }));
}
