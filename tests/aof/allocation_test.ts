/** A write allocates nothing: millions of them leave the garbage collector no work. */

import { assert, assertEquals } from "@std/assert";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { startChildWith } from "./start_child.ts";

/** Times that the young objects of a process filled their 1 MiB. */
async function collections(kind: "alone" | "shared" | "garbage"): Promise<number> {
  return await withTemporaryDirectory(async (directory) => {
    const flags = ["--v8-flags=--trace-gc,--max-semi-space-size=1,--min-semi-space-size=1"];
    await using child = startChildWith(flags, "many", `${directory}/log`, kind, 2_000_000);
    const { code, text } = await child.ended({ deadlineMs: 120_000 });
    assertEquals(code, 0);
    return text.split("\n").filter((line) => /Scavenge.*allocation failure/.test(line)).length;
  });
}

Deno.test("Two million writes and appends leave no garbage, and garbage would be noticed", async () => {
  const garbage = await collections("garbage");
  assert(garbage > 40, `${garbage} collections with a view for each write`);
  for (const kind of ["alone", "shared"] as const) {
    const count = await collections(kind);
    // The rest is the start of the process.
    assert(count < 10, `${count} collections when writing ${kind}`);
  }
});
