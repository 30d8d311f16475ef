/** Reading while another program changes a value in place, under its lock. */

import { assert, assertEquals } from "@std/assert";
import { type Storage, type StoredFile, systemStorage } from "../../src/file/mod.ts";
import { checkTables, TableRoot } from "../../src/tables/mod.ts";
import { overridden } from "../support/overridden.ts";
import { runCountd, runProgram, startCountd, startProgram } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { asText, bytes, LOCK_TIMEOUT_MS, withRoot } from "./support.ts";
import { FullCount } from "../support/full_count.ts";

const reads = new FullCount("reads beside a writer in place");
const UNIT_BYTES = 512;
const script = decodeURIComponent(new URL("in_place_peer.py", import.meta.url).pathname);

async function hasPython(): Promise<boolean> {
  try {
    return (await runProgram(["python3", "--version"])).code === 0;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** A data directory with a short value under key k. */
async function withKey(body: (data: string, file: string) => Promise<void>): Promise<void> {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    assertEquals((await runCountd(["kv", "set", "k", "short", "--data", data])).code, 0);
    await body(data, `${data}/tables/k.kv`);
    assertEquals(checkTables(systemStorage(), `${data}/tables`), []);
  });
}

function valueText(number: number): string {
  return `${number}:${"x".repeat(UNIT_BYTES * (number % 7 + 1))}`;
}

Deno.test("kv get that waits for a foreign lock prints the whole value that was written in place under it", async () => {
  if (!(await hasPython())) return console.log("not run: needs python3");
  await withKey(async (data, file) => {
    await using peer = startProgram(["python3", script, file, "once"]);
    await peer.stdoutLine(/^locked$/);
    await using get = startCountd(["kv", "get", "k", "--lock-timeout", "60s", "--data", data]);
    await peer.writeStdin("\n");
    assertEquals((await get.ended()).text, valueText(6));
    assertEquals((await peer.ended()).code, 0);
  });
});

Deno.test("A value that a foreign program finishes just before the lock is taken is read whole", async () => {
  await withRoot(async (plain, path) => {
    await plain.set("k", bytes("half"));
    const file = `${path}/k.kv`;
    const disk = systemStorage();
    // The program may release its lock between any two calls of the library: here before it locks.
    const storage = overridden<Storage>(disk, {
      open: (name, options) => {
        const opened = disk.open(name, options);
        return overridden<StoredFile>(opened, {
          tryFlock(kind) {
            Deno.writeTextFileSync(file, valueText(6));
            return opened.tryFlock(kind);
          },
        });
      },
    });
    const watched = new TableRoot(storage, path, { lockTimeoutMs: LOCK_TIMEOUT_MS, sync: "os" });
    assertEquals(asText(await watched.get("k")), valueText(6));
  });
});

Deno.test("No read is cut short while a foreign program writes longer and shorter values in place", async () => {
  if (!(await hasPython())) return console.log("not run: needs python3");
  for (const count of reads.sizes(400, 2000)) await readBesideWriter(count);
});

async function readBesideWriter(count: number): Promise<void> {
  await withKey(async (data, file) => {
    await using peer = startProgram(["python3", script, file]);
    await peer.stdoutLine(/^locked$/);
    const { code, text, stderr } = await runCountd(
      ["shell", "--lock-timeout", "60s", "--data", data],
      { stdin: "get k\n".repeat(count) },
    );
    assertEquals([code, stderr], [0, ""]);
    const values = text.trimEnd().split("\n");
    assertEquals(values.length, count);
    for (const value of values) assertEquals(value, valueText(parseInt(value)));
    assert(new Set(values).size > 1, "The value changed under the reads");
    await peer.kill();
  });
}
