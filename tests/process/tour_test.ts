/** The transcript in README is run as it stands, so that it stays true. */

import { assert, assertEquals } from "@std/assert";
import { runProgram } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";

interface Step {
  readonly command: string;
  readonly expected: string;
}

/** The `console` blocks of a Markdown text: a command after each `$ `, its output below. */
function stepsOf(markdown: string): Step[] {
  const steps: Step[] = [];
  for (const block of markdown.matchAll(/```console\n([\s\S]*?)```/g)) {
    for (const part of (block[1] ?? "").split(/^\$ /m).slice(1)) {
      const end = part.indexOf("\n");
      steps.push({ command: part.slice(0, end), expected: part.slice(end + 1) });
    }
  }
  return steps;
}

/** `countd` as a program on the path: the sources, on free ports in place of the usual ones. */
function wrapperOf(root: string): string {
  return [
    "#!/bin/sh",
    "export COUNTD_WRITE_PORT=0 COUNTD_READ_PORT=0",
    "case $1 in incr|load)",
    "  COUNTD_CONNECT=$(sed -n 's/^write listening on //p' serve.log)",
    "  export COUNTD_CONNECT",
    "esac",
    `exec "${Deno.execPath()}" run --quiet -A "${root}main.ts" "$@"`,
    "",
  ].join("\n");
}

/** One bash for all steps, so that jobs and `$?` work; a line of marks follows each step's output. */
function scriptOf(steps: readonly Step[]): string {
  return [
    ...steps.flatMap(({ command }) => [
      command,
      "status=$?",
      ...(command.endsWith("&")
        ? ["until grep -qs '^read listening' serve.log; do sleep 0.05; done"]
        : []),
      "echo -----",
      "(exit $status)",
    ]),
    "kill %1; wait",
  ].join("\n");
}

Deno.test("The tour in README prints what README says", async () => {
  const root = decodeURIComponent(new URL("../../", import.meta.url).pathname);
  const steps = stepsOf(Deno.readTextFileSync(`${root}README.md`));
  assert(steps.length >= 8);
  await withTemporaryDirectory(async (directory) => {
    Deno.mkdirSync(`${directory}/bin`);
    Deno.writeTextFileSync(`${directory}/bin/countd`, wrapperOf(root), { mode: 0o755 });
    const { text } = await runProgram(["bash", "-c", `{ ${scriptOf(steps)}\n} 2>&1`], {
      cwd: directory,
      env: { PATH: `${directory}/bin:${Deno.env.get("PATH")}` },
    });
    const outputs = text.split("-----\n");
    for (const [index, { command, expected }] of steps.entries()) {
      assertEquals(outputs[index], expected, `$ ${command}`);
    }
  });
});
