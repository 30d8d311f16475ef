/**
 * The files that every cell begins with, and older copies of them. They are made once, by real processes, and
 * copied for each cell.
 */

import { assertEquals } from "@std/assert";
import { Aof, createFile } from "../../src/aof/mod.ts";
import { systemStorage } from "../../src/file/mod.ts";
import { runCountd, runProgram, startCountd } from "../support/process.ts";
import { sendOnes } from "./increments.ts";

/** Counters of the sample. */
export const truth = {
  /** Folded, with 20 in a sealed log. */
  a: 130,
  top: "130\ta\n5\tb\n",
  keyspaces: "other\t1\npages\t1\nvisits\t2\n",
  /** A value of the key-value store, and the older one. */
  next: "17",
  olderNext: "16",
  database: { x: "new", y: "1" } as Readonly<Record<string, string>>,
  /** Longer than a page, so that half of the file is not all of it. */
  appended: `one\ntwo${" and more".repeat(700)}\n`,
  olderAppended: "one\n",
} as const;

/** A directory with `data`, `backup` and `aof`. */
export interface Sample {
  readonly now: string;
  readonly older: string;
  /** The slot of the sealed log. */
  readonly log: string;
  /** Name of the report that a dead daemon left. */
  readonly report: string;
}

/** Copies a directory with modes, owners and holes. */
export async function copyTree(from: string, to: string): Promise<void> {
  const copied = await runProgram(["cp", "-a", "--sparse=always", from, to]);
  assertEquals(copied.code, 0, copied.stderr);
}

async function done(...args: string[]): Promise<void> {
  const { code, stderr } = await runCountd(args);
  assertEquals(code, 0, `${args.join(" ")}: ${stderr}`);
}

async function append(path: string, text: string): Promise<void> {
  const options = { geometry: createFile(), shared: true };
  await using file = Aof.open(systemStorage(), path, options);
  file.write(new TextEncoder().encode(text));
  await file.syncAsync();
}

async function setInDatabase(port: number, entries: Readonly<Record<string, string>>) {
  for (const [key, body] of Object.entries(entries)) {
    const url = `http://127.0.0.1:${port}/set/${key}`;
    const response = await fetch(url, { method: "POST", body });
    await response.body?.cancel();
    assertEquals(response.status, 200);
  }
}

/** Makes the sample below `directory`. */
export async function makeSample(directory: string): Promise<Sample> {
  const [now, older] = [`${directory}/now`, `${directory}/older`];
  const data = `${now}/data`;
  Deno.mkdirSync(`${now}/aof`, { recursive: true });
  {
    const sizes = ["--log-size", "64KiB", "--logs", "2", "--port", "0", "--ack"];
    await using writer = startCountd(["write", "--data", data, ...sizes]);
    const { port } = await writer.listening();
    const counts = [["visits", "a", 100], ["visits", "b", 5], ["pages", "x", 7]] as const;
    for (const [keyspace, key, count] of counts) {
      assertEquals((await sendOnes(port, count, { keyspace, key })).won, count);
    }
    assertEquals(await writer.stop(), 0);
  }
  await done("worker", "--once", "--data", data);
  {
    await using database = startCountd(["db", "--data", data, "--port", "0", "--sync", "always"]);
    const { port } = await database.listening();
    await setInDatabase(port, { x: "old" });
    const set = "incr visits a 10; use jobs; set next 16";
    await done("shell", "--data", data, "-c", set);
    await append(`${now}/aof/events`, truth.olderAppended);
    await done("backup", `${now}/backup`, "--data", data);
    await copyTree(now, older);
    Deno.removeSync(`${now}/backup`, { recursive: true });
    await setInDatabase(port, { x: "new", y: "1" });
    assertEquals(await database.stop(), 0);
  }
  await append(`${now}/aof/events`, truth.appended.slice(truth.olderAppended.length));
  await done("worker", "--once", "--data", data);
  await done(
    "shell",
    "--data",
    data,
    "-c",
    "incr visits a 20; incr other k 1; use jobs; set next 17",
  );
  await done("backup", `${now}/backup`, "--data", data);
  const { log, report } = await leaveReport(data);
  // Reports are not compared, so the older one need not differ.
  Deno.mkdirSync(`${older}/data/run`, { recursive: true });
  Deno.copyFileSync(`${data}/run/${report}`, `${older}/data/run/${report}`);
  return { now, older, log, report };
}

/** Leaves the report of a daemon that was killed; returns its name, and the slot of the sealed log. */
async function leaveReport(data: string): Promise<{ log: string; report: string }> {
  await using reader = startCountd(["read", "--data", data, "--port", "0"]);
  await reader.listening();
  const report = `read-${reader.pid}`;
  assertEquals(Deno.statSync(`${data}/run/${report}`).isFile, true);
  await reader.kill();
  const sealed = [...Deno.readDirSync(`${data}/logs`)].map(({ name }) => name)
    .filter((name) => ((Deno.statSync(`${data}/logs/${name}`).mode ?? 0) & 0o777) === 0o200);
  assertEquals(sealed.length, 1, `one sealed log: ${sealed}`);
  return { log: sealed[0] ?? "", report };
}
