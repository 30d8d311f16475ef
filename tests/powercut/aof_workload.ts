/**
 * An append-only file under a power cut. Its writer is this file as a program: it appends bytes that tell
 * their offset, syncs, and prints how many are synced.
 */

import { existsSync } from "@std/fs/exists";
import { Aof, Geometry } from "../../src/aof/mod.ts";
import { systemStorage } from "../../src/file/mod.ts";
import { type CountdProcess, startProgram } from "../support/process.ts";
import { Random } from "../support/random.ts";
import { pause, type Recorded, type Stage, succeed, type Trial } from "./workload.ts";

const KILL_EVERY_MS = 800;

/** The byte at an offset: never 0, and different in each page. */
function byteAt(offset: number): number {
  return 1 + ((offset * 7 + Math.floor(offset / 256)) % 250);
}

/** So many bytes were synced, and the newest event when it was said. */
interface Synced {
  readonly bytes: number;
  readonly at: number;
}

export async function aofAppends(stage: Stage): Promise<Recorded> {
  const { disk, random } = stage;
  const path = `${disk.place}/events`;
  const from = disk.now;
  const synced: Synced[] = [];
  disk.startWriteBack(random.next32());
  for (let left = stage.durationMs; left > 0; left -= KILL_EVERY_MS) {
    await using writer = startWriter(path, random.next32());
    const reading = note(writer, disk, synced);
    await pause(Math.min(left, KILL_EVERY_MS));
    if (writer.over) throw new Error(writer.stderrLines.join("\n"));
    await writer.kill();
    await reading;
  }
  return {
    from,
    to: disk.now,
    answers: synced.map(({ at }) => at),
    requests: synced.length,
    examine: (trial) => examineFile(trial, synced),
  };
}

function startWriter(path: string, seed: number): CountdProcess {
  const script = decodeURIComponent(new URL(import.meta.url).pathname);
  const run = [Deno.execPath(), "run", "--quiet", "-A", "--no-check", "--cached-only"];
  return startProgram([...run, script, path, String(seed)]);
}

/** Notes each size that the writer says, until it ends. */
async function note(
  writer: CountdProcess,
  disk: { readonly now: number },
  synced: Synced[],
): Promise<void> {
  for (let line = 0;; line++) {
    const match = await writer.stdoutLine(/^synced (\d+)$/, { from: line }).catch(() => null);
    if (match === null) return;
    synced.push({ bytes: Number(match[1]), at: disk.now });
  }
}

async function examineFile(trial: Trial, synced: readonly Synced[]): Promise<void> {
  const path = `${trial.place}/events`;
  const size = Math.max(0, ...synced.filter(({ at }) => at <= trial.cut).map(({ bytes }) => bytes));
  if (!existsSync(path)) {
    if (size > 0) trial.problem(`the file is gone, ${size} bytes were synced`);
    return trial.note("no file yet");
  }
  const bytes = Deno.readFileSync(path);
  if (bytes.length < size) trial.problem(`the file has ${bytes.length} of ${size} synced bytes`);
  const wrong = bytes.subarray(0, size).findIndex((byte, offset) => byte !== byteAt(offset));
  if (wrong !== -1) trial.problem(`byte ${wrong} of ${size} synced ones is ${bytes[wrong]}`);
  // The file has no checksums: marks that were not synced may be torn, and then nothing tells its end.
  if ((await trial.countd("log", "inspect", path)).code === 6) {
    trial.note("the end is repaired");
    await succeed(trial, "log", "repair", path);
  }
  const text = await succeed(trial, "log", "inspect", path, "--json");
  if (text === null) return;
  const inspected = JSON.parse(text) as { readonly size: string };
  if (Number(inspected.size) < size) {
    trial.problem(`log inspect finds ${inspected.size} of ${size} synced bytes`);
  }
  const again = Deno.readFileSync(path).subarray(0, size);
  if (again.some((byte, offset) => byte !== byteAt(offset))) {
    trial.problem("a repair changes bytes");
  }
}

if (import.meta.main) {
  const [path, seed] = Deno.args as [string, string];
  const random = new Random(Number(seed));
  const geometry = new Geometry({ create: true, sizeUpper: 2 ** 28, growthStep: 2 ** 18 });
  await using aof = Aof.open(systemStorage(), path, { geometry, shared: true });
  while (true) {
    const { size } = aof;
    aof.write(Uint8Array.from({ length: random.between(16, 900) }, (_, at) => byteAt(size + at)));
    await aof.syncAsync();
    console.log(`synced ${aof.size}`);
    await pause(random.between(0, 6));
  }
}
