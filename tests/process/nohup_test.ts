/** `nohup countd … &`: the terminal goes, and what was started there goes on. */

import { assertEquals } from "@std/assert";
import { checkData } from "../support/check_data.ts";
import { countdCommand, runCountd, startProgram } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";

Deno.test("A server under nohup goes on when its terminal hangs up, and so does its worker", async () => {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    const args = ["serve", "--write-port", "0", "--read-port", "0", "--data", data];
    await using server = startProgram(["nohup", ...countdCommand(args)]);
    const { host, port } = await server.listening("write");
    await server.stderrLine(/worker ready/);
    // A terminal that goes sends it to every process that was started there.
    const workers = workersOf(data);
    assertEquals(workers.length, 1);
    for (const pid of [...workers, server.pid]) Deno.kill(pid, "SIGHUP");
    const incr = ["incr", "pages", "/", "--connect", `${host}:${port}`];
    const { code, stderr } = await runCountd(incr);
    assertEquals([code, stderr], [0, ""]);
    // The worker folds what is sealed: it lives, and it is still the first one.
    await server.stderrLine(/event=folded/);
    assertEquals(server.stderrLines.filter((line) => /worker ready/.test(line)).length, 1);
    assertEquals(server.over, false);
    assertEquals(await server.stop(), 0);
    checkData(data);
  });
});

Deno.test("A server whose SIGHUP was not ignored stops cleanly at it", async () => {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    const command = countdCommand(["write", "--port", "0", "--data", data]);
    await using server = startProgram(command);
    await server.listening();
    assertEquals(await server.stop("SIGHUP"), 0);
    checkData(data);
  });
});

/** Process ids of the workers that a directory has; the name of a report holds them. */
function workersOf(data: string): number[] {
  return [...Deno.readDirSync(`${data}/run`)].flatMap(({ name }) =>
    name.startsWith("worker-") ? [Number(name.slice("worker-".length))] : []
  );
}
