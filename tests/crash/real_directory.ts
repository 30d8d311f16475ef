/** Helpers of the tests on real daemons: start them on a small data directory, and read what is stored. */

import { assertEquals } from "@std/assert";
import { WriteClient } from "../../src/counters/client/mod.ts";
import { checkDirectory } from "../../src/admin/mod.ts";
import { describeSelf } from "../../src/counters/commitlog/mod.ts";
import { systemStorage } from "../../src/file/mod.ts";
import { KeyspaceReader, listKeyspaces } from "../../src/counters/keyspace/mod.ts";
import { decodeRows } from "../../src/counters/wire/mod.ts";
import {
  type CountdProcess,
  type Ended,
  runCountd,
  type RunOptions,
  startCountd,
} from "../support/process.ts";
import { sizes } from "./load_plan.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export const smallWrite: readonly string[] = [
  "--ack",
  "--port=0",
  "--log-size=65536",
  "--sync-interval=20ms",
  `--keyspace-size=${sizes.keyspaceSize}`,
  `--key-size=${sizes.keySize}`,
];

/** Starts a writer on `data`, with an order of `COUNTD_FAULT` or without. */
export function startWriter(
  data: string,
  options: { readonly fault?: string; readonly args?: readonly string[] } & RunOptions = {},
): CountdProcess {
  const { fault, args = [], ...rest } = options;
  const env = { ...rest.env, ...fault === undefined ? {} : { COUNTD_FAULT: fault } };
  return startCountd(["write", `--data=${data}`, ...smallWrite, ...args], { ...rest, env });
}

export function startWorker(
  data: string,
  options: { readonly fault?: string } = {},
): CountdProcess {
  const env: Record<string, string> = options.fault === undefined
    ? {}
    : { COUNTD_FAULT: options.fault };
  return startCountd(["worker", `--data=${data}`], { env });
}

/** Runs `countd worker --once`; throws unless it succeeds. */
export async function foldEverything(data: string): Promise<Ended> {
  const ended = await runCountd(["worker", "--once", `--data=${data}`]);
  assertEquals(ended.code, 0, `worker --once: ${ended.stderr}`);
  return ended;
}

export interface Sent {
  readonly attempted: number;
  /** Increments that were answered with WIN, or counted in the totals. */
  readonly acknowledged: number;
  readonly hasTotals: boolean;
}

/** Sends `count` increments of 1, each to its own key `PREFIX-n` of `keyspaces` in turn. */
export async function sendOnes(
  port: number,
  options: {
    readonly prefix: string;
    readonly count: number;
    readonly keyspaces: readonly string[];
  },
): Promise<Sent> {
  const { prefix, count, keyspaces } = options;
  using client = await WriteClient.connect({ hostname: "127.0.0.1", port }, sizes);
  try {
    for (let index = 0; index < count; index++) {
      const keyspace = encoder.encode(keyspaces[index % keyspaces.length] ?? "one");
      await client.increment(keyspace, encoder.encode(`${prefix}-${index}`), 1n);
      // Small pieces, for many frames.
      if (index % 50 === 49) await client.flush();
    }
    const totals = await client.finish();
    return { attempted: count, acknowledged: Number(totals.accepted), hasTotals: true };
  } catch {
    return { attempted: count, acknowledged: client.answeredMessages, hasTotals: false };
  }
}

/** Counters by `KEYSPACE KEY`, as the keyspace files have them. */
export function storedCounters(data: string): Map<string, bigint> {
  const storage = systemStorage();
  const totals = new Map<string, bigint>();
  for (const { name, path } of listKeyspaces(storage, `${data}/keyspaces`)) {
    using reader = KeyspaceReader.open(storage, path);
    const page = reader.page(0, reader.total);
    for (const { key, value } of decodeRows(page.bytes, page.rows)) {
      totals.set(`${decoder.decode(name)} ${decoder.decode(key)}`, value);
    }
  }
  return totals;
}

/**
 * Compares what `sendOnes` sent with what is stored: each of the first `acknowledged` increments is there
 * once, each of the others once or not at all. Returns how many are there.
 */
export function assertOnes(
  stored: ReadonlyMap<string, bigint>,
  options: { readonly prefix: string; readonly sent: Sent; readonly keyspaces: readonly string[] },
): number {
  const { prefix, sent, keyspaces } = options;
  let found = 0;
  for (let index = 0; index < sent.attempted; index++) {
    const name = `${keyspaces[index % keyspaces.length]} ${prefix}-${index}`;
    const count = stored.get(name) ?? 0n;
    if (index < sent.acknowledged) assertEquals(count, 1n, `${name} was acknowledged`);
    else if (count !== 0n) assertEquals(count, 1n, `${name} is counted more than once`);
    found += Number(count);
  }
  return found;
}

/** Checks the data directory; every test that made one ends with this. */
export function assertSound(data: string): void {
  const storage = systemStorage();
  const report = checkDirectory(storage, data, { self: describeSelf(storage) });
  assertEquals(report.violations, []);
  assertEquals(report.leftovers, []);
}
