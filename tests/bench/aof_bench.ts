/**
 * Append-only files against plain copies into the same mapping, in one run, so that the ratios say
 * something on any machine:
 *
 *     deno run -A tests/bench/aof_bench.ts
 *
 * Rounds of both kinds alternate, and the fastest round of each is told: what other programs take away
 * meanwhile is left out. Goals: writes of 32 bytes at 0.4 of the plain copies or better, of 1 KiB at
 * 0.8.
 */

import {
  Aof,
  Geometry,
  magicDefault,
  Recovery,
  RecoveryKind,
  type RecoveryResult,
} from "../../src/aof/mod.ts";
import { type Mapping, type StoredFile, systemStorage } from "../../src/file/mod.ts";

const fileSize = 32 * 1024 * 1024;
const rounds = 40;

/** Starts from nothing whatever the file holds; the instance then zeroes it. */
const fromNothing = new Recovery({
  magic: magicDefault,
  func: (size, _data, magic): RecoveryResult => ({
    magic,
    outcome: RecoveryKind.Tail,
    fileSize: size,
    checkpoint: 0,
    tail: 0,
    err: null,
  }),
});

export interface Comparison {
  readonly name: string;
  /** Nanoseconds for one record (or for one KiB read) in the fastest round. */
  readonly ours: number;
  readonly plain: number;
  /** plain / ours: 1 is as fast as the plain way. */
  readonly ratio: number;
  readonly goal: number;
}

function timeMs(body: () => void): number {
  const start = performance.now();
  body();
  return performance.now() - start;
}

interface Rounds {
  readonly goal: number;
  /** Records, or KiB, in one round. */
  readonly count: number;
  /** Milliseconds of one round. */
  ours(): number | Promise<number>;
  plain(): number | Promise<number>;
}

async function compare(name: string, { goal, count, ours, plain }: Rounds): Promise<Comparison> {
  let oursMs = Infinity;
  let plainMs = Infinity;
  for (let round = 0; round < rounds; round++) {
    oursMs = Math.min(oursMs, await ours());
    plainMs = Math.min(plainMs, await plain());
  }
  const [oursNs, plainNs] = [oursMs * 1e6 / count, plainMs * 1e6 / count];
  return { name, ours: oursNs, plain: plainNs, ratio: plainMs / oursMs, goal };
}

function openAof(file: StoredFile, mapping: Mapping): Aof {
  const geometry = new Geometry({ sizeNow: fileSize, sizeUpper: fileSize });
  return Aof.over(file, { geometry, recovery: fromNothing, mapping });
}

function writes(
  file: StoredFile,
  mapping: Mapping,
  { recordBytes, goal }: { readonly recordBytes: number; readonly goal: number },
): Promise<Comparison> {
  const record = new Uint8Array(recordBytes).fill(7);
  const count = Math.floor((fileSize - 8) / recordBytes);
  return compare(`write ${recordBytes} B`, {
    goal,
    count,
    ours() {
      const aof = openAof(file, mapping);
      return timeMs(() => {
        for (let index = 0; index < count; index++) aof.write(record);
      });
    },
    plain() {
      const { bytes } = mapping;
      bytes.fill(0);
      return timeMs(() => {
        for (let index = 0; index < count; index++) bytes.set(record, index * recordBytes);
      });
    },
  });
}

function sum(words: Float64Array): number {
  let total = 0;
  for (let index = 0; index < words.length; index++) total += words[index] as number;
  return total;
}

/** A tailer that adds up what it is shown, in pieces of 64 KiB, against one pass over the bytes. */
function tailing(file: StoredFile, mapping: Mapping): Promise<Comparison> {
  const aof = openAof(file, mapping);
  const piece = 65536;
  aof.append(fileSize - piece, () => fileSize - piece);
  const words = (bytes: Uint8Array) =>
    new Float64Array(bytes.buffer, bytes.byteOffset, bytes.length / 8);
  return compare("tail, for 1 KiB", {
    goal: 0,
    count: aof.size / 1024,
    plain: () => timeMs(() => sum(words(mapping.bytes.subarray(0, aof.size)))),
    async ours() {
      const done = Promise.withResolvers<number>();
      const start = performance.now();
      const tailer = aof.subscribe({
        pollRead(event) {
          const end = Math.min(event.begin + piece, event.end);
          sum(words(event.tail.subarray(0, end - event.begin)));
          if (end === event.end) done.resolve(performance.now() - start);
          return end;
        },
        pollReadClosed: () => {},
      });
      const elapsedMs = await done.promise;
      tailer.close();
      return elapsedMs;
    },
  });
}

/** Runs in a directory of its own, which goes afterwards. */
export async function aofBench(): Promise<Comparison[]> {
  const directory = Deno.makeTempDirSync({ prefix: "countd-bench-" });
  try {
    using file = systemStorage().open(`${directory}/log`, { access: "write", create: "missing" });
    file.allocate(0, fileSize);
    using mapping = file.map(fileSize, "write");
    mapping.populate(0, fileSize);
    return [
      await writes(file, mapping, { recordBytes: 32, goal: 0.4 }),
      await writes(file, mapping, { recordBytes: 1024, goal: 0.8 }),
      await tailing(file, mapping),
    ];
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

if (import.meta.main) {
  for (const { name, ours, plain, ratio, goal } of await aofBench()) {
    const times = `${ours.toFixed(1)} ns, plain ${plain.toFixed(1)} ns`;
    const wanted = goal === 0
      ? ""
      : ratio >= goal
      ? ` (goal ${goal}: met)`
      : ` (goal ${goal}: MISSED)`;
    console.log(`${name.padEnd(16)} ratio ${ratio.toFixed(2)}${wanted}: ${times}`);
  }
}
