/**
 * Tables against the same work done by hand, in one run:
 *
 *     deno run -A tests/bench/table_bench.ts
 *
 * Rounds of both kinds alternate. A read is compared by the fastest round of each, which leaves out what
 * other programs take away; a durable write by the median, because the disk has no fastest. Goals: `get`
 * takes at most 4 times a bare read of the file (it locks, and looks at the name before and after), `set`
 * at most 1.3 times write, fsync, rename and fsync of the directory.
 */

import { systemStorage } from "../../src/file/mod.ts";
import { TableRoot } from "../../src/tables/mod.ts";

interface Comparison {
  readonly name: string;
  /** Microseconds of one call. */
  readonly ours: number;
  readonly byHand: number;
  readonly goal: number;
}

interface Kinds {
  readonly name: string;
  readonly goal: number;
  readonly rounds: number;
  readonly callsPerRound: number;
  /** Which of the rounds counts: 0 the fastest, 0.5 the median. */
  readonly quantile: number;
  ours(): Promise<void>;
  byHand(): void;
}

async function compare(kinds: Kinds): Promise<Comparison> {
  const { rounds, callsPerRound, quantile } = kinds;
  const times: Record<"ours" | "byHand", number[]> = { ours: [], byHand: [] };
  for (let round = 0; round < rounds; round++) {
    const start = performance.now();
    for (let call = 0; call < callsPerRound; call++) await kinds.ours();
    const middle = performance.now();
    for (let call = 0; call < callsPerRound; call++) kinds.byHand();
    times.ours.push(middle - start);
    times.byHand.push(performance.now() - middle);
  }
  const chosen = (list: number[]) =>
    (list.sort((one, other) => one - other)[Math.floor(quantile * (rounds - 1))] as number) * 1000 /
    callsPerRound;
  const { name, goal } = kinds;
  return { name, goal, ours: chosen(times.ours), byHand: chosen(times.byHand) };
}

function writeByHand(directory: string, value: Uint8Array): void {
  {
    using file = Deno.openSync(`${directory}/temporary`, {
      write: true,
      create: true,
      mode: 0o600,
    });
    for (let done = 0; done < value.length;) done += file.writeSync(value.subarray(done));
    file.syncSync();
  }
  Deno.renameSync(`${directory}/temporary`, `${directory}/by-hand.kv`);
  using names = Deno.openSync(directory);
  names.syncSync();
}

async function tableBench(): Promise<Comparison[]> {
  const directory = Deno.makeTempDirSync({ prefix: "countd-bench-" });
  try {
    const root = new TableRoot(systemStorage(), `${directory}/tables`, { lockTimeoutMs: 5000 });
    const comparisons: Comparison[] = [];
    for (const bytes of [100, 4096, 65536]) {
      const value = new Uint8Array(bytes).fill(7);
      await root.set("k", value);
      comparisons.push(
        await compare({
          name: `get ${bytes} B`,
          goal: 4,
          rounds: 40,
          callsPerRound: 2000,
          quantile: 0,
          ours: async () => void await root.get("k"),
          byHand: () => void Deno.readFileSync(`${root.path}/k.kv`),
        }),
        await compare({
          name: `set ${bytes} B`,
          goal: 1.3,
          rounds: 60,
          callsPerRound: 5,
          quantile: 0.5,
          ours: () => root.set("k", value),
          byHand: () => writeByHand(root.path, value),
        }),
      );
    }
    return comparisons;
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

if (import.meta.main) {
  for (const { name, ours, byHand, goal } of await tableBench()) {
    const ratio = ours / byHand;
    const verdict = ratio <= goal ? "met" : "MISSED";
    console.log(
      `${name.padEnd(12)} ${ratio.toFixed(2)} times by hand (goal ${goal}: ${verdict}): ` +
        `${ours.toFixed(1)} µs, by hand ${byHand.toFixed(1)} µs`,
    );
  }
}
