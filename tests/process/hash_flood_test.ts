/**
 * Names that are made to collide in a hash table cost no more than random names of the same length: on the
 * write port, in a fold and in a read of unfolded logs. Each test measures both. If the names did collide,
 * they would take a hundred times as long.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { WriteMessageEncoder } from "../../src/counters/wire/mod.ts";
import { checkData } from "../support/check_data.ts";
import {
  COLLIDING_NAME_BYTES,
  COLLIDING_NAMES,
  collidingName,
} from "../support/colliding_names.ts";
import { runCountd, startCountd } from "../support/process.ts";
import { Random, seedForTest } from "../support/random.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { within } from "../support/wait.ts";

const TIMES_AT_MOST = 3;
/** About as many as there are multiples of 65,536 below 2^32. */
const NUMBERS = 65_000;

type Names = (index: number) => Uint8Array;

/** Random names of the same length, without NUL. */
function randomNames(random: Random): Names {
  return () => random.bytes(COLLIDING_NAME_BYTES).map((byte) => byte || 1);
}

/** Makes an increment for each name, as a key of `pages` or as a keyspace. */
function messages(names: Names, field: "key" | "keyspace"): Uint8Array {
  const encoder = new WriteMessageEncoder({ keyspaceSize: 256, keySize: 256 });
  const bytes = new Uint8Array(COLLIDING_NAMES * encoder.messageBytes);
  const view = new DataView(bytes.buffer);
  const other = new TextEncoder().encode("pages");
  let offset = 0;
  for (let index = 0; index < COLLIDING_NAMES; index++) {
    const name = names(index);
    const [keyspace, key] = field === "key" ? [other, name] : [name, other];
    offset = encoder.encode(view, offset, { keyspace, key, increment: 1n });
  }
  return bytes;
}

/** Sends all bytes and waits for the totals; returns the milliseconds that it took. */
async function send(port: number, bytes: Uint8Array): Promise<number> {
  const start = performance.now();
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const sending = async () => {
    for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
    await connection.closeWrite();
    const totals = new Uint8Array(16);
    for (let read = 0; read < 16;) {
      const more = await connection.read(totals.subarray(read));
      if (more === null) throw new Error(`The connection ended after ${read} bytes of totals`);
      read += more;
    }
    return new DataView(totals.buffer).getBigInt64(0, true);
  };
  assertEquals(await within("the totals of a flood", sending()), BigInt(COLLIDING_NAMES));
  return performance.now() - start;
}

/** Runs countd, which must succeed and print `pattern`; returns the milliseconds. */
async function timed(args: readonly string[], pattern: RegExp): Promise<number> {
  const start = performance.now();
  const { code, text, stderr } = await runCountd(args);
  const time = performance.now() - start;
  assertEquals(code, 0, stderr);
  assertMatch(text, pattern);
  return time;
}

function assertAlike(what: string, colliding: number, random: readonly number[]): void {
  const most = Math.max(...random);
  const said = `${what}: ${colliding.toFixed(0)} ms, with random names ${most.toFixed(0)} ms`;
  assert(colliding <= TIMES_AT_MOST * most, said);
}

/** Runs a command on a directory whose logs hold an increment of each key; returns the milliseconds. */
async function overUnfolded(
  names: Names,
  command: readonly string[],
  pattern: RegExp,
): Promise<number> {
  return await withTemporaryDirectory(async (temporary) => {
    const data = `${temporary}/data`;
    await using writer = startCountd(["write", "--data", data, "--port", "0"]);
    await send((await writer.listening()).port, messages(names, "key"));
    assertEquals(await writer.stop(), 0);
    const time = await timed([...command, "--data", data], pattern);
    checkData(data);
    return time;
  });
}

/** Measures random keys before and after colliding ones, because the machine may do other work. */
async function assertKeysAlike(command: readonly string[], pattern: RegExp): Promise<void> {
  const random = randomNames(new Random(seedForTest(`${command[0]} of a flood`)));
  const before = await overUnfolded(random, command, pattern);
  const colliding = await overUnfolded(collidingName, command, pattern);
  const after = await overUnfolded(random, command, pattern);
  assertAlike(command[0]!, colliding, [before, after]);
}

Deno.test("Keys that collided under every seed are read from the logs like random keys", async () => {
  await assertKeysAlike(["top", "pages", "--length", "1"], /^1\t/);
  await assertKeysAlike(["keyspaces"], new RegExp(`^pages\t${COLLIDING_NAMES}\n$`));
});

Deno.test("Keys that collided under every seed are folded like random keys", async () => {
  await assertKeysAlike(["worker", "--once"], /^$/);
});

Deno.test("Keyspaces that collided under every seed are accepted like random ones", async () => {
  const random = messages(randomNames(new Random(seedForTest("keyspaces of a flood"))), "keyspace");
  const colliding = messages(collidingName, "keyspace");
  await withTemporaryDirectory(async (temporary) => {
    const data = `${temporary}/data`;
    await using writer = startCountd(["write", "--data", data, "--port", "0"]);
    const { port } = await writer.listening();
    const before = await send(port, random);
    const flood = await send(port, colliding);
    assertAlike("write", flood, [before, await send(port, random)]);
    assertEquals(await writer.stop(), 0);
    checkData(data);
  });
});

/** A dump of the map-and-log database in which the keys are `factor` times 0, 1, 2 … */
async function importNumbers(factor: number): Promise<number> {
  return await withTemporaryDirectory(async (temporary) => {
    const keys = Array.from({ length: NUMBERS }, (_, index) => `"${index * factor}":"x"`);
    Deno.mkdirSync(`${temporary}/dump`);
    Deno.writeTextFileSync(`${temporary}/dump/db.json`, `{${keys.join(",")}}`);
    const args = ["db", "import", `${temporary}/dump`, "--db", `${temporary}/map`];
    return await timed(args, new RegExp(`^keys\\t${NUMBERS}\n`));
  });
}

Deno.test("Numbers that collide in the maps of the runtime are imported like other numbers", async () => {
  // The runtime hashes a number below 2^32 by itself, so these differ in its upper half alone.
  const before = await importNumbers(65_521);
  const colliding = await importNumbers(65_536);
  assertAlike("db import", colliding, [before, await importNumbers(65_521)]);
});
