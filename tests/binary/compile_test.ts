/** Messages of `deno task compile` when it cannot make the executable. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { existsSync } from "@std/fs/exists";
import { projectRoot } from "../tidy/project.ts";
import { runProgram } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";

/** Runs a task of deno.json without any network, and with nothing downloaded but the npm packages. */
async function runTask(task: string[], env: Record<string, string> = {}) {
  return await withTemporaryDirectory(async (directory) => {
    const output = `${directory}/countd`;
    const { text } = await runProgram([Deno.execPath(), "info", "--json"]);
    Deno.symlinkSync(JSON.parse(text).npmCache, `${directory}/npm`);
    const nowhere = "http://127.0.0.1:9";
    const ended = await runProgram(
      [Deno.execPath(), "task", ...task, "--output", output],
      {
        cwd: projectRoot,
        env: { DENO_DIR: directory, HTTPS_PROXY: nowhere, HTTP_PROXY: nowhere, ...env },
      },
    );
    assert(!existsSync(output), "an executable was left behind");
    return ended;
  });
}

for (
  const [task, target] of [
    ["compile:linux-arm64", "aarch64-unknown-linux-gnu"],
    ["compile:macos-arm64", "aarch64-apple-darwin"],
    ["compile:macos-x64", "x86_64-apple-darwin"],
  ] as const
) {
  Deno.test(`Without a runtime base ${task} says which one is missing and what to set`, async () => {
    const ended = await runTask([task]);
    assertEquals(ended.code, 1);
    assertStringIncludes(ended.stderr, `Cannot compile for ${target}`);
    assertStringIncludes(ended.stderr, "Set DENORT_BIN");
  });
}

Deno.test("A false runtime base is refused, because the executable made with it does not run", async () => {
  const ended = await runTask(["compile"], { DENORT_BIN: "/bin/true" });
  assertEquals(ended.code, 1);
  assertStringIncludes(ended.stderr, "Cannot compile with DENORT_BIN=/bin/true");
});

Deno.test("An option that compile does not know is refused", async () => {
  const ended = await runTask(["compile", "--outptu", "x"]);
  assertEquals(ended.code, 1);
  assertStringIncludes(ended.stderr, "Unknown argument --outptu");
});
