/** Files that are removed, moved or replaced while a producer appends to them, or a follower reads them. */

import { assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { Aof, ErrLostName } from "../../src/aof/mod.ts";
import { cutKeepsNothing } from "../support/simulated_cut.ts";
import { SimulatedDisk } from "../support/simulated_disk.ts";
import { startCountd } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { waitUntil } from "../support/wait.ts";
import { creating, Recorder, storage, text, withFile } from "./support.ts";

const geometry = creating();

const losses: readonly [string, (path: string) => void][] = [
  ["removed", (path) => Deno.removeSync(path)],
  ["moved", (path) => Deno.renameSync(path, `${path}.1`)],
  ["replaced", (path) => {
    Deno.renameSync(path, `${path}.1`);
    Deno.writeTextFileSync(path, "");
  }],
];

for (const [what, lose] of losses) {
  Deno.test(`A producer whose file was ${what} is told so by each sync`, async () => {
    await withTemporaryDirectory(async (directory) => {
      const path = `${directory}/events`;
      using aof = Aof.open(storage, path, { geometry });
      aof.write(text("before"));
      aof.sync();
      lose(path);
      aof.write(text("after"));
      assertThrows(() => aof.sync(), ErrLostName, path);
      await assertRejects(() => aof.syncAsync(), ErrLostName, path);
      assertThrows(() => aof.checkpoint(), ErrLostName, path);
      if (what === "removed") return;
      Deno.renameSync(`${path}.1`, path);
      assertEquals(aof.sync(), "beforeafter".length);
    });
  });

  Deno.test(`log tail --follow of a file that was ${what} prints what there was and ends with exit 6`, async () => {
    await withTemporaryDirectory(async (directory) => {
      const path = `${directory}/events`;
      using aof = Aof.open(storage, path, { geometry, shared: true });
      await using tail = startCountd(["log", "tail", path, "--follow"]);
      aof.write(text("first\n"));
      await tail.stdoutLine(/^first$/);
      aof.write(text("last\n"));
      lose(path);
      const { code, stderr, text: printed } = await tail.ended();
      assertEquals([code, printed], [6, "first\nlast\n"], stderr);
      assertMatch(stderr, /was removed, moved or replaced/);
    });
  });
}

Deno.test("A finished file may be moved while it is followed", async () => {
  await withFile(async (path) => {
    const aof = Aof.open(storage, path, { geometry, shared: true });
    aof.write(text("all\n"));
    await using tail = startCountd(["log", "tail", path, "--follow"]);
    await tail.stdoutLine(/^all$/);
    aof.finish();
    aof.close();
    Deno.renameSync(path, `${path}.1`);
    const { code, stderr } = await tail.ended();
    assertEquals(code, 0, stderr);
    Deno.renameSync(`${path}.1`, path);
  });
});

Deno.test("A tailer gets its end if the file loses its name while it is finished", async () => {
  await withFile(async (path) => {
    const aof = Aof.open(storage, path, { geometry });
    aof.write(text("all"));
    const recorder = new Recorder();
    aof.subscribe(recorder);
    await waitUntil("the data", () => recorder.seen.length > 0);
    Deno.renameSync(path, `${path}.1`);
    assertThrows(() => aof.finish(), ErrLostName, path);
    await waitUntil("the end", () => recorder.seen.some(({ eof }) => eof));
    aof.close();
    Deno.renameSync(`${path}.1`, path);
  });
});

// Story: the directory was synced once for each instance, so a power cut took the name that had come back.
Deno.test("A name that was lost and came back is durable after the next sync", () => {
  const disk = new SimulatedDisk({ sizeBytes: 2 ** 20 });
  const writer = disk.process("writer");
  const aof = Aof.open(writer, "/log", { geometry });
  aof.write(text("before"));
  aof.sync();
  writer.rename("/log", "/away");
  writer.syncDirectory("/");
  aof.write(text("after"));
  assertThrows(() => aof.sync(), ErrLostName);
  writer.rename("/away", "/log");
  aof.sync();
  const after = disk.powerCut(cutKeepsNothing).process("opener");
  assertEquals(after.statusOrNull("/log")?.kind, "file");
});
