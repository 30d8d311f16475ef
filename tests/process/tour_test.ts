/**
 * Runs the transcript in README unchanged, so that it stays true. It has nothing that a reader lacks: the
 * default ports are free because it runs on a network of its own.
 */

import { assert, assertEquals } from "@std/assert";
import { runningAsRoot } from "../support/ordinary_user.ts";
import { runProgram } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";

interface Step {
  readonly command: string;
  readonly expected: string;
}

/** Parses the `console` blocks of a Markdown text: a command after each `$ `, its output below. */
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

/** `countd` as a program on the path. */
function wrapperOf(root: string): string {
  return `#!/bin/sh\nexec "${Deno.execPath()}" run --quiet -A "${root}main.ts" "$@"\n`;
}

/** Uses one bash for all steps, so that jobs and `$?` work; a separator follows the output of a step. */
function scriptOf(steps: readonly Step[]): string {
  return [
    ...steps.flatMap(({ command }) => [command, "status=$?", "echo -----", "(exit $status)"]),
    "kill %1; wait",
  ].join("\n");
}

/** The path of `ip`, even if the PATH of an ordinary user does not have it. */
const SYSTEM_PATH = 'PATH="$PATH:/usr/sbin:/sbin"';

/** Wraps `command` so that it runs on a network with nothing but the loopback device. */
function onOwnNetwork(command: readonly string[]): string[] {
  const script = `(${SYSTEM_PATH}; ip link set lo up) && exec "$@"`;
  return ["unshare", "-rn", "sh", "-c", script, "sh", ...command];
}

/** Returns why a network of its own is impossible; null if it is possible. */
async function missing(): Promise<string | null> {
  for (const program of ["unshare", "ip"]) {
    const { code } = await runProgram(["sh", "-c", `${SYSTEM_PATH}; command -v ${program}`]);
    if (code !== 0) return `not run: needs ${program}`;
  }
  const { code } = await runProgram(onOwnNetwork(["true"]));
  if (code === 0) return null;
  return runningAsRoot() ? "not run: needs unshare -rn" : "left to root: a network of its own";
}

Deno.test("The tour in README prints what README says", async () => {
  const reason = await missing();
  if (reason !== null) return console.log(reason);
  const root = decodeURIComponent(new URL("../../", import.meta.url).pathname);
  const steps = stepsOf(Deno.readTextFileSync(`${root}README.md`));
  assert(steps.length >= 8);
  await withTemporaryDirectory(async (directory) => {
    Deno.mkdirSync(`${directory}/bin`);
    Deno.writeTextFileSync(`${directory}/bin/countd`, wrapperOf(root), { mode: 0o755 });
    const command = onOwnNetwork(["bash", "-c", `{ ${scriptOf(steps)}\n} 2>&1`]);
    const { text } = await runProgram(command, {
      cwd: directory,
      env: { PATH: `${directory}/bin:${Deno.env.get("PATH")}` },
    });
    const outputs = text.split("-----\n");
    for (const [index, { command, expected }] of steps.entries()) {
      assertEquals(outputs[index], expected, `$ ${command}`);
    }
  });
});
