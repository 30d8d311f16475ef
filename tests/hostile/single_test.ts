/** Attacks that need a setting of their own: a worker that does not fold, a full disk, an unread stderr. */

import { assert, assertEquals } from "@std/assert";
import { askPage, increment, pageRequest } from "../process/plain_messages.ts";
import { checkData } from "../support/check_data.ts";
import { FullCount } from "../support/full_count.ts";
import { countdCommand, runProgram, startCountd, startProgram } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { waitUntil } from "../support/wait.ts";
import { GOOD, hostname, type Port } from "./ports.ts";
import { assertServed, GoodClient, longestTurnMs, sendAcknowledged, startBeside } from "./world.ts";

const changedPages = new FullCount("pages over counters that change");
/** Processor time: 20 ms, and the pauses of the collector and of a processor that others use. */
const TURN_MS_MAX = 100;
const BOUND_MS = changedPages.isLong ? 1000 : 2000;

const anyPorts = ["--write-port", "0", "--read-port", "0"];

/** The process that folds for a server. */
function workerOf(pid: number): number {
  const children = Deno.readTextFileSync(`/proc/${pid}/task/${pid}/children`).trim().split(" ");
  assertEquals(children.length, 1, "a server has one child");
  return Number(children[0]);
}

Deno.test("A page over 150,000 counters that are not folded delays no other client of serve", async () => {
  // Story: one such page held the loop for 1.5 s, and all writes with it.
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    await using serve = startCountd([
      ...["serve", "--ack", "--data", data, ...anyPorts, "--metrics-port", "0"],
    ]);
    const metrics = Number((await serve.stderrLine(/metrics on \S+:(\d+)/))[1]);
    const write = (await serve.listening("write")).port;
    const read = (await serve.listening("read")).port;
    const ports: Port[] = [
      { name: "write", protocol: "write", port: write },
      { name: "read", protocol: "read", port: read },
    ];
    await sendAcknowledged(write, [increment(GOOD, "key", 1n)]);
    const worker = workerOf(serve.pid);
    Deno.kill(worker, "SIGSTOP");
    try {
      for (let from = 0; from < 150_000; from += 10_000) {
        const some = Array.from(
          { length: 10_000 },
          (_, index) => increment("many", `key-${from + index}`, BigInt(index + 1)),
        );
        await sendAcknowledged(write, some);
      }
      await using good = await GoodClient.start(ports);
      using reader = await Deno.connect({ hostname, port: read });
      const measured = good.waits(2 * BOUND_MS);
      assertEquals(await askPage(reader, pageRequest("many", 10)), { total: 150_000n, rows: 10n });
      assertServed("the first page", await measured, { boundMs: BOUND_MS });
      const turnMs = await longestTurnMs(metrics);
      console.log(`longest turn: ${turnMs.toFixed(1)} ms`);
      assert(turnMs < TURN_MS_MAX, `${turnMs} ms`);
      // And while the counters change.
      const measuredLater = good.waits(2 * BOUND_MS);
      for (const round of changedPages.rounds(5, 50)) {
        const some = Array.from(
          { length: 4000 },
          (_, index) => increment("many", `key-${round * 7 + index * 30}`, 1_000_000n),
        );
        await sendAcknowledged(write, some);
        const { total } = await askPage(reader, pageRequest("many", 10));
        assertEquals(total, 150_000n);
      }
      assertServed("later pages", await measuredLater, { boundMs: BOUND_MS });
    } finally {
      Deno.kill(worker, "SIGCONT");
    }
    assertEquals(await serve.stop(), 0);
    checkData(data);
  });
});

