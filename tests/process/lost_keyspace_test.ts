/** Files of keyspaces that are removed, replaced or made unreadable while a server runs. */

import { assertEquals, assertMatch } from "@std/assert";
import { giveToOrdinaryUser } from "../support/ordinary_user.ts";
import { type CountdProcess, runCountd, runProgram, startCountd } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { waitUntil } from "../support/wait.ts";

/** A data directory with a server that runs as the ordinary user. */
class Counted implements AsyncDisposable {
  readonly data: string;
  readonly #server: CountdProcess;
  #folds = 0;

  constructor(directory: string) {
    giveToOrdinaryUser(directory);
    this.data = `${directory}/data`;
    this.#server = startCountd(
      ["serve", "--data", this.data, "--write-port=0", "--read-port=0", "--seal-after=50ms"],
      { as: "ordinary" },
    );
  }

  pathOf(keyspace: string): string {
    return `${this.data}/keyspaces/${keyspace}`;
  }

  /** Adds to the counter `k` of each keyspace, and waits until it is folded. */
  async count(increment: number, keyspaces: readonly string[]): Promise<void> {
    await this.send(increment, keyspaces);
    await this.folded();
  }

  async send(increment: number, keyspaces: readonly string[]): Promise<void> {
    const { port } = await this.#server.listening("write");
    const stdin = keyspaces.map((name) => `${name}\tk\t${increment}\n`).join("");
    const loaded = await runCountd(["load", "--connect", `127.0.0.1:${port}`], { stdin });
    assertEquals(loaded.code, 0, loaded.stderr);
  }

  async folded(): Promise<void> {
    const pattern = /event=folded logs=[1-9]/;
    await waitUntil("a fold", () => {
      return this.#server.stderrLines.filter((line) => pattern.test(line)).length > this.#folds;
    });
    this.#folds = this.#server.stderrLines.filter((line) => pattern.test(line)).length;
  }

  /** Returns the value of the counter `k` from the read port. */
  async ask(keyspace: string): Promise<string> {
    const { port } = await this.#server.listening("read");
    return (await runCountd(["get", keyspace, "k", "--connect", `127.0.0.1:${port}`])).text;
  }

  async readAddress(): Promise<string> {
    return `127.0.0.1:${(await this.#server.listening("read")).port}`;
  }

  async says(pattern: RegExp): Promise<void> {
    await this.#server.stderrLine(pattern);
  }

  async stop(): Promise<void> {
    assertEquals(await this.#server.stop(), 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]();
  }

  /** Folds the rest, and compares the counters. */
  async assertCounts(expected: Readonly<Record<string, number>>): Promise<void> {
    const once = await runCountd(["worker", "--once", "--data", this.data], { as: "ordinary" });
    assertEquals(once.code, 0, once.stderr);
    for (const [keyspace, value] of Object.entries(expected)) {
      const { text } = await runCountd(["get", keyspace, "k", "--data", this.data]);
      assertEquals([keyspace, text], [keyspace, `${value}\n`]);
    }
    const checked = await runCountd(["check", "--data", this.data]);
    assertEquals(checked.code, 0, checked.text + checked.stderr);
  }
}

async function withCounted(
  body: (counted: Counted, directory: string) => Promise<void>,
): Promise<void> {
  await withTemporaryDirectory(async (directory) => {
    await using counted = new Counted(directory);
    await body(counted, directory);
  });
}

Deno.test("Increments after the removal of a keyspace file go into a new file", async () => {
  await withCounted(async (counted) => {
    await counted.count(5, ["a", "b"]);
    assertEquals(await counted.ask("a"), "5\n");
    Deno.removeSync(counted.pathOf("a"));
    await counted.count(3, ["a", "b"]);
    assertEquals([await counted.ask("a"), await counted.ask("b")], ["3\n", "8\n"]);
    await counted.stop();
    await counted.assertCounts({ a: 3, b: 8 });
  });
});

Deno.test("Increments after a keyspace file is replaced by an older one are added to the older one", async () => {
  await withCounted(async (counted, directory) => {
    await counted.count(5, ["a", "b"]);
    const older = `${directory}/older`;
    Deno.copyFileSync(counted.pathOf("a"), older);
    await counted.count(100, ["a", "b"]);
    giveToOrdinaryUser(older);
    Deno.renameSync(older, counted.pathOf("a"));
    await counted.count(3, ["a", "b"]);
    await counted.count(1, ["a", "b"]);
    await counted.stop();
    await counted.assertCounts({ a: 9, b: 109 });
  });
});

Deno.test("A keyspace file that is replaced before a fold publishes it loses nothing", async () => {
  await withTemporaryDirectory(async (directory) => {
    const counted = new Counted(directory);
    const kept = (keyspace: string) => `${directory}/${keyspace}.kept`;
    {
      await using _ending = counted;
      await counted.count(5, ["removed", "kept", "overwritten", "returning"]);
      Deno.copyFileSync(counted.pathOf("overwritten"), kept("overwritten"));
      await counted.count(5, ["overwritten"]);
      await counted.count(3, ["removed", "kept", "overwritten", "returning"]);
      Deno.renameSync(counted.pathOf("returning"), kept("returning"));
      await counted.stop();
    }
    await using writer = startCountd(["write", "--data", counted.data, "--port", "0"], {
      as: "ordinary",
    });
    const { port } = await writer.listening();
    const stdin = "removed\tk\t1\nkept\tk\t1\noverwritten\tk\t1\nreturning\tk\t1\n";
    assertEquals((await runCountd(["load", "--connect", `127.0.0.1:${port}`], { stdin })).code, 0);
    assertEquals(await writer.stop(), 0);
    await using worker = startCountd(["worker", "--once", "--data", counted.data], {
      as: "ordinary",
      env: { COUNTD_FAULT: "stop@fold.4.before" },
    });
    await waitUntil("the pages to be written", () => {
      return /^State:\s+T/m.test(Deno.readTextFileSync(`/proc/${worker.pid}/status`));
    });
    Deno.removeSync(counted.pathOf("removed"));
    Deno.writeFileSync(counted.pathOf("overwritten"), Deno.readFileSync(kept("overwritten")));
    Deno.renameSync(kept("returning"), counted.pathOf("returning"));
    worker.signal("SIGCONT");
    const { code, stderr } = await worker.ended();
    assertEquals(code, 0, stderr);
    await counted.assertCounts({ removed: 1, kept: 9, overwritten: 6, returning: 9 });
  });
});

