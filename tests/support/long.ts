/**
 * `deno task long`: every test that has a full count, with it.
 *
 *     deno task long [--minutes N] [--seed S]
 *
 * Test files that have a `FullCount` run in processes of their own, two at a time; the name of a file is
 * printed when it begins, and the output of its process when it ends. With `--minutes` the files share that
 * time by weight: each does at least its normal form and ends when its share is over. No file begins after the
 * last minute, and none is cut off.
 * The seed of all tests comes from the commit, so that each commit tries something else. Prints how much
 * of the full counts was done, and exits with 1 if a test failed.
 */

import { parseArgs } from "@std/cli/parse-args";
import { type ToldCount, toldCounts } from "./full_count.ts";
import { Random } from "./random.ts";
import { weightOf, WEIGHTS } from "./weights.ts";

const AT_ONCE = 2;

export interface LongRun {
  readonly directory: string;
  /** Paths in the directory. */
  readonly files: readonly string[];
  readonly weights: Readonly<Record<string, number>>;
  /** `Infinity`: full counts. */
  readonly minutes: number;
  readonly seed: number;
  /** Takes what the runs print, which looks like the output of the caller. `console.log` by default. */
  readonly print?: (text: string) => void;
}

/** Test files below a directory that have a full count. */
export function filesWithFullCounts(directory: string): string[] {
  const found: string[] = [];
  const look = (folder: string) => {
    for (const { name, isDirectory } of Deno.readDirSync(directory + folder)) {
      const path = folder + name;
      if (isDirectory) look(`${path}/`);
      else if (name.endsWith("_test.ts")) {
        const text = Deno.readTextFileSync(directory + path);
        if (/^import \{ FullCount \} from "/m.test(text)) found.push(path);
      }
    }
  };
  look("");
  return found.sort();
}

export interface LongResult {
  readonly failed: readonly string[];
  /** Files for which no time was left. */
  readonly late: readonly string[];
  readonly counts: ReadonlyMap<string, readonly ToldCount[]>;
}

/** Runs the files, and prints what they did. */
export async function runLong(
  { directory, files, weights, minutes, seed, print = console.log }: LongRun,
): Promise<LongResult> {
  const endMs = performance.now() + minutes * 60_000;
  const weight = (file: string) => weightOf(file, weights);
  const isLimited = Number.isFinite(minutes);
  // Without a limit the longest begin, so that none is last. With one, short full counts leave time to long
  // ones, but not to the longest: it would be alone at the end. Equals take turns by the seed.
  const waiting = new Random(seed).shuffle([...files])
    .sort((left, right) => weight(right) - weight(left));
  if (isLimited) waiting.push(...waiting.splice(1).reverse());
  /** When the running files should have ended. */
  const ends = new Set<{ readonly ms: number }>();
  const failed: string[] = [];
  const late: string[] = [];
  const counts = new Map<string, ToldCount[]>();

  /** The share of a file that begins now, of the time that the running ones leave. */
  const secondsOf = (file: string, now: number) => {
    const taken = [...ends].reduce((sum, { ms }) => sum + Math.max(0, ms - now), 0);
    const all = waiting.reduce((sum, other) => sum + weight(other), weight(file));
    const share = (AT_ONCE * (endMs - now) - taken) * weight(file) / all;
    return Math.min(Math.max(share, 0), endMs - now) / 1000;
  };

  const runNext = async () => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      const now = performance.now();
      if (now >= endMs) {
        late.push(file);
        continue;
      }
      const env: Record<string, string> = { COUNTD_TEST_LONG: "1", COUNTD_TEST_SEED: `${seed}` };
      const seconds = secondsOf(file, now);
      if (isLimited) {
        env["COUNTD_TEST_SECONDS"] = seconds.toFixed(1);
        env["COUNTD_TEST_END"] = (Date.now() + endMs - now).toFixed();
      }
      const end = { ms: now + seconds * 1000 };
      ends.add(end);
      const { success, told } = await runFile(directory, file, env, print);
      if (!success) failed.push(file);
      counts.set(file, told);
      ends.delete(end);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, runNext));
  for (const file of late) print(`no time left: ${file}`);
  for (const file of failed) print(`failed: ${file}`);
  return { failed, late, counts };
}

async function runFile(
  directory: string,
  file: string,
  env: Record<string, string>,
  print: (text: string) => void,
) {
  // A file that hangs prints nothing else.
  print(`begun: ${file}`);
  const start = performance.now();
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    // Types are checked by `deno task ok`, and not again for each file.
    args: ["test", "-A", "--no-check", directory + file],
    env,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const text = new TextDecoder().decode(stdout);
  print(text + new TextDecoder().decode(stderr));
  const told = toldCounts(text);
  const parts = told.filter(({ done, all }) => done < all);
  const what = !success
    ? "FAILED"
    : parts.length === 0
    ? "full count"
    : `${parts.length} of ${told.length} full counts in part: ` +
      parts.map(({ name, done, all }) => `${name} ${done} of ${all}`).join(", ");
  print(`${file}: ${what}, ${Math.round((performance.now() - start) / 1000)} s\n`);
  return { success, told };
}

/** A seed from the commit that is checked out; a random one outside of a repository. */
async function seedOfCommit(): Promise<number> {
  try {
    const { stdout } = await new Deno.Command("git", {
      args: ["rev-parse", "HEAD"],
      cwd: new URL(".", import.meta.url),
      stderr: "null",
    }).output();
    const [begin] = /^[0-9a-f]{8}/.exec(new TextDecoder().decode(stdout)) ?? [];
    if (begin !== undefined) return parseInt(begin, 16);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;
}

if (import.meta.main) {
  const given = parseArgs(Deno.args, { string: ["minutes", "seed"] });
  const minutes = Number(given.minutes ?? Infinity);
  const seed = Number(given.seed ?? await seedOfCommit());
  if (!(minutes > 0) || !Number.isInteger(seed)) {
    console.error("long: --minutes is a number above 0, --seed a whole number");
    Deno.exit(2);
  }
  console.log(`long: --seed ${seed}\n`);
  const directory = decodeURIComponent(new URL("..", import.meta.url).pathname);
  const files = filesWithFullCounts(directory);
  const { failed } = await runLong({ directory, files, weights: WEIGHTS, minutes, seed });
  Deno.exit(failed.length === 0 ? 0 : 1);
}
