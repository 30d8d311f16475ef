/** The live words of `control`, in a file that is copied while it is open. */

import { assertEquals } from "@std/assert";
import { HOLDERS_OFFSET } from "../../../src/counters/commitlog/control_layout.ts";
import { LiveWords } from "../../../src/counters/commitlog/live_words.ts";
import { type StoredFile, systemStorage } from "../../../src/file/mod.ts";
import { overridden } from "../../support/overridden.ts";
import { withTemporaryDirectory } from "../../support/temporary.ts";

const HEAD = new Uint8Array(512).fill(1);

// Story: a copy of a directory lay in the lower layer of an overlay, and its `control` had holes, so no reader mapped
// it. A writer copied it up, without holes. The next load made a mapping of the descriptor that was open: that is one of
// the lower file. What was accepted was not seen until the names were compared, and a hole of it was touched.
for (const hasHoles of [true, false]) {
  const what = hasHoles ? "a file with holes" : "a whole file";
  Deno.test(`Live words of ${what} that an overlay copies up are those of the copy`, async () => {
    await withTemporaryDirectory((directory) => {
      const inner = systemStorage();
      const [lower, upper] = [`${directory}/lower`, `${directory}/upper`];
      Deno.writeFileSync(lower, HEAD);
      if (hasHoles) Deno.truncateSync(lower, 2 * HOLDERS_OFFSET);
      else Deno.writeFileSync(lower, new Uint8Array(HOLDERS_OFFSET).fill(0), { append: true });
      let isCopiedUp = false;
      const old = inner.open(lower, { access: "read" });
      const now = (): StoredFile => isCopiedUp ? copy! : old;
      let copy: StoredFile | null = null;
      // Reads of the old descriptor find the copy, and mappings of it do not.
      const opened = overridden(old, {
        path: "control",
        status: () => now().status(),
        read: (into, offset) => now().read(into, offset),
        nextData: (offset) => now().nextData(offset),
      });
      const storage = overridden(inner, {
        open: (_, options) => inner.open(isCopiedUp ? upper : lower, options),
      });
      const words = new LiveWords(storage, opened);
      const tailNow = () => {
        words.load(3);
        return words.tail;
      };
      assertEquals(tailNow(), 0);

      Deno.writeFileSync(upper, Deno.readFileSync(lower));
      copy = inner.open(upper, { access: "write" });
      isCopiedUp = true;
      const writer = new LiveWords(overridden(inner, { open: () => copy! }), copy);
      for (const tail of [5000, 6000]) {
        writer.store(3, { change: 1, tail });
        // A mapping that was made before is found out when the names are compared.
        if (!hasHoles) words.renew();
        assertEquals(tailNow(), tail);
      }
      words.close();
      old.close();
      copy.close();
    });
  });
}
