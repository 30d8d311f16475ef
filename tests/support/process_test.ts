/** The helper that starts processes, tested on small programs in place of `countd`. */

import { assert, assertEquals } from "@std/assert";
import { giveToOrdinaryUser, ORDINARY_ID, ordinaryCommand } from "./ordinary_user.ts";
import { runProgram, startProgram } from "./process.ts";
import { withTemporaryDirectory } from "./temporary.ts";

Deno.test("A program is run to its end with its input, output and exit code", async () => {
  const ended = await runProgram(["sh", "-c", "cat; echo seen >&2; exit 7"], { stdin: "abc" });
  assertEquals([ended.code, ended.text, ended.stderr], [7, "abc", "seen"]);
});

Deno.test("A program that does not read its input still ends", async () => {
  const ended = await runProgram(["true"], { stdin: new Uint8Array(1 << 20) });
  assertEquals(ended.code, 0);
});

Deno.test("The test sees the port that a program listens on, and stops it by a signal", async () => {
  const script =
    "trap 'exit 3' TERM; echo noise >&2; echo write listening on 127.0.0.1:48879 >&2;" +
    "echo read listening on [::1]:7 >&2; while :; do sleep 0.05; done";
  await using process = startProgram(["sh", "-c", script]);
  assertEquals(await process.listening("read"), { host: "::1", port: 7 });
  assertEquals(await process.listening("write"), { host: "127.0.0.1", port: 48879 });
  assertEquals(await process.stop(), 3);
});

Deno.test("A line that never comes is reported with the lines that came", async () => {
  await using process = startProgram(["sh", "-c", "echo other >&2"]);
  const message = await process.stderrLine(/listening/).catch((error) => error.message);
  assert(/ended without a line[^]*other/.test(message), message);
});

Deno.test("A process that still runs is killed when its scope is left", async () => {
  let pid: number;
  {
    await using process = startProgram(["sleep", "1000"]);
    pid = process.pid;
  }
  let error: unknown;
  try {
    Deno.kill(pid, "SIGCONT");
  } catch (caught) {
    error = caught;
  }
  assert(error instanceof Deno.errors.NotFound || error instanceof TypeError, String(error));
});

Deno.test("kill -9 is distinguished from an exit code", async () => {
  await using process = startProgram(["sleep", "1000"]);
  await process.kill();
  const ended = await process.ended();
  assertEquals([ended.code, ended.signal], [137, "SIGKILL"]);
});

Deno.test("An ordinary command does not run as root, and works from a closed directory", async () => {
  const umask = Deno.umask(0o077);
  await withTemporaryDirectory(async (directory) => {
    // Only their owner may enter the directories of the project and the program.
    const project = `${directory}/project/`;
    for (const part of ["src", "ffi"]) Deno.mkdirSync(`${project}${part}`, { recursive: true });
    for (const name of ["deno.json", "deno.lock"]) {
      Deno.writeTextFileSync(`${project}${name}`, "{}");
    }
    Deno.writeTextFileSync(`${project}main.ts`, "told");
    Deno.writeTextFileSync(`${project}src/part.ts`, "part");
    Deno.copyFileSync("/bin/cat", `${directory}/cat`);
    const files = [`${project}main.ts`, `${project}src/part.ts`];
    const ended = await runProgram(
      ordinaryCommand([`${directory}/cat`, ...files], project),
    );
    assertEquals([ended.stderr, ended.text], ["", "toldpart"]);
    const who = await runProgram(ordinaryCommand(["id", "-u"], project));
    assertEquals(Number(who.text), Deno.uid() === 0 ? ORDINARY_ID : Deno.uid());
  }).finally(() => Deno.umask(umask));
});

Deno.test("An ordinary user can write to a directory that it was given", async () => {
  await withTemporaryDirectory(async (directory) => {
    Deno.mkdirSync(`${directory}/inside`);
    giveToOrdinaryUser(directory);
    const path = `${directory}/inside/file`;
    const ended = await runProgram(ordinaryCommand(["touch", path], `${directory}/none/`));
    assertEquals(ended.stderr, "");
    assertEquals(Deno.statSync(path).uid, Deno.uid() === 0 ? ORDINARY_ID : Deno.uid());
  });
});
