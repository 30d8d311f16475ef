/**
 * The daemons of the compiled executable as real processes, killed and restarted, and the verbs that
 * administer their data. See verbs_test.ts.
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { ordinaryCommand } from "../support/ordinary_user.ts";
import { type CountdProcess, startProgram } from "../support/process.ts";
import { waitUntil } from "../support/wait.ts";
import { type Installation, testBinary } from "./installation.ts";

const DATA = ["--data", "data"];

async function addressOf(daemon: CountdProcess, role?: string): Promise<string> {
  const { host, port } = await daemon.listening(role);
  return `${host}:${port}`;
}

/** write, worker and read on one directory, and the expected counts. */
class Counters {
  readonly #expected = new Map<string, bigint>();

  constructor(readonly countd: Installation) {}

  async add(address: string, key: string, increment: bigint): Promise<void> {
    await this.countd.answer(["incr", "pages", key, String(increment), "--connect", address]);
    this.#expected.set(key, (this.#expected.get(key) ?? 0n) + increment);
  }

  /** Sends many lines at once with `load`. */
  async load(address: string, lines: readonly [key: string, increment: bigint][]): Promise<void> {
    const stdin = lines.map(([key, increment]) => `pages\t${key}\t${increment}\n`).join("");
    const answer = await this.countd.answer(["load", "--connect", address], { stdin });
    assertEquals(answer, `accepted ${lines.length}\nrefused 0\n`);
    for (const [key, increment] of lines) {
      this.#expected.set(key, (this.#expected.get(key) ?? 0n) + increment);
    }
  }

