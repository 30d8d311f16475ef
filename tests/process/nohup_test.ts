/** `nohup countd … &`: countd continues when its terminal goes away. */

import { assertEquals } from "@std/assert";
import { checkData } from "../support/check_data.ts";
import { countdCommand, runCountd, startProgram } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";

Deno.test("A server under nohup and its worker continue when the terminal hangs up", async () => {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    const args = ["serve", "--write-port", "0", "--read-port", "0", "--data", data];
    await using server = startProgram(["nohup", ...countdCommand(args)]);
    const { host, port } = await server.listening("write");
    await server.stderrLine(/worker ready/);
    // A closed terminal sends SIGHUP to every process that was started there.
    const workers = workersOf(data);
    assertEquals(workers.length, 1);
    for (const pid of [...workers, server.pid]) Deno.kill(pid, "SIGHUP");
    const incr = ["incr", "pages", "/", "--connect", `${host}:${port}`];
    const { code, stderr } = await runCountd(incr);
    assertEquals([code, stderr], [0, ""]);
    // The worker folds sealed logs, so it is alive, and it is still the first one.
    await server.stderrLine(/event=folded/);
    assertEquals(server.stderrLines.filter((line) => /worker ready/.test(line)).length, 1);
    assertEquals(server.over, false);
    assertEquals(await server.stop(), 0);
    checkData(data);
  });
});

Deno.test("A server stops cleanly at a SIGHUP that is not ignored", async () => {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    const command = countdCommand(["write", "--port", "0", "--data", data]);
    await using server = startProgram(command);
    await server.listening();
    assertEquals(await server.stop("SIGHUP"), 0);
    checkData(data);
  });
});

/** Returns the process ids of the workers of a directory, from the names of their reports. */
function workersOf(data: string): number[] {
  return [...Deno.readDirSync(`${data}/run`)].flatMap(({ name }) =>
    name.startsWith("worker-") ? [Number(name.slice("worker-".length))] : []
  );
}
