/** Reading a file while another process appends to it, and while it is finished. */

import { assert, assertEquals } from "@std/assert";
import { Aof, check, inspect, RecoveryKind, recoveryReadOnly } from "../../src/aof/mod.ts";
import { Random, seedForTest } from "../support/random.ts";
import { waitUntil } from "../support/wait.ts";
import { startChild } from "./start_child.ts";
import { stream } from "./streams.ts";
import { creating, dataOf, storage, text, textOf, withFile } from "./support.ts";

Deno.test("A file that is being written to is never found damaged, and what is read of it is final", async () => {
  const seed = new Random(seedForTest("live read")).next32();
  await withFile(async (path) => {
    await using writer = startChild("steady", path, seed, 2 ** 23);
    await waitUntil("the file", () => (storage.statusOrNull(path)?.size ?? 0) > 0);
    const parts = stream(seed);
    let expected: Uint8Array = new Uint8Array();
    let offset = 0;
    let last = 0;
    for (let isFinished = false; !isFinished;) {
      assertEquals(check(storage, path), []);
      const { bytes, result } = inspect(storage, path);
      isFinished = result.outcome === RecoveryKind.Checkpoint;
      assert(isFinished || [RecoveryKind.Tail, RecoveryKind.Empty].includes(result.outcome));
      const size = isFinished ? result.checkpoint : result.tail;
      assert(size >= last);
      // Compares what is new since the last read.
      for (let position = last; position < size; position++) {
        while (position - offset >= expected.length) {
          offset += expected.length;
          expected = parts.next().value as Uint8Array;
        }
        if (bytes[position] !== expected[position - offset]) {
          assertEquals(bytes[position], expected[position - offset], `byte ${position}`);
        }
      }
      last = size;
      using reader = Aof.open(storage, path, { recovery: recoveryReadOnly });
      assert(reader.size >= last);
    }
    assertEquals((await writer.ended()).code, 0);
  });
});

Deno.test("A file that is read as finished while its writer finishes it stays readable", async () => {
  await withFile((path) => {
    const writer = Aof.open(storage, path, { geometry: creating() });
    writer.write(text("data"));
    writer.extend(65536);
    using reader = Aof.open(storage, path, { recovery: recoveryReadOnly });
    writer.finish();
    writer.close();
    assertEquals(textOf(dataOf(reader)), "data");
    assertEquals(reader.bytes.length, 4096);
  });
});

Deno.test("A file without data is read as finished", async () => {
  await withFile((path) => {
    using _writer = Aof.open(storage, path, { geometry: creating() });
    using reader = Aof.open(storage, path, { recovery: recoveryReadOnly });
    assertEquals(reader.size, 0);
  });
});
