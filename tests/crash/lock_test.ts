/**
 * The lock bug that only real processes can show: POSIX locks vanish with any descriptor of the file, so
 * a fold takes the log of a writer that lives. With the locks that are used here it does not.
 */

import { assertEquals } from "@std/assert";
import { startProgram } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { assertSound, foldEverything, storedCounters } from "./real_directory.ts";

/** Batches that are stored, of the two that the holder wrote durably: one before the fold, one after. */
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

Deno.test("A writer that looks at its own directory twice keeps its log", async () => {
  assertEquals(await batchesAround("description"), 2);
});

Deno.test("Planted bug is caught by real processes: POSIX instead of OFD lock", async () => {
  assertEquals(await batchesAround("posix"), 1);
});