  /** What `top` prints: by count, then by key. */
  ranking(): string {
    return [...this.#expected]
      .sort(([a, x], [b, y]) => x === y ? (a < b ? -1 : 1) : x < y ? 1 : -1)
      .map(([key, count]) => `${count}\t${key}\n`).join("");
  }

  async assertTop(...where: string[]): Promise<void> {
    const top = await this.countd.answer(["top", "pages", "--length", "1000", ...where]);
    assertEquals(top, this.ranking());
  }
}

/** Registers the tests. */
export function testDaemons(): void {
  testBinary("counts exactly in three processes, each killed and started again", async (countd) => {
    const counters = new Counters(countd);
    const start = (...args: string[]) => countd.start(...args, ...DATA);
    await using firstWriter = start("write", "--port", "0", "--log-size", "65536");
    let writer = await addressOf(firstWriter);
    await using firstWorker = start("worker");
    await firstWorker.stderrLine(/worker ready/);
    await using firstReader = start("read", "--port", "0");
    let reader = await addressOf(firstReader);

    await counters.add(writer, "/a", 5n);
    await counters.add(writer, "/b", 7n);
    await counters.assertTop("--connect", reader);

    await firstWriter.kill();
    await using secondWriter = start("write", "--port", "0");
    writer = await addressOf(secondWriter);
    await counters.add(writer, "/a", 2n ** 60n);
    await counters.assertTop("--connect", reader);

    await firstWorker.kill();
    await using secondWorker = start("worker");
    await secondWorker.stderrLine(/worker ready/);
    await counters.load(
      writer,
      Array.from({ length: 3000 }, (_, index) => [`/page/${index % 700}`, BigInt(index)]),
    );
    await counters.assertTop("--connect", reader);

    await firstReader.kill();
    await using secondReader = start("read", "--port", "0");
    reader = await addressOf(secondReader);
    await counters.assertTop("--connect", reader);

    assertStringIncludes(await countd.answer(["status", ...DATA]), "keyspaces");
    for (const daemon of [secondWriter, secondWorker, secondReader]) {
      assertEquals(await daemon.stop(), 0, daemon.commandLine);
    }
    await countd.answer(["worker", "--once", ...DATA]);
    await counters.assertTop(...DATA);
    await counters.assertTop("--stale", ...DATA);
    assertEquals(await countd.answer(["get", "pages", "/b", ...DATA]), "7\n");
    assertEquals(await countd.answer(["rank", "pages", "/a", ...DATA]), "0\n");
    assertEquals(await countd.answer(["keyspaces", ...DATA]), "pages\t702\n");
    await countd.answer(["check", ...DATA]);
    assertStringIncludes(await countd.answer(["log", "inspect", "data/logs/0000000000"]), "0");
    assertEquals((await countd.run(["log", "repair", "data/logs/0000000000"])).code, 5);

    await countd.answer(["backup", "copy", ...DATA]);
    await countd.answer(["restore", "copy", "--data", "restored"]);
    await counters.assertTop("--data", "restored");
    await countd.answer(["check", "--data", "restored"]);
    await countd.answer(["repair", "--out", "repaired", ...DATA]);
  });

  testBinary("serves everything on one directory, and leaves no orphan behind", async (countd) => {
    const counters = new Counters(countd);
    const serve = () => countd.start("serve", "--write-port", "0", "--read-port", "0", ...DATA);
    {
      await using server = serve();
      const writer = await addressOf(server, "write");
      const reader = await addressOf(server, "read");
      await counters.add(writer, "/a", 3n);
      await counters.assertTop("--connect", reader);
      await server.kill();
    }
    // The lease is free only after the worker of serve has ended too.
    await countd.answer(["worker", "--once", "--lock-timeout", "30s", ...DATA]);
    await using server = serve();
    await counters.add(await addressOf(server, "write"), "/a", 4n);
    await counters.assertTop("--connect", await addressOf(server, "read"));
    assertEquals(await server.stop(), 0);
    await counters.assertTop(...DATA);
    await countd.answer(["check", ...DATA]);
  });

  testBinary("keeps a database over HTTP, through kill -9 and a restart", async (countd) => {
    const start = () =>
      countd.start("db", "serve", "--db", "db.json", "--log", "db.log", "--port", "0");
    {
      await using server = start();
      const url = `http://${await addressOf(server)}`;
      const stored = await fetch(`${url}/set/motd`, { method: "POST", body: "hello" });
      assertEquals([stored.status, await stored.text()], [200, "hello"]);
      await server.kill();
    }
    await using server = start();
    const url = `http://${await addressOf(server)}`;
    const got = await fetch(`${url}/get/motd`);
    assertEquals([got.status, await got.text()], [200, "hello"]);
    const missing = await fetch(`${url}/get/none`);
    await missing.body?.cancel();
    assertEquals(missing.status, 404);
    assertEquals(await server.stop(), 0);
    const places = ["--db", "db.json", "--log", "db.log"];
    await countd.answer(["db", "export", "exported", ...places]);
    await countd.answer(["db", "import", "exported", "--db", "other.json", "--log", "other.log"]);
    await countd.answer(["db", "repair", ...places]);
  });

  testBinary("follows a log while it is written", async (countd) => {
    await using writer = countd.start("write", "--port", "0", "--seal-after", "60m", ...DATA);
    await countd.answer(["incr", "pages", "/a", "--connect", await addressOf(writer)]);
    await using tail = countd.start("log", "tail", "data/logs/0000000000", "--follow");
    await tail.stdoutLine(/\S/);
    const before = tail.stdoutLines.length;
    await countd.answer(["incr", "pages", "/b", "--connect", await addressOf(writer)]);
    await tail.stdoutLine(/\S/, { from: before });
    assertEquals(await tail.stop(), 0);
    assertEquals(await writer.stop(), 0);
  });

  testBinary("talks on a terminal, and in a script", async (countd) => {
    assertEquals(
      await countd.answer(["shell", "-c", "set motd hello; get motd", ...DATA]),
      "hello\n",
    );
    const inside = `'${countd.binary}' shell --data data`;
    const command = ["script", "--quiet", "--return", "--flush", "--command", inside, "/dev/null"];
    await using terminal = startProgram(
      countd.as === "ordinary" ? ordinaryCommand(command, "/nowhere/") : command,
      { cwd: countd.directory, env: { TERM: "xterm" } },
    );
    await terminal.writeStdin("set spoken yes\n");
    await terminal.writeStdin("get spoken\n");
    await waitUntil(
      "the value on the terminal",
      () => terminal.stdoutLines.some((line) => /^yes\s*$/.test(line)),
    );
    await terminal.writeStdin("exit\n");
    assertEquals((await terminal.ended()).code, 0);
    assertEquals(await countd.answer(["kv", "get", "spoken", ...DATA]), "yes");
    assert(!terminal.stdoutLines.some((line) => line.includes("NotCapable")));
  });
}
