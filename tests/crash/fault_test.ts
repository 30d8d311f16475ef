/** Faults of real daemons: a failing or full disk, stopped holders of locks, no free descriptors. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { systemClock } from "../../src/base/clock.ts";
import { giveToOrdinaryUser, ordinaryCommand, runningAsRoot } from "../support/ordinary_user.ts";
import { runCountd, startProgram } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { waitUntil } from "../support/wait.ts";
import { ConnectError } from "../../src/base/errors.ts";
import {
  assertOnes,
  assertSound,
  foldEverything,
  sendOnes,
  startWorker,
  startWriter,
  storedCounters,
} from "./real_directory.ts";

const keyspaces = ["one", "two"];

for (const nth of [6, 7, 8, 10]) {
  Deno.test(`A sync that fails (the ${nth}th) stops the writer, marks the directory, and nothing folds`, async () => {
    await withTemporaryDirectory(async (directory) => {
      const data = `${directory}/data`;
      {
        // A writer without faults makes the pool.
        await using maker = startWriter(data);
        await maker.listening();
        assertEquals(await maker.stop(), 0);
      }
      await using writer = startWriter(data, { fault: `EIO@sync#${nth}` });
      const ready = writer.listening().then(({ port }) => port, () => null);
      const port = await Promise.race([ready, writer.ended().then(() => null)]);
      const nothing = { attempted: 0, acknowledged: 0, hasTotals: false };
      // The sync may fail before the writer listens, or between that and the connection.
      const sent = port === null
        ? nothing
        : await sendOnes(port, { prefix: "a", count: 20_000, keyspaces }).catch((error) => {
          if (error instanceof ConnectError) return nothing;
          throw error;
        });
      const { code, stderr } = await writer.ended();
      assertEquals(code, 6, stderr);
      assertMatch(stderr, /check --clear-failed/);
      assert(!sent.hasTotals, "a failed writer gave totals");

      const worker = await runCountd(["worker", "--once", `--data=${data}`]);
      assertEquals(worker.code, 6, worker.stderr);
      assertMatch(worker.stderr, /marked failed/);
      assertEquals(storedCounters(data).size, 0, "something was folded");
      const again = await runCountd(["write", `--data=${data}`, "--port=0"]);
      assertEquals(again.code, 6, again.stderr);
      const check = await runCountd(["check", `--data=${data}`]);
      assertEquals(check.code, 6);
      assertMatch(check.text, /^logs 11\t/m);

      const cleared = await runCountd(["check", "--clear-failed", `--data=${data}`]);
      assertEquals(cleared.code, 0, cleared.stderr);
      await foldEverything(data);
      assertOnes(storedCounters(data), { prefix: "a", sent, keyspaces });
      assertSound(data);
    });
  });
}

Deno.test("A sync that fails in the worker marks the directory, and a living writer ends", async () => {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    await using writer = startWriter(data);
    const { port } = await writer.listening();
    const sent = await sendOnes(port, { prefix: "a", count: 5000, keyspaces });
    assertEquals(sent.acknowledged, 5000);
    await using worker = startWorker(data, { fault: "EIO@sync#2" });
    const ended = await worker.ended();
    assertEquals(ended.code, 6, ended.stderr);
    assertEquals((await writer.ended()).code, 6);
    const cleared = await runCountd(["check", "--clear-failed", `--data=${data}`]);
    assertEquals(cleared.code, 0, cleared.stderr);
    await foldEverything(data);
    assertEquals(assertOnes(storedCounters(data), { prefix: "a", sent, keyspaces }), 5000);
    assertSound(data);
  });
});

Deno.test("check --clear-failed beside a running daemon is refused with exit 75", async () => {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    await using writer = startWriter(data);
    await writer.listening();
    const { code, stderr } = await runCountd(["check", "--clear-failed", `--data=${data}`]);
    assertEquals(code, 75, stderr);
    assertEquals(await writer.stop(), 0);
    assertSound(data);
  });
});

Deno.test("A stopped writer (SIGSTOP) keeps its log while others write and fold, and nothing is lost", async () => {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    await using first = startWriter(data);
    const firstPort = (await first.listening()).port;
    const sentFirst = await sendOnes(firstPort, { prefix: "a", count: 500, keyspaces });
    first.signal("SIGSTOP");
    await using second = startWriter(data);
    const { port } = await second.listening();
    const sentSecond = await sendOnes(port, { prefix: "b", count: 3000, keyspaces });
    assertEquals(sentSecond.acknowledged, 3000);
    assertEquals(await second.stop(), 0);
    // The stopped writer holds its log: the fold leaves it as it is and takes the others.
    await foldEverything(data);
    assertOnes(storedCounters(data), { prefix: "b", sent: sentSecond, keyspaces });
    first.signal("SIGCONT");
    const more = await sendOnes(firstPort, { prefix: "c", count: 500, keyspaces });
    assertEquals(more.acknowledged, 500);
    assertEquals(await first.stop(), 0);
    await foldEverything(data);
    const stored = storedCounters(data);
    assertOnes(stored, { prefix: "a", sent: sentFirst, keyspaces });
    assertOnes(stored, { prefix: "c", sent: more, keyspaces });
    assertEquals(stored.size, 4000);
    assertSound(data);
  });
});

Deno.test("A stopped worker (SIGSTOP) keeps the lease: another one ends with 75, and folds later", async () => {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    await using writer = startWriter(data);
    const { port } = await writer.listening();
    await using worker = startWorker(data);
    await worker.stderrLine(/worker ready/);
    worker.signal("SIGSTOP");
    const sent = await sendOnes(port, { prefix: "a", count: 2000, keyspaces });
    assertEquals(sent.acknowledged, 2000);
    assertEquals(await writer.stop(), 0);
    const late = await runCountd(["worker", "--once", "--lock-timeout=300ms", `--data=${data}`]);
    assertEquals(late.code, 75, late.stderr);
    await worker.kill();
    await foldEverything(data);
    assertEquals(assertOnes(storedCounters(data), { prefix: "a", sent, keyspaces }), 2000);
    assertSound(data);
  });
});

// A writer without a spare checks the pool by a timer, which lists a directory. With no descriptor left,
// the error once came out of the timer and ended the process.
Deno.test("Opens that fail without free descriptors lose no answered increment and end no writer", async () => {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    {
      await using maker = startWriter(data);
      await maker.listening();
      assertEquals(await maker.stop(), 0);
    }
    // From the claim of the first spare on: in claims, in checks of the pool and in the writer's report.
    const fault = Array.from({ length: 60 }, (_, at) => `EMFILE@open#${at + 13}`).join(",");
    await using writer = startWriter(data, { fault, args: ["--seal-after=20ms"] });
    const { port } = await writer.listening();
    const few = await sendOnes(port, { prefix: "a", count: 10, keyspaces });
    // The writer does nothing for a while: the timer checks the pool.
    await systemClock.sleep(200);
    const many = await sendOnes(port, { prefix: "b", count: 5000, keyspaces });
    assertEquals([few.acknowledged, many.acknowledged], [10, 5000]);
    assertEquals(await writer.stop(), 0);
    await foldEverything(data);
    const stored = storedCounters(data);
    assertOnes(stored, { prefix: "a", sent: few, keyspaces });
    assertOnes(stored, { prefix: "b", sent: many, keyspaces });
    assertSound(data);
  });
});

/** Fills the disk. */
function fillUp(path: string): void {
  const chunk = new Uint8Array(4096);
  try {
    for (;;) Deno.writeFileSync(path, chunk, { append: true });
  } catch (error) {
    assertMatch(String(error), /No space left/);
  }
}

