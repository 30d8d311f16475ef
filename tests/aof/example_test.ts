/** The example in the module documentation is run as it stands. */

import { assert, assertEquals } from "@std/assert";
import { startProgram } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";

const door = new URL("../../src/aof/mod.ts", import.meta.url);

Deno.test("The example of the module documentation type-checks and prints what it should", async () => {
  const documentation = Deno.readTextFileSync(door);
  const example = /```ts\n([\s\S]*?)```/.exec(documentation)?.[1]?.replaceAll(/^ \* ?/gm, "");
  assert(example !== undefined, "the documentation has an example");
  const source = example.replaceAll(
    /from "(\.[^"]*)"/g,
    (_, specifier) => `from ${JSON.stringify(new URL(specifier, door).href)}`,
  );
  await withTemporaryDirectory(async (directory) => {
    Deno.writeTextFileSync(`${directory}/example.ts`, source);
    const config = new URL("../../deno.json", import.meta.url).pathname;
    await using process = startProgram([
      Deno.execPath(),
      "run",
      "--quiet",
      "--check",
      `--config=${decodeURIComponent(config)}`,
      "-A",
      `${directory}/example.ts`,
    ], { env: { TMPDIR: directory } });
    const { code, text, stderr } = await process.ended();
    assertEquals([code, text], [0, "hello world 11\nclosed: closed\n"], stderr);
  });
});
