/** How much one answer of `/log` holds. */

import { assertEquals } from "@std/assert";
import { withHandler } from "./support.ts";

Deno.test("A long page of the log ends early, so that it does not hold the event loop", async () => {
  await withHandler(async (test) => {
    // One is answered whole, however long it is.
    for (const units of [300_000, 300_000, 2 ** 20, 1]) {
      await test.db.write("k", "v".repeat(units), { term: 1n });
    }
    const lengths = async (from: number): Promise<number[]> => {
      const response = await test.ask("GET", `/log?from=${from}`);
      const entries: { Value: string }[] = await response.json();
      return entries.map(({ Value }) => Value.length);
    };
    assertEquals(await lengths(0), [300_000, 300_000]);
    assertEquals(await lengths(2), [2 ** 20]);
    assertEquals(await lengths(3), [1]);
  });
});
