/**
 * The lock bug that only real processes can show: POSIX locks vanish when any descriptor of the file is
 * closed, so a fold takes the log of a living writer. The locks of countd do not vanish.
 */

import { assertEquals } from "@std/assert";
import { startProgram } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { assertSound, foldEverything, storedCounters } from "./real_directory.ts";

/** Counts the stored batches of the two that the holder made durable: one before the fold, one after. */
async function batchesAround(manner: "posix" | "description"): Promise<number> {
  return await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    await using holder = startProgram([
      Deno.execPath(),
      "run",
      "--quiet",
      "-A",
      "--no-check",
      new URL("./lock_holder.ts", import.meta.url).pathname,
      data,
      manner,
    ]);
    await holder.stdoutLine(/looked/);
    await foldEverything(data);
    await holder.writeStdin("go\n");
    await holder.stdoutLine(/written/);
    await holder.kill();
    await foldEverything(data);
    assertSound(data);
    return [...storedCounters(data).keys()].filter((name) => name.includes("batch-")).length;
  });
}

Deno.test("A writer that opens its own directory twice keeps its log", async () => {
  assertEquals(await batchesAround("description"), 2);
});

Deno.test("Planted bug is caught by real processes: POSIX instead of OFD lock", async () => {
  assertEquals(await batchesAround("posix"), 1);
});
