/** The example in the module documentation prints what it should, for a program outside this project. */

import { assert, assertEquals } from "@std/assert";
import { startProgram } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";

function pathOf(file: string): string {
  return decodeURIComponent(new URL(`../../${file}`, import.meta.url).pathname);
}

Deno.test("The example of the module documentation type-checks and prints what it should", async () => {
  const documentation = Deno.readTextFileSync(pathOf("src/aof/mod.ts"));
  const example = /```ts\n([\s\S]*?)```/.exec(documentation)?.[1]?.replaceAll(/^ \* ?/gm, "");
  assert(example !== undefined, "the documentation has an example");
  await withTemporaryDirectory(async (directory) => {
    Deno.writeTextFileSync(`${directory}/example.ts`, example);
    await using process = startProgram([
      Deno.execPath(),
      "run",
      "--quiet",
      "--check",
      // Resolves the name of the package.
      `--config=${pathOf("deno.json")}`,
      "-A",
      `${directory}/example.ts`,
    ], { env: { TMPDIR: directory } });
    const { code, text, stderr } = await process.ended();
    assertEquals([code, text], [0, "hello world 11\nclosed: closed\n"], stderr);
  });
});