/** Mounts a small tmpfs for root; false if that is not possible. */
async function mountSmall(path: string): Promise<boolean> {
  Deno.mkdirSync(path);
  const options = ["-t", "tmpfs", "-o", "size=6m", "tmpfs", path];
  return (await new Deno.Command("mount", { args: options, stderr: "null" }).output()).success;
}

Deno.test("On a full disk a writer reports it, loses no answered increment, and resumes with space", async () => {
  await withTemporaryDirectory(async (directory) => {
    const disk = `${directory}/disk`;
    // Only root may mount. The next test covers an ordinary user.
    if (!runningAsRoot()) return;
    if (!await mountSmall(disk)) return console.log("not run: needs mount");
    try {
      const data = `${disk}/data`;
      await using writer = startWriter(data, { args: ["--logs=2"] });
      const { port } = await writer.listening();
      const filler = `${disk}/filler`;
      fillUp(filler);
      const sending = sendOnes(port, { prefix: "a", count: 60_000, keyspaces });
      await writer.stderrLine(/disk full/);
      assert(!writer.over, "the daemon lives");
      // A daemon reports twice a second.
      await waitUntil("status to say so", async () => {
        const status = await runCountd(["status", `--data=${data}`]);
        return /^disk full\tyes/m.test(status.text);
      });
      Deno.removeSync(filler);
      const sent = await sending;
      assertEquals(sent.acknowledged, 60_000);
      assert(sent.hasTotals);
      assertEquals(
        writer.stderrLines.filter((line) => line.includes("disk full")).length,
        1,
        "it says so once",
      );
      assertEquals(await writer.stop(), 0);
      await foldEverything(data);
      assertEquals(assertOnes(storedCounters(data), { prefix: "a", sent, keyspaces }), 60_000);
      assertSound(data);
    } finally {
      await new Deno.Command("umount", { args: ["-l", disk] }).output();
    }
  });
});

Deno.test("A limit on file sizes (RLIMIT_FSIZE) below the size of a log is an error, not a crash", async () => {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    giveToOrdinaryUser(directory);
    const root = new URL("../..", import.meta.url).pathname;
    const countd = [
      Deno.execPath(),
      "run",
      "--quiet",
      "-A",
      "--no-check",
      `${root}main.ts`,
      "write",
      `--data=${data}`,
      "--port=0",
      "--log-size=65536",
    ];
    const command = runningAsRoot() ? ordinaryCommand(countd, root) : countd;
    await using writer = startProgram(["prlimit", "--fsize=32768", ...command]);
    const { code, stderr, signal } = await writer.ended();
    assertEquals(signal, null, stderr);
    assertEquals(code, 75, stderr);
    await waitUntil("the end", () => writer.over);
  });
});
