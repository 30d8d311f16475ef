/** The documentation of the package is complete, and its examples run. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { VERSION } from "../../src/base/version.ts";
import { runProgram, startCountd } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { projectPaths, projectRoot, readDoors, readText } from "../tidy/project.ts";

/** How many examples the documentation of a file has. An attribute could make one be skipped. */
function examplesOf(path: string): number {
  return readText(path).match(/^ *\* ```ts$/gm)?.length ?? 0;
}

Deno.test("Every door has an example, and the examples of all sources run", async () => {
  for (const door of readDoors().values()) assert(examplesOf(door) > 0, `${door} has an example`);
  const files = projectPaths.filter((path) => /^src\/.*\.ts$/.test(path) && examplesOf(path) > 0);
  const examples = files.reduce((sum, path) => sum + examplesOf(path), 0);
  await withTemporaryDirectory(async (directory) => {
    const ports = ["--write-port", "0", "--read-port", "0"];
    await using server = startCountd(["serve", "--data", `${directory}/data`, ...ports]);
    const [write, read] = [await server.listening("write"), await server.listening("read")];
    const command = [Deno.execPath(), "test", "--doc", "-A", ...files];
    const { code, text, stderr } = await runProgram(command, {
      cwd: projectRoot,
      env: {
        NO_COLOR: "1",
        TMPDIR: directory,
        COUNTD_WRITE_PORT: `${write.port}`,
        COUNTD_READ_PORT: `${read.port}`,
      },
      deadlineMs: 120_000,
    });
    assertEquals(code, 0, text + stderr);
    assertStringIncludes(text, `ok | ${examples} passed | 0 failed`);
    assertEquals(await server.stop(), 0);
  });
});

Deno.test("Everything that the doors export is documented, with every type that it needs", async () => {
  const command = [Deno.execPath(), "doc", "--lint", ...readDoors().values()];
  const env = { NO_COLOR: "1" };
  const { code, stderr } = await runProgram(command, { cwd: projectRoot, env });
  assertEquals(code, 0, stderr);
});

Deno.test("deno.json and the program have the same version", () => {
  assertEquals(JSON.parse(readText("deno.json")).version, VERSION);
});