Deno.test("A server whose directory of keyspaces is removed makes a new one and continues to count", async () => {
  await withCounted(async (counted) => {
    await counted.count(5, ["a", "b"]);
    Deno.removeSync(`${counted.data}/keyspaces`, { recursive: true });
    await counted.count(3, ["a"]);
    await counted.stop();
    await counted.assertCounts({ a: 3 });
  });
});

/** Paths that an ordinary user cannot open as a file, by the text of the event. */
const obstacles: readonly [string, (path: string) => Promise<unknown> | void][] = [
  ["permission denied", (path) => {
    Deno.copyFileSync(`${path}.kept`, path);
    Deno.chmodSync(path, 0);
    giveToOrdinaryUser(path);
  }],
  ["not a regular file", (path) => Deno.symlinkSync(path, path)],
  ["not a regular file", (path) => Deno.mkdirSync(path)],
  ["not a regular file", (path) => runProgram(["mkfifo", path])],
  ["not a regular file", (path) => {
    // The runtime removes the name of a socket that it closes.
    using _listener = Deno.listen({ transport: "unix", path: `${path}.socket` });
    Deno.renameSync(`${path}.socket`, path);
  }],
];

Deno.test("A keyspace that cannot be opened is quarantined and reported, and the others are folded", async () => {
  await withTemporaryDirectory(async (directory) => {
    {
      await using counted = new Counted(directory);
      await counted.count(1, ["a", "b"]);
      await counted.stop();
    }
    let added = 1;
    for (const [reason, obstruct] of obstacles) {
      const path = `${directory}/data/keyspaces/a`;
      Deno.renameSync(path, `${path}.kept`);
      await obstruct(path);
      await using counted = new Counted(directory);
      await counted.send(1, ["a", "b"]);
      await counted.says(new RegExp(`event="keyspace quarantined" keyspace=a .*${reason}`));
      // A log that does not name it is recycled.
      await counted.count(1, ["b"]);
      added += 2;
      assertEquals(await counted.ask("b"), `${added}\n`);
      await counted.stop();
      await Deno.remove(path, { recursive: true });
      Deno.renameSync(`${path}.kept`, path);
      await counted.assertCounts({ a: (added + 1) / 2, b: added });
    }
  });
});

Deno.test("A keyspace file of a directory whose logs were used more often is refused, and no increment is lost", async () => {
  await withTemporaryDirectory(async (directory) => {
    giveToOrdinaryUser(directory);
    const other = `${directory}/other`;
    Deno.mkdirSync(other);
    {
      await using often = new Counted(other);
      for (let use = 0; use < 12; use++) await often.count(1, ["a"]);
      await often.stop();
    }
    await using counted = new Counted(directory);
    await counted.count(5, ["a", "b"]);
    const mine = `${directory}/mine`;
    Deno.renameSync(counted.pathOf("a"), mine);
    Deno.copyFileSync(`${other}/data/keyspaces/a`, `${directory}/copy`);
    giveToOrdinaryUser(`${directory}/copy`);
    Deno.renameSync(`${directory}/copy`, counted.pathOf("a"));
    await counted.send(1000, ["a", "b"]);
    await counted.says(/event="keyspace quarantined" keyspace=a .*has applied use/);
    await counted.stop();
    Deno.renameSync(mine, counted.pathOf("a"));
    await counted.assertCounts({ a: 1005, b: 1005 });
  });
});

Deno.test("A FIFO or a directory among the keyspaces stops neither a reader nor check", async () => {
  await withTemporaryDirectory(async (directory) => {
    await using counted = new Counted(directory);
    await counted.count(5, ["a", "b"]);
    Deno.mkdirSync(`${counted.data}/keyspaces/lost+found`);
    const sound = await runCountd(["check", "--data", counted.data]);
    assertEquals(sound.code, 0, sound.text + sound.stderr);
    const fifo = `${counted.data}/keyspaces/fifo`;
    assertEquals((await runProgram(["mkfifo", fifo])).code, 0);
    for (const source of [["--data", counted.data], ["--connect", await counted.readAddress()]]) {
      const asked = await runCountd(["get", "fifo", "k", ...source]);
      assertEquals(asked.code, 6, asked.stderr);
    }
    assertEquals(await counted.ask("a"), "5\n");
    const checked = await runCountd(["check", "--data", counted.data]);
    assertEquals(checked.code, 6, checked.text);
    assertMatch(checked.text, /keyspaces\/fifo.*not a regular file/);
    const backup = await runCountd(["backup", `${directory}/copy`, "--data", counted.data]);
    assertEquals(backup.code, 6, backup.stderr);
    Deno.removeSync(fifo);
    await counted.stop();
    await counted.assertCounts({ a: 5, b: 5 });
  });
});
