/**
 * Programs that the tests run as processes of their own: writers that are killed, and tailers.
 *
 *     child.ts write PATH SEED RECORDS PORTIONS   a portion for each line on stdin, then finish
 *     child.ts tail PATH PROGRESS                 follows to EOF; says `ready`, then `end POSITION RECORDS`
 *     child.ts endless PATH SEED                  writes `stream` until it is killed
 *     child.ts steady PATH SEED UPPER             writes `stream` with pauses up to a size, then finishes
 *     child.ts many PATH KIND RECORDS             writes and appends, `alone`, `shared`, or with `garbage`
 *     child.ts die PATH KIND RESERVE COPIED       is killed inside a write after COPIED bytes
 */

import { Aof, Geometry, type ReadEvent, type Tailer } from "../../src/aof/mod.ts";
import { systemStorage } from "../../src/file/mod.ts";
import { dyingPayload, RecordCheck, RecordWriter, stream } from "./streams.ts";

const storage = systemStorage();
const geometry = new Geometry({ create: true, sizeUpper: 2 ** 30, growthStep: 2 ** 20 });
const encoder = new TextEncoder();

function say(line: string): void {
  Deno.stdout.writeSync(encoder.encode(line + "\n"));
}

async function write(path: string, seed: number, records: number, portions: number) {
  using aof = Aof.open(storage, path, { geometry, shared: true });
  const writer = new RecordWriter(seed);
  const portion = Math.ceil(records / portions);
  say("ready");
  for await (const _line of Deno.stdin.readable) {
    for (let count = 0; count < portion && writer.index < records; count++) {
      if (aof.append(writer.nextLength(), writer.fill) === 0) throw new Error("not appended");
    }
    say(`wrote ${writer.index}`);
    if (writer.index === records) break;
  }
  aof.finish();
  say(`end ${aof.size}`);
}

/** Progress is in a file of two numbers, so that a killed tailer goes on where it was. */
async function tail(path: string, progressPath: string) {
  const progress = new Float64Array(2);
  const bytes = new Uint8Array(progress.buffer);
  using file = storage.open(progressPath, { access: "write", create: "missing" });
  file.read(bytes, 0);
  const check = new RecordCheck(progress[1] as number);
  await using aof = Aof.follow(storage, path);
  const ended = Promise.withResolvers<void>();
  const consumer = {
    pollRead(event: ReadEvent) {
      if (event.begin !== progress[0]) throw new Error(`at ${event.begin}, not ${progress[0]}`);
      check.take(event.tail);
      progress[0] = event.end;
      progress[1] = check.index;
      file.write(bytes, 0);
      if (event.eof) ended.resolve();
      return event.end;
    },
    pollReadClosed: ({ reason }: { tailer: Tailer; reason: unknown }) => ended.reject(reason),
  };
  const tailer = aof.subscribeInterval(consumer, { intervalMs: 1, from: progress[0] as number });
  say("ready");
  const failed = setInterval(() => tailer.error !== null && ended.reject(tailer.error), 10);
  await ended.promise.finally(() => clearInterval(failed));
  say(`end ${progress[0]} ${check.index}`);
}

function endless(path: string, seed: number) {
  using aof = Aof.open(storage, path, { geometry, shared: true });
  for (const part of stream(seed)) aof.write(part);
}

async function steady(path: string, seed: number, sizeUpper: number) {
  using aof = Aof.open(storage, path, { geometry: geometry.with({ sizeUpper }) });
  let count = 0;
  for (const part of stream(seed)) {
    if (aof.size + part.length + 8 > sizeUpper) break;
    aof.write(part);
    if (++count % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  }
  aof.finish();
}

/** Dies inside the copy of one write: the append function is killed after some bytes. */
function die(path: string, kind: string, reserve: number, copied: number) {
  using aof = Aof.open(storage, path, { geometry });
  const payload = dyingPayload(kind, reserve);
  aof.write(payload);
  aof.append(reserve, (event) => {
    event.tail.set(payload.subarray(0, copied));
    Deno.kill(Deno.pid, "SIGKILL");
    return reserve;
  });
}

/** Records of 32 bytes. With `garbage` the caller makes a view for each, to show that it is noticed. */
function many(path: string, kind: string, records: number) {
  const record = new Uint8Array(32).fill(7);
  const fill = ({ bytes, begin }: { bytes: Uint8Array; begin: number }) => {
    bytes[begin] = 1;
    return 32;
  };
  const long = geometry.with({ sizeNow: 32 * records + 4096 });
  using aof = Aof.open(storage, path, { geometry: long, shared: kind === "shared" });
  for (let count = 0; count < records / 2; count++) {
    aof.write(kind === "garbage" ? record.subarray() : record);
    aof.append(32, fill);
  }
}

if (import.meta.main) {
  const [mode, path = "", ...rest] = Deno.args;
  const [first = "", second = "", third = ""] = rest;
  if (mode === "write") await write(path, Number(first), Number(second), Number(third));
  else if (mode === "tail") await tail(path, first);
  else if (mode === "endless") endless(path, Number(first));
  else if (mode === "steady") await steady(path, Number(first), Number(second));
  else if (mode === "many") many(path, first, Number(second));
  else if (mode === "die") die(path, first, Number(second), Number(third));
  else throw new Error(`no mode ${mode}`);
}
