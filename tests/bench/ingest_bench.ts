/**
 * Rows 1 to 3: increments over TCP.
 *
 *     deno run -A tests/bench/ingest_bench.ts [ROW …]
 *
 * Rounds of both sides alternate, and the median of each counts. Each server is new in every round. Before
 * the measurement it takes as many increments once, to be in the state of a server that runs for a while.
 * `COUNTD_BENCH_SCALE=0.1` takes a tenth of the increments, for a first look.
 */

import { keyspacePath, KeyspaceReader } from "../../src/counters/keyspace/mod.ts";
import { systemStorage } from "../../src/file/mod.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { median, perSecond, reportRow } from "./row.ts";
import {
  type BenchServer,
  hasProgram,
  prepareSender,
  startDropServer,
  startRedis,
  startWriter,
} from "./servers.ts";

const scale = Number(Deno.env.get("COUNTD_BENCH_SCALE") ?? "1");
const count = Math.round(5_000_000 * scale);
const keys = 100_000;
const rounds = 5;
/** Rows to measure: all, if none are named. */
const wanted = Deno.args;

type Side = "countd" | "drop" | "redis";

async function round(
  side: Side,
  start: (directory: string) => Promise<BenchServer>,
  options: {
    readonly connections: number;
    readonly window: number;
    /** Waits until the counters sum to so many increments. */
    readonly until?: (sum: number, directory: string, port: number) => Promise<void>;
  },
): Promise<number> {
  return await withTemporaryDirectory(async (directory) => {
    await using server = await start(directory);
    const { port } = server;
    const send = async (count: number, sum: number) => {
      const sender = await prepareSender(side, port, { count, keys, ...options });
      const startMs = performance.now();
      await sender.send();
      await options.until?.(sum, directory, port);
      return performance.now() - startMs;
    };
    await send(count, count);
    return await send(count, 2 * count);
  });
}

/** Sum of all counters; exact below 2^53. */
function sumOf(reader: KeyspaceReader): number {
  const { bytes, rows } = reader.page(0, reader.total);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  let sum = 0;
  let at = 0;
  for (let row = 0; row < rows; row++) {
    sum += view.getUint32(at, true) + view.getInt32(at + 4, true) * 2 ** 32;
    at += 10 + view.getUint16(at + 8, true);
  }
  return sum;
}

/** Until every increment is in the keyspace file. */
async function untilFolded(sum: number, directory: string): Promise<void> {
  const storage = systemStorage();
  const path = keyspacePath(`${directory}/data/keyspaces`, new TextEncoder().encode("bench"));
  const pause = () => new Promise((resolve) => setTimeout(resolve, 5));
  while (storage.statusOrNull(path) === null) await pause();
  using reader = KeyspaceReader.open(storage, path);
  while (sumOf(reader) !== sum) {
    // Adding all counters up takes a while, so it is done only after a change.
    do await pause(); while (!reader.refresh());
  }
}

/** Until the members' scores sum to the increments. */
async function untilRedisAgrees(
  wanted: number,
  _directory: string,
  port: number,
): Promise<void> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  await connection.write(
    new TextEncoder().encode(
      "*5\r\n$6\r\nZRANGE\r\n$5\r\nbench\r\n$1\r\n0\r\n$2\r\n-1\r\n" +
        "$10\r\nWITHSCORES\r\n",
    ),
  );
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(1 << 20);
  let text = "";
  for (;;) {
    const read = await connection.read(buffer);
    if (read === null) throw new Error("Redis closed the connection");
    text += decoder.decode(buffer.subarray(0, read), { stream: true });
    const lines = text.split("\r\n");
    const expected = Number(lines[0]?.slice(1)) * 2 + 2;
    if (lines.length < expected) continue;
    let sum = 0;
    for (let at = 4; at < expected; at += 4) sum += Number(lines[at]);
    if (sum !== wanted) throw new Error(`Redis counted ${sum} of ${wanted}`);
    return;
  }
}

async function compare(
  row: { id: string; work: string; against: string; goal: number },
  ours: () => Promise<number>,
  theirs: () => Promise<number>,
): Promise<void> {
  if (wanted.length > 0 && !wanted.includes(row.id)) return;
  const times = { ours: [] as number[], theirs: [] as number[] };
  for (let index = 0; index < rounds; index++) {
    times.ours.push(await ours());
    times.theirs.push(await theirs());
  }
  const ratio = median(times.theirs) / median(times.ours);
  reportRow({
    ...row,
    ours: perSecond(count, median(times.ours)),
    theirs: perSecond(count, median(times.theirs)),
    result: `${ratio.toFixed(ratio < 10 ? 2 : 1)}×`,
    goal: `≥ ${row.goal}×`,
    met: ratio >= row.goal,
  });
}

const million = `${count / 1e6} million increments, 100,000 keys, Zipf 1.0`;

await compare(
  {
    id: "3",
    work: `${million}: bytes accepted on the write port, no worker`,
    against: "a Deno server that reads and drops the same bytes",
    goal: 0.5,
  },
  () =>
    round("countd", (directory) => startWriter(directory, { worker: false }), {
      connections: 1,
      window: 0,
    }),
  () => round("drop", startDropServer, { connections: 1, window: 0 }),
);

if (!await hasProgram("redis-server")) {
  console.log("not run: needs redis-server");
} else {
  await compare(
    {
      id: "1",
      work: `${million}, over TCP, folded at the same time, until all are in the keyspace`,
      against: "Redis ZINCRBY, pipeline 100, AOF everysec",
      goal: 20,
    },
    () =>
      round(
        "countd",
        (directory) => startWriter(directory, { worker: true }),
        {
          connections: 4,
          window: 0,
          until: untilFolded,
        },
      ),
    () =>
      round("redis", (directory) => startRedis(directory, "everysec"), {
        connections: 4,
        window: 100,
        until: untilRedisAgrees,
      }),
  );
  await compare(
    {
      id: "2",
      work: `${million}, answered when durable, 32 connections, windows of 100`,
      against: "Redis ZINCRBY, pipeline 100, appendfsync always",
      goal: 8,
    },
    () =>
      round(
        "countd",
        (directory) => startWriter(directory, { worker: true, more: ["--ack"] }),
        {
          connections: 32,
          window: 100,
          until: untilFolded,
        },
      ),
    () =>
      round("redis", (directory) => startRedis(directory, "always"), {
        connections: 32,
        window: 100,
        until: untilRedisAgrees,
      }),
  );
}
