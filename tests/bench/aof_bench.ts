/**
 * Append-only files against plain copies into the same mapping, in one run, so that the ratios say
 * something on any machine:
 *
 *     deno run -A tests/bench/aof_bench.ts
 *
 * Rounds of both kinds alternate, and the fastest round of each is reported: this leaves out the time that
 * other programs take. Goals: writes of 32 bytes at 0.4 of the speed of plain copies or better, of 1 KiB at
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
import { reportRow } from "./row.ts";

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

function timeMs(body: () => void): number {
  const start = performance.now();
  body();
  return performance.now() - start;
}

interface Rounds {
  readonly id: string;
  readonly work: string;
  readonly against: string;
  /** Least ratio of plain to ours, or null for a row without a goal. */
  readonly goal: number | null;
  /** Bytes of one record (or of one piece read), and how many a round has. */
  readonly unit: string;
  readonly count: number;
  /** Milliseconds of one round. */
  ours(): number | Promise<number>;
  plain(): number | Promise<number>;
}

async function compare({ id, work, against, goal, unit, count, ...ways }: Rounds): Promise<void> {
  let oursMs = Infinity;
  let plainMs = Infinity;
  for (let round = 0; round < rounds; round++) {
    oursMs = Math.min(oursMs, await ways.ours());
    plainMs = Math.min(plainMs, await ways.plain());
  }
  const ratio = plainMs / oursMs;
  const time = (totalMs: number) => `${(totalMs * 1e6 / count).toFixed(1)} ns for ${unit}`;
  reportRow({
    id,
    work,
    against,
    ours: time(oursMs),
    theirs: time(plainMs),
    result: `${ratio.toFixed(2)} of its speed`,
    goal: goal === null ? "" : `at least ${goal}`,
    met: goal === null ? null : ratio >= goal,
  });
}

function openAof(file: StoredFile, mapping: Mapping): Aof {
  const geometry = new Geometry({ sizeNow: fileSize, sizeUpper: fileSize });
  return Aof.over(file, { geometry, recovery: fromNothing, mapping });
}

function writes(file: StoredFile, mapping: Mapping, { id, recordBytes, goal }: {
  readonly id: string;
  readonly recordBytes: number;
  readonly goal: number;
}): Promise<void> {
  const record = new Uint8Array(recordBytes).fill(7);
  const count = Math.floor((fileSize - 8) / recordBytes);
  return compare({
    id,
    work: `Writing records of ${recordBytes} bytes to an append-only file`,
    against: "plain copies into the same mapping",
    goal,
    unit: `${recordBytes} B`,
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
function tailing(file: StoredFile, mapping: Mapping): Promise<void> {
  const aof = openAof(file, mapping);
  const piece = 65536;
  aof.append(fileSize - piece, () => fileSize - piece);
  const words = (bytes: Uint8Array) =>
    new Float64Array(bytes.buffer, bytes.byteOffset, bytes.length / 8);
  return compare({
    id: "aof 3",
    work: "Tailing a file in pieces of 64 KiB and adding it up",
    against: "one pass over the same bytes",
    goal: null,
    unit: "1 KiB",
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

const directory = Deno.makeTempDirSync({ prefix: "countd-bench-" });
try {
  using file = systemStorage().open(`${directory}/log`, { access: "write", create: "missing" });
  file.allocate(0, fileSize);
  using mapping = file.map(fileSize, "write");
  // Touch all pages before the measurement.
  mapping.bytes.fill(0);
  await writes(file, mapping, { id: "aof 1", recordBytes: 32, goal: 0.4 });
  await writes(file, mapping, { id: "aof 2", recordBytes: 1024, goal: 0.8 });
  await tailing(file, mapping);
} finally {
  Deno.removeSync(directory, { recursive: true });
}
