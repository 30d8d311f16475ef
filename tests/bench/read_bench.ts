/**
 * Row 5: reads over TCP, a million counters, against Redis.
 *
 *     deno run -A tests/bench/read_bench.ts            (COUNTD_BENCH_SCALE=0.1 for a first look)
 */

import { DataDirectory, describeSelf } from "../../src/counters/commitlog/mod.ts";
import { systemStorage } from "../../src/file/mod.ts";
import { Batch, KeyspaceWriter } from "../../src/counters/keyspace/mod.ts";
import { startCountd, startProgram } from "../support/process.ts";
import { Random } from "../support/random.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { keyBytes, keyTable } from "./key_stream.ts";
import { median, perSecond, reportRow } from "./row.ts";
import { type BenchServer, hasProgram, startRedis } from "./servers.ts";

const scale = Number(Deno.env.get("COUNTD_BENCH_SCALE") ?? "1");
const counters = 1_000_000;
const connections = 4;
const window = 64;
const rounds = 5;

/** Counts in no order, the same for both sides. */
function counts(): Uint32Array {
  const random = new Random(5);
  return Uint32Array.from({ length: counters }, () => random.next32());
}

function fillCountd(data: string): void {
  const storage = systemStorage();
  using directory = DataDirectory.openOrCreate(storage, data, { self: describeSelf(storage) });
  const name = new TextEncoder().encode("bench");
  using writer = KeyspaceWriter.open(storage, directory.paths.keyspaces, name);
  const table = keyTable(counters);
  const values = counts();
  const pairs = Array.from({ length: counters }, (_, key) => {
    const at = key * keyBytes;
    return [table.slice(at, at + keyBytes), BigInt(values[key] ?? 0)] as const;
  });
  writer.apply(Batch.of(pairs), new Map([[0, 1n]]));
  writer.syncPages();
  writer.publish();
  writer.syncMeta();
}

async function fillRedis(port: number): Promise<void> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const table = new TextDecoder().decode(keyTable(counters));
  const values = counts();
  const buffer = new Uint8Array(4096);
  for (let from = 0; from < counters; from += 1000) {
    const words = ["ZADD", "bench"];
    for (let key = from; key < from + 1000; key++) {
      words.push(String(values[key]), table.slice(key * keyBytes, (key + 1) * keyBytes));
    }
    const text = `*${words.length}\r\n${
      words.map((word) => `$${word.length}\r\n${word}\r\n`).join("")
    }`;
    const bytes = new TextEncoder().encode(text);
    for (let sent = 0; sent < bytes.length;) sent += await connection.write(bytes.subarray(sent));
    await connection.read(buffer);
  }
}

/** Milliseconds for so many requests. */
async function ask(
  kind: "countd" | "redis",
  server: BenchServer,
  what: "top" | "rank",
  requests: number,
): Promise<number> {
  const path = decodeURIComponent(new URL("read_sender.ts", import.meta.url).pathname);
  const args = [kind, server.port, what, requests, connections, window, counters].map(String);
  await using sender = startProgram([Deno.execPath(), "run", "-A", path, ...args]);
  await sender.stdoutLine(/^ready$/);
  await sender.writeStdin("\n");
  const [, ms] = await sender.stdoutLine(/^answered (.*)$/, { deadlineMs: 300_000 });
  return Number(ms);
}

async function compare(countd: BenchServer, redis: BenchServer): Promise<void> {
  for (
    const [what, name, full] of [
      ["top", "top-100", 102_400],
      ["rank", "rank of a key", 512_000],
    ] as const
  ) {
    const unit = connections * window;
    const requests = Math.ceil(full * scale / unit) * unit;
    const times = { ours: [] as number[], theirs: [] as number[] };
    for (let round = 0; round <= rounds; round++) {
      const ours = await ask("countd", countd, what, requests);
      const theirs = await ask("redis", redis, what, requests);
      if (round === 0) continue; // both sides warm their caches
      times.ours.push(ours);
      times.theirs.push(theirs);
    }
    const ratio = median(times.theirs) / median(times.ours);
    reportRow({
      id: what === "top" ? "5a" : "5b",
      work: `${name} over TCP, 1 million counters, pipelined`,
      against: what === "top" ? "Redis ZREVRANGE 0 99 WITHSCORES" : "Redis ZREVRANK",
      ours: perSecond(requests, median(times.ours)),
      theirs: perSecond(requests, median(times.theirs)),
      result: `${ratio.toFixed(2)}×`,
      goal: "≥ 1.5×",
      met: ratio >= 1.5,
    });
  }
}

if (!await hasProgram("redis-server")) {
  console.log("not run: needs redis-server");
} else {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    fillCountd(data);
    await using process = startCountd(["read", "--data", data, "--port", "0"]);
    const { port } = await process.listening();
    await using redis = await startRedis(directory, "everysec");
    await fillRedis(redis.port);
    await compare({ port, [Symbol.asyncDispose]: () => Promise.resolve() }, redis);
    await process.stop();
  });
}
