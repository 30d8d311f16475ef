import { assert, assertEquals } from "@std/assert";
import { recordsOf, takeSealed, withDataDirectory } from "../../support/data_directory.ts";
import { ReceiveMemory } from "../../../src/counters/write/receive_memory.ts";
import { messages, RawClient, startServer } from "./support.ts";

const mebibyte = 1024 * 1024;

Deno.test("The large memory of a connection that ended goes to the next one", () => {
  const memory = new ReceiveMemory();
  const first = memory.largerThan(memory.small())!;
  assertEquals([first.length, memory.largeInUse], [mebibyte, 1]);
  assertEquals(memory.largerThan(first), null);
  memory.release(first, { isReadInto: false });
  assertEquals(memory.largeInUse, 0);
  assert(memory.largerThan(memory.small()) === first);
});

Deno.test("Memory that a read may still fill is not used again", () => {
  const memory = new ReceiveMemory();
  const first = memory.largerThan(memory.small())!;
  memory.release(first, { isReadInto: true });
  assertEquals(memory.largeInUse, 0);
  assert(memory.largerThan(memory.small()) !== first);
});

Deno.test("Beyond 64 large pieces there are middling ones, and large ones again after a release", () => {
  const memory = new ReceiveMemory();
  const large = Array.from({ length: 64 }, () => memory.largerThan(memory.small())!);
  assertEquals(new Set(large).size, 64);
  const middling = memory.largerThan(memory.small())!;
  assertEquals(middling.length, mebibyte / 8);
  assertEquals(memory.largerThan(middling), null);
  memory.release(middling, { isReadInto: false });
  for (const piece of large) memory.release(piece, { isReadInto: false });
  assertEquals(memory.largeInUse, 0);
  assertEquals(memory.largerThan(middling)?.length, mebibyte);
});

Deno.test("A connection on the memory of an earlier one sees nothing of what was left in it", async () => {
  await withDataDirectory(async ({ directory, open }) => {
    const server = await startServer(open(), { logs: 1, acknowledges: false });
    // The first client breaks off inside its last message, with the memory full of its own.
    const counts = { old: 800, new: 400 };
    for (const [key, count] of Object.entries(counts)) {
      using client = await RawClient.connect(server);
      const bytes = messages(Array.from({ length: count }, () => ["ks", key, 1n] as const));
      await client.send(key === "old" ? bytes.subarray(0, bytes.length - 1) : bytes);
      const { accepted, refused } = await client.finish();
      const broken = key === "old" ? 1 : 0;
      assertEquals([accepted, refused], [BigInt(count - broken), BigInt(broken)]);
    }
    assertEquals(server.receiveMemory.largeInUse, 0);
    await server.stop();
    const log = takeSealed(directory, 0);
    const records = recordsOf(log);
    for (const [key, count] of [["old", 799], ["new", 400]] as const) {
      assertEquals(records.filter((record) => record === `ks ${key} 1`).length, count);
    }
    assertEquals(records.length, 1199);
    log.release();
  });
});
