/**
 * The model of a disk: which bytes it may hold after its power was cut. What was answered before a flush
 * began that has ended is there. Each later write is there, absent, or there in some of its sectors, each
 * independently of the others.
 */

import type { Random } from "../support/random.ts";
import { must } from "./recorded_disk.ts";
import type { Recording } from "./recording.ts";

const SECTOR_BYTES = 512;
const BLOCK_BYTES = 4096;

/** How the writes that are not durable yet survive; more than one entry makes a choice likelier. */
const SURVIVALS = [
  "none",
  "none",
  "all",
  "first ones",
  "last ones",
  "all but one",
  "one alone",
  "one in ten",
  "half",
  "half",
  "nine in ten",
  "torn sectors",
  "torn sectors",
  "torn blocks",
] as const;

export type Survival = (typeof SURVIVALS)[number];

export interface Cut {
  /** The number of the last event before the cut. */
  readonly at: number;
  readonly survival: Survival;
  readonly seed: number;
}

export interface CutChoice {
  readonly recording: Recording;
  /** The cuts are after the first of these events and not after the last. */
  readonly from: number;
  readonly to: number;
  /** Numbers at which something was answered. */
  readonly answers: readonly number[];
  readonly random: Random;
  readonly count: number;
}

/** Chooses cuts in the order of their events. */
export function chooseCuts({ recording, from, to, answers, random, count }: CutChoice): Cut[] {
  const last = Math.min(to, recording.length);
  const all = Array.from({ length: Math.max(0, last - from) }, (_, index) => from + 1 + index);
  if (all.length === 0) return [];
  const answered = answers.filter((at) => at > from && at <= last);
  const orElse = (some: number[], other: number[]) => some.length > 0 ? some : other;
  const busy = orElse(all.filter((at) => recording.pendingAt(at) >= 3), all);
  const flushed = orElse(all.filter((at) => recording.event(at).kind === "flush ended"), all);
  // When directories and files get their first names.
  const early = all.slice(0, Math.ceil(all.length / 10));
  const busyAnswers = answered.filter((at) => recording.pendingAt(at) >= 2);
  const cuts = Array.from({ length: count }, (): Cut => {
    const seed = random.next32();
    // Right behind a flush nothing is pending that an answer may rest on, so the answer must hold.
    if (random.chance(0.3)) {
      return { at: random.pick(flushed), survival: random.pick(["none", "none", "half"]), seed };
    }
    const places = random.pick([
      all,
      early,
      orElse(answered, all),
      orElse(busyAnswers, all),
      busy,
      busy,
      busy,
    ]);
    return { at: random.pick(places), survival: random.pick(SURVIVALS), seed };
  });
  return cuts.sort((left, right) => left.at - right.at);
}

/** Copies a file without its zeros. */
export async function copySparse(from: string, to: string): Promise<void> {
  await must("cp", "--sparse=always", from, to);
}

/** Makes images of one recording, in `directory`. Each cut is at or after the one before it. */
export class CutImages implements Disposable {
  readonly #durable: Deno.FsFile;
  readonly #durablePath: string;
  #applied = 0;

  /** `durable` is the disk before the first event. Default: zeros. It is changed. */
  constructor(readonly recording: Recording, directory: string, durable?: string) {
    this.#durablePath = durable ?? `${directory}/durable`;
    this.#durable = Deno.openSync(this.#durablePath, { write: true, create: true });
    this.#durable.truncateSync(Deno.statSync(`${directory}/image`).size);
  }

  /** Writes the image of a cut to `path`, and returns how many writes it may lack. */
  async make({ at, survival }: Cut, path: string, random: Random): Promise<number> {
    const durable = this.recording.durableAt(at);
    if (durable < this.#applied) throw new Error("Cuts are made in their order");
    for (const write of this.recording.writes(this.#applied, durable)) {
      store(this.#durable, write.offset, this.recording.bytesOf(write));
    }
    // A file system is made of zeros for the most part.
    if (this.#applied === 0) await must("fallocate", "--dig-holes", this.#durablePath);
    this.#applied = durable;
    await copySparse(this.#durablePath, path);
    using image = Deno.openSync(path, { write: true });
    const pending = [...this.recording.writes(durable, at)];
    const survives = survivors(survival, pending.length, random);
    for (const [index, write] of pending.entries()) {
      const bytes = this.recording.bytesOf(write);
      for (const [begin, end] of survives(index, bytes.length)) {
        store(image, write.offset + begin, bytes.subarray(begin, end));
      }
    }
    return pending.length;
  }

  [Symbol.dispose](): void {
    this.#durable.close();
  }
}

type Ranges = Iterable<readonly [begin: number, end: number]>;

/** Which ranges of the bytes of a pending write are on the disk. */
function survivors(
  survival: Survival,
  count: number,
  random: Random,
): (index: number, length: number) => Ranges {
  const one = random.below(Math.max(1, count));
  const boundary = random.between(0, count);
  const whole = (isThere: (index: number) => boolean) => (index: number, length: number): Ranges =>
    isThere(index) ? [[0, length]] : [];
  switch (survival) {
    case "none":
      return whole(() => false);
    case "all":
      return whole(() => true);
    case "first ones":
      return whole((index) => index < boundary);
    case "last ones":
      return whole((index) => index >= boundary);
    case "all but one":
      return whole((index) => index !== one);
    case "one alone":
      return whole((index) => index === one);
    case "one in ten":
      return whole(() => random.chance(0.1));
    case "half":
      return whole(() => random.chance(0.5));
    case "nine in ten":
      return whole(() => random.chance(0.9));
    case "torn sectors":
      return (_, length) => tear(length, SECTOR_BYTES, random);
    case "torn blocks":
      return (_, length) => tear(length, BLOCK_BYTES, random);
  }
}

/** A write of which any units are there: sometimes all, sometimes none. */
function* tear(length: number, unitBytes: number, random: Random): Ranges {
  const share = random.pick([0, 0.1, 0.5, 0.9, 1]);
  for (let begin = 0; begin < length; begin += unitBytes) {
    if (random.chance(share)) yield [begin, Math.min(begin + unitBytes, length)];
  }
}

function store(file: Deno.FsFile, offset: number, bytes: Uint8Array): void {
  file.seekSync(offset, Deno.SeekMode.Start);
  for (let done = 0; done < bytes.length;) done += file.writeSync(bytes.subarray(done));
}