Deno.test("Beside a full disk, what needs no space is answered soon", async () => {
  if (Deno.uid() !== 0) return console.log("left to root: a file system of its own");
  await withTemporaryDirectory(async (directory) => {
    const disk = `${directory}/disk`;
    Deno.mkdirSync(disk);
    const mount = ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", disk];
    assertEquals((await runProgram(mount)).code, 0);
    try {
      const data = `${disk}/data`;
      const small = ["--log-size", "1MiB", "--logs", "4"];
      await using serve = startCountd([
        ...["serve", "--ack", "--data", data, ...anyPorts, "--metrics-port", "0", ...small],
      ]);
      const write = (await serve.listening("write")).port;
      const metrics = Number((await serve.stderrLine(/metrics on \S+:(\d+)/))[1]);
      const ports: Port[] = [
        { name: "read", protocol: "read", port: (await serve.listening("read")).port },
        { name: "metrics", protocol: "http", port: metrics, path: "/metrics" },
      ];
      await sendAcknowledged(write, [increment(GOOD, "key", 1n)]);
      await runProgram(["dd", "if=/dev/zero", `of=${disk}/rest`, "bs=64k", "status=none"]);
      const flood: Port = { name: "write", protocol: "write", port: write };
      await using attack = startBeside(
        "attacker.ts",
        "new counters without end",
        JSON.stringify([flood]),
      );
      await using good = await GoodClient.start(ports);
      await serve.stderrLine(/disk full/);
      assertServed("full disk", await good.waits(2 * BOUND_MS), { boundMs: BOUND_MS });
      await attack.kill();
      Deno.removeSync(`${disk}/rest`);
      assertEquals(await serve.stop(), 0);
      checkData(data);
    } finally {
      assertEquals((await runProgram(["umount", disk])).code, 0);
    }
  });
});

Deno.test("Beside a stderr that is not read, everything is answered soon, and the lost lines are counted", async () => {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    const pipe = `${directory}/stderr`;
    assertEquals((await runProgram(["mkfifo", pipe])).code, 0);
    using keeper = Deno.openSync(pipe, { read: true, write: true });
    const command = countdCommand([
      ...["serve", "--ack", "--data", data, ...anyPorts, "--metrics-port", "0"],
      // So small that a flood writes many lines.
      ...["--log-size", "65536"],
    ]);
    await using serve = startProgram(["sh", "-c", `exec "$@" 2>"$0"`, pipe, ...command]);
    let said = "";
    const buffer = new Uint8Array(65_536);
    while (!said.includes("read listening on")) {
      said += new TextDecoder().decode(buffer.subarray(0, await keeper.read(buffer) ?? 0));
    }
    const portOf = (pattern: RegExp) => Number(pattern.exec(said)?.[1]);
    const ports: Port[] = [
      { name: "write", protocol: "write", port: portOf(/write listening on \S+:(\d+)/) },
      { name: "read", protocol: "read", port: portOf(/read listening on \S+:(\d+)/) },
      {
        name: "metrics",
        protocol: "http",
        port: portOf(/metrics on \S+:(\d+)/),
        path: "/metrics",
      },
    ];
    const fill = ["dd", "if=/dev/zero", `of=${pipe}`, "bs=4096", "oflag=nonblock", "status=none"];
    await runProgram(fill);
    await sendAcknowledged(ports[0]!.port, [increment(GOOD, "key", 1n)]);
    await using attack = startBeside(
      "attacker.ts",
      "increments without end",
      JSON.stringify([ports[0]]),
    );
    await attack.stdoutLine(/^ready$/);
    await using good = await GoodClient.start(ports);
    assertServed("unread stderr", await good.waits(4 * BOUND_MS), { boundMs: 2 * BOUND_MS });
    await attack.kill();
    // The worker, a process of its own, reports its metrics each second.
    await waitUntil("the number of lost lines", async () => {
      const metrics = await (await fetch(`http://${hostname}:${ports[2]!.port}/metrics`)).text();
      return Number(/^countd_lost_lines_total (\d+)$/m.exec(metrics)?.[1]) > 0;
    }, { deadlineMs: 10_000, everyMs: 100 });
    await good[Symbol.asyncDispose]();
    assertEquals(await serve.stop(), 0);
    checkData(data);
  });
});
