/** A data directory in the lower layer of an overlay, which a writer copies up while a reader has it open. */

import { assertEquals } from "@std/assert";
import { DataDirectory, describeSelf } from "../../src/counters/commitlog/mod.ts";
import { Reader } from "../../src/counters/view/mod.ts";
import { noEvents } from "../../src/base/events.ts";
import { systemClock } from "../../src/base/clock.ts";
import { type Storage, systemStorage } from "../../src/file/mod.ts";
import { overridden } from "../support/overridden.ts";
import { runningAsRoot } from "../support/ordinary_user.ts";
import { runCountd, runProgram, startCountd } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { waitUntil } from "../support/wait.ts";

const text = new TextEncoder();

async function count(data: string, value: number): Promise<void> {
  await using writer = startCountd(["write", "--data", data, "--port", "0"]);
  const { port } = await writer.listening();
  const incr = ["incr", "visits", "/", String(value), "--connect", `127.0.0.1:${port}`];
  assertEquals((await runCountd(incr)).code, 0);
  assertEquals(await writer.stop(), 0);
}

Deno.test("A reader that opened everything before a writer copied it up answers what was accepted since", async () => {
  if (!runningAsRoot()) return console.log("left to root: an overlay");
  await withTemporaryDirectory(async (directory) => {
    for (const name of ["lower", "upper", "work", "merged"]) Deno.mkdirSync(`${directory}/${name}`);
    await count(`${directory}/lower/data`, 5);
    const folded = await runCountd(["worker", "--once", "--data", `${directory}/lower/data`]);
    assertEquals(folded.code, 0, folded.stderr);
    const merged = `${directory}/merged`;
    const layers =
      `lowerdir=${directory}/lower,upperdir=${directory}/upper,workdir=${directory}/work`;
    const mounted = await runProgram(["mount", "-t", "overlay", "-o", layers, "overlay", merged]);
    if (mounted.code !== 0) return console.log("not run: needs to mount an overlay");
    try {
      const data = `${merged}/data`;
      const system = systemStorage();
      // As a user without the right to write opens it.
      const storage = overridden<Storage>(system, {
        open: (path, options) => system.open(path, { ...options, access: "read" }),
      });
      using opened = DataDirectory.open(storage, data, { self: describeSelf(system) });
      using local = new Reader(opened, { stale: false, clock: systemClock, events: noEvents });
      const value = () => local.value(text.encode("visits"), text.encode("/"));
      assertEquals(await value(), 5n);
      await using reader = startCountd(["read", "--data", data, "--port", "0"]);
      const { port } = await reader.listening();
      const ask = async () => {
        const get = ["get", "visits", "/", "--connect", `127.0.0.1:${port}`];
        return (await runCountd(get)).text;
      };
      assertEquals(await ask(), "5\n");
      await count(data, 2);
      await waitUntil("the new value", async () => await value() === 7n);
      assertEquals(await ask(), "7\n");
      assertEquals((await runCountd(["worker", "--once", "--data", data])).code, 0);
      await waitUntil("the folded value", async () => await value() === 7n);
      await count(data, 1);
      await waitUntil("the newest value", async () => await value() === 8n);
      assertEquals(await ask(), "8\n");
      assertEquals(await reader.stop(), 0);
    } finally {
      await runProgram(["umount", "-l", merged]);
    }
  });
});
