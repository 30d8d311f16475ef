/** A data directory with a part of every kind, made by the verbs themselves. */

import { assertEquals } from "@std/assert";
import { runCountd, startCountd } from "../support/process.ts";

/** What the directory holds: a counter of which 5 are folded and 2 are in a log, a key, and a set. */
export const whole = {
  top: "7\t/about\n",
  value: "7\n",
  key: "hello",
} as const;

async function run(...args: string[]): Promise<string> {
  const { code, text, stderr } = await runCountd(args);
  assertEquals(code, 0, `${args.join(" ")}: ${stderr}`);
  return text;
}

/** Makes it, with no process left that has it open. */
export async function makeWholeData(data: string): Promise<void> {
  for (const increment of ["5", "2"]) {
    await using writer = startCountd(["write", "--data", data, "--port=0", "--log-size=65536"]);
    const { port } = await writer.listening();
    await run("incr", "pages", "/about", increment, "--connect", `127.0.0.1:${port}`);
    assertEquals(await writer.stop(), 0);
    if (increment === "5") await run("worker", "--once", "--data", data);
  }
  await run("kv", "set", "motd", whole.key, "--data", data);
  await using db = startCountd(["db", "--data", data, "--port=0"]);
  const { port } = await db.listening();
  const set = await fetch(`http://127.0.0.1:${port}/set/colour?value=red`, { method: "POST" });
  assertEquals(set.status, 200, await set.text());
  assertEquals(await db.stop(), 0);
}

/** Reads it by every verb that only reads, and compares what they say. `data` may be a backup. */
export async function readWholeData(data: string, scratch: string): Promise<void> {
  const of = ["--data", data];
  assertEquals(await run("top", "pages", ...of), whole.top);
  assertEquals(await run("get", "pages", "/about", ...of), whole.value);
  assertEquals(await run("rank", "pages", "/about", ...of), "0\n");
  assertEquals(await run("keyspaces", ...of), "pages\t1\n");
  const { backlog, logs } = JSON.parse(await run("status", "--json", ...of));
  assertEquals([backlog.records, logs.sealed], ["1", "1"]);
  assertEquals(await run("check", ...of), "");
  assertEquals((await run("kv", "get", "motd", ...of)).trimEnd(), whole.key);
  assertEquals(await run("kv", "tables", ...of), "");
  const exported = JSON.parse(await run("db", "export", `${scratch}/dump`, "--json", ...of));
  assertEquals(exported.entries, "1");
  assertEquals(Deno.readTextFileSync(`${scratch}/dump/db.json`), '{"colour":"red"}');
  const sealed = [...Deno.readDirSync(`${data}/logs`)].map(({ name }) => `${data}/logs/${name}`);
  const states = await Promise.all(sealed.map((path) => run("log", "inspect", path, "--json")));
  const records = states.map((text) => JSON.parse(text).records as string);
  assertEquals(records.filter((count) => count === "1").length, 1);
  const reader = startCountd(["read", "--port=0", ...of]);
  try {
    const { port } = await reader.listening();
    const asked = await run("get", "pages", "/about", "--connect", `127.0.0.1:${port}`);
    assertEquals(asked, whole.value);
    assertEquals(await reader.stop(), 0);
  } finally {
    await reader[Symbol.asyncDispose]();
  }
}

/** Lists each path with kind, mode, size and the time of its last change: what must stay. */
export function stateBelow(directory: string): string {
  const args = [directory, "-printf", "%P %y %m %s %C@ %n\n"];
  const { success, stdout } = new Deno.Command("find", { args }).outputSync();
  assertEquals(success, true);
  return new TextDecoder().decode(stdout).split("\n").sort().join("\n");
}
