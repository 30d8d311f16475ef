/** Checkpoints, syncs and closing. */

import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { Aof, ErrClosed, FileState, recoverWithMagic, Recovery } from "../../src/aof/mod.ts";
import { OsError } from "../../src/file/mod.ts";
import { SimulatedDisk } from "../support/simulated_disk.ts";
import { Faults, faultyStorage } from "../support/faulty_storage.ts";
import { creating, dataOf, Recorder, storage, text, textOf, withFile } from "./support.ts";

Deno.test("Without marks only the data is stored", async () => {
  await withFile((path) => {
    const recovery = new Recovery({ func: recoverWithMagic });
    {
      using aof = Aof.open(storage, path, { geometry: creating(4096), recovery });
      aof.write(new Uint8Array(4000).fill(1));
      aof.append(96, (event) => {
        event.tail.fill(2);
        return 90;
      });
      assertEquals(aof.checkpoint(), 4090);
      assertEquals(aof.write(new Uint8Array(6).fill(3)), 6);
    }
    using aof = Aof.open(storage, path, { recovery });
    assertEquals(aof.size, 4096);
    aof.finish();
    assertEquals(storage.status(path).size, 4096);
  }, { damaged: true });
});

Deno.test("Checkpoint makes durable, marks, and names the place; writing goes on", async () => {
  await withFile((path) => {
    {
      using aof = Aof.open(storage, path, { geometry: creating() });
      aof.write(text("one"));
      assertEquals(aof.checkpoint(), 3);
      assertEquals(aof.size, 11);
      aof.write(text("two"));
    }
    using aof = Aof.open(storage, path);
    const { tail, checkpoint } = aof.recovery.result() ?? {};
    assertEquals([aof.state, tail, checkpoint], [FileState.Opened, 14, 3]);
  });
});

Deno.test("Sync and flush act once for each size", async () => {
  await withFile(async (path) => {
    const faults = new Faults();
    await using aof = Aof.open(faultyStorage(storage, faults), path, { geometry: creating() });
    const syncs = () => faults.count("sync");
    aof.write(text("a"));
    assertEquals(aof.sync(), 1);
    // The first sync of a file that was made makes its name durable too.
    assertEquals(syncs(), 2);
    assertEquals([aof.sync(), await aof.syncAsync(), syncs()], [1, 1, 2]);
    aof.write(text("b"));
    assertEquals([await aof.syncAsync(), syncs()], [2, 3]);
    aof.flush();
    aof.flush();
    assertEquals(syncs(), 4);
  });
});

Deno.test("After a sync that failed nothing is written or synced any more", async () => {
  await withFile(async (path) => {
    const faults = new Faults();
    using aof = Aof.open(faultyStorage(storage, faults), path, { geometry: creating() });
    aof.write(text("a"));
    faults.failAt("sync", 1, "EIO");
    const failure = await assertRejects(() => aof.syncAsync(), OsError);
    assertEquals(failure.code, "EIO");
    for (
      const call of [
        () => aof.sync(),
        () => aof.write(text("b")),
        () => aof.append(1, () => 1),
        () => aof.finish(),
      ]
    ) {
      assertEquals(assertThrows(call, OsError), failure);
    }
    assertEquals(textOf(dataOf(aof)), "a");
  });
});

// What happened: a flush failed, because pages could not be written, and only its caller got the error.
// The system took the pages for written. So the next sync succeeded, and a power cut lost the data.
Deno.test("After a flush that failed no sync is called good", () => {
  const disk = new SimulatedDisk();
  const aof = Aof.open(disk.process("writer"), "/log", { geometry: creating() });
  aof.write(text("synced"));
  assertEquals(aof.sync(), 6);
  aof.write(new Uint8Array(6000).fill(7));
  disk.observer = ({ kind, when }) => kind === "flush" && when === "before" ? "EIO" : undefined;
  const failure = assertThrows(() => aof.flush(), OsError);
  disk.observer = null;
  for (const call of [() => aof.flush(), () => aof.sync(), () => aof.write(text("b"))]) {
    assertEquals(assertThrows(call, OsError), failure);
  }
  aof.close();
});

Deno.test("Closed files refuse everything, and their memory is gone", async () => {
  await withFile((path) => {
    const aof = Aof.open(storage, path, { geometry: creating() });
    const { bytes } = aof;
    aof.write(text("a"));
    aof.close();
    assertEquals([aof.state, aof.bytes.length, bytes.length], [FileState.Closed, 0, 0]);
    for (
      const call of [
        () => aof.write(text("b")),
        () => aof.append(1, () => 1),
        () => aof.extend(8192),
        () => aof.sync(),
        () => aof.flush(),
        () => aof.finish(),
        () => aof.wake(),
        () => aof.subscribe(new Recorder()),
        () => aof.close(),
      ]
    ) {
      assertEquals(assertThrows(call, ErrClosed).code, "ErrClosed");
    }
    aof[Symbol.dispose]();
  });
});

Deno.test("Await using waits for a sync in flight", async () => {
  await withFile(async (path) => {
    const aof = Aof.open(storage, path, { geometry: creating() });
    aof.write(text("a"));
    const syncing = aof.syncAsync();
    aof.close();
    assertEquals(aof.state, FileState.Closing);
    await aof[Symbol.asyncDispose]();
    assertEquals([aof.state, await syncing], [FileState.Closed, 1]);
  });
});
