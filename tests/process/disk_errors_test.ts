/**
 * Keyspaces on a disk that fails or loses its power. The disk is a file system of its own, whose blocks are
 * in memory. That memory can be withdrawn, so that every write fails, and copied, as a power cut leaves it.
 */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { runningAsRoot } from "../support/ordinary_user.ts";
import { type CountdProcess, runCountd, runProgram, startCountd } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { waitUntil } from "../support/wait.ts";
import { increment, sendIncrements } from "./plain_messages.ts";

const SIZE = 64 * 1024 * 1024;

/** More than a fold syncs one by one. */
const keyspaces = ["a", "b", "c", "d", "e", "f"];

async function hasRun(...command: string[]): Promise<boolean> {
  return (await runProgram(command)).code === 0;
}

class FailingDisk {
  private constructor(readonly memory: string, readonly place: string) {}

  /** Mounts a new disk on `place`; null if this machine does not support it. */
  static async mount(memory: string, place: string): Promise<FailingDisk | null> {
    Deno.mkdirSync(memory);
    if (!await hasRun("mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", memory)) return null;
    const disk = new FailingDisk(memory, place);
    Deno.writeFileSync(disk.image, new Uint8Array());
    Deno.truncateSync(disk.image, SIZE);
    const isMade = await hasRun("mkfs.ext4", "-q", "-O", "^has_journal", "-N", "512", disk.image) &&
      await disk.#attach();
    if (!isMade) {
      await disk.unmount();
      return null;
    }
    Deno.removeSync(`${place}/lost+found`);
    assertEquals(await hasRun("sync", "-f", place), true);
    return disk;
  }

  get image(): string {
    return `${this.memory}/image`;
  }

  async #attach(): Promise<boolean> {
    return await hasRun("mount", "-o", "loop,errors=continue", this.image, this.place);
  }

  /** Makes every write of a block fail, for want of memory. */
  async fail(): Promise<void> {
    assertEquals(
      await hasRun("fallocate", "--punch-hole", "--length", `${SIZE}`, this.image),
      true,
    );
    const chunk = new Uint8Array(4096);
    try {
      while (true) Deno.writeFileSync(`${this.memory}/filler`, chunk, { append: true });
    } catch (error) {
      assertMatch(String(error), /No space left/);
    }
  }

  /** Makes blocks writable again. Blocks that failed before are lost. */
  mend(): void {
    Deno.removeSync(`${this.memory}/filler`);
  }

  /** Returns what is on the disk now, without the cache of the system. */
  blocks(): Uint8Array {
    return Deno.readFileSync(this.image);
  }

  /** Mounts the disk with these blocks, as after a restart of the machine. */
  async restart(blocks: Uint8Array): Promise<void> {
    assertEquals(await hasRun("umount", this.place), true);
    using file = Deno.createSync(this.image);
    // Zeros need no memory.
    for (let at = 0; at < blocks.length; at += 4096) {
      const block = blocks.subarray(at, at + 4096);
      if (block.every((byte) => byte === 0)) continue;
      file.seekSync(at, Deno.SeekMode.Start);
      file.writeSync(block);
    }
    file.truncateSync(blocks.length);
    assertEquals(await this.#attach(), true);
  }

  async unmount(): Promise<void> {
    await hasRun("umount", "-l", this.place);
    await hasRun("umount", "-l", this.memory);
  }
}

/** A data directory whose `keyspaces/` is a failing disk. */
async function withFailingKeyspaces(
  body: (data: string, disk: FailingDisk) => Promise<void>,
): Promise<void> {
  if (!runningAsRoot()) return console.log("left to root: a file system for keyspaces");
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    await count(data, 0);
    const disk = await FailingDisk.mount(`${directory}/memory`, `${data}/keyspaces`);
    if (disk === null) return console.log("not run: needs mkfs.ext4 and a loop device");
    try {
      await body(data, disk);
    } finally {
      await disk.unmount();
    }
  });
}

/** A failing disk for whole data directories. */
async function withFailingDisk(body: (disk: FailingDisk) => Promise<void>): Promise<void> {
  if (!runningAsRoot()) return console.log("left to root: a file system of its own");
  await withTemporaryDirectory(async (directory) => {
    const place = `${directory}/disk`;
    Deno.mkdirSync(place);
    const disk = await FailingDisk.mount(`${directory}/memory`, place);
    if (disk === null) return console.log("not run: needs mkfs.ext4 and a loop device");
    try {
      await body(disk);
    } finally {
      await disk.unmount();
    }
  });
}

/** Adds to the counter `k` of each keyspace, through a writer that then ends. */
async function count(data: string, increment: number): Promise<void> {
  await using writer = startCountd(["write", "--data", data, "--port", "0"]);
  const { port } = await writer.listening();
  const stdin = keyspaces.map((name) => `${name}\tk\t${increment}\n`).join("");
  const server = ["--connect", `127.0.0.1:${port}`];
  assertEquals((await runCountd(["load", ...server], { stdin })).code, 0);
  assertEquals(await writer.stop(), 0);
}

/** Waits until an order to stop is carried out. */
async function untilStopped({ pid }: CountdProcess): Promise<void> {
  await waitUntil("the stop", () => {
    return /^State:\s+T/m.test(Deno.readTextFileSync(`/proc/${pid}/status`));
  });
}

async function assertCounted(data: string, value: number): Promise<void> {
  for (const name of keyspaces) {
    const { text, stderr } = await runCountd(["get", name, "k", "--data", data]);
    assertEquals([name, text], [name, `${value}\n`], stderr);
  }
  const checked = await runCountd(["check", "--data", data]);
  assertEquals(checked.code, 0, checked.text + checked.stderr);
}

Deno.test("A fold detects a write error of its pages that was already reported to another process", async () => {
  await withFailingKeyspaces(async (data, disk) => {
    // A new keyspace is synced by itself before it gets its name, so it takes a second fold.
    await count(data, 5);
    assertEquals((await runCountd(["worker", "--once", "--data", data])).code, 0);
    await count(data, 2);
    const blocks = disk.blocks();
    await using worker = startCountd(["worker", "--once", "--data", data], {
      env: { COUNTD_FAULT: "stop@fold.4.before" },
    });
    await untilStopped(worker);
    await disk.fail();
    const other = await runProgram(["sync", "-f", disk.place]);
    assertStringIncludes(other.stderr, "Input/output error");
    disk.mend();
    worker.signal("SIGCONT");
    const { code, stderr } = await worker.ended();
    assertEquals(code, 6, stderr);
    assertStringIncludes(stderr, "marked failed");

    // The disk is replaced, and the new increments are still in the logs.
    await disk.restart(blocks);
    const cleared = await runCountd(["check", "--clear-failed", "--data", data]);
    assertEquals(cleared.code, 0, cleared.stderr);
    assertEquals((await runCountd(["worker", "--once", "--data", data])).code, 0);
    await assertCounted(data, 7);
  });
});

Deno.test("A backup detects a write error of its copies that was already reported to another process", async () => {
  await withFailingDisk(async (disk) => {
    const data = `${disk.memory}.data`;
    await count(data, 5);
    const copy = `${disk.place}/copy`;
    await using backup = startCountd(["backup", copy, "--data", data], {
      env: { COUNTD_FAULT: "stop@backup.keyspaces.after" },
    });
    await untilStopped(backup);
    await disk.fail();
    const other = await runProgram(["sync", "-f", disk.place]);
    assertStringIncludes(other.stderr, "Input/output error");
    disk.mend();
    backup.signal("SIGCONT");
    const { code, text, stderr } = await backup.ended();
    assertEquals([code, text], [6, ""], stderr);
    assertEquals([...Deno.readDirSync(disk.place)].map(({ name }) => name).includes("copy"), false);
    await assertCounted(data, 5);
  });
});

Deno.test("A worker that takes over makes durable what a dead one has published", async () => {
  await withFailingKeyspaces(async (data, disk) => {
    await count(data, 5);
    assertEquals((await runCountd(["worker", "--once", "--data", data])).code, 0);
    await count(data, 2);
    const dead = await runCountd(["worker", "--once", "--data", data], {
      env: { COUNTD_FAULT: "kill@fold.6.before" },
    });
    assertEquals(dead.signal, "SIGKILL", dead.stderr);
    // The worker finds the logs applied, and recycles them.
    assertEquals((await runCountd(["worker", "--once", "--data", data])).code, 0);
    await disk.restart(disk.blocks());
    await assertCounted(data, 7);
  });
});

Deno.test("Daemons whose disk fails exit with 6, and say only of a written mark that there is one", async () => {
  await withFailingDisk(async (disk) => {
    const data = `${disk.place}/data`;
    const ports = ["--log-size", "64KiB", "--sync", "always"];
    await using writer = startCountd(["write", "--data", data, "--port", "0", ...ports]);
    const { port } = await writer.listening();
    const server = ["--connect", `127.0.0.1:${port}`];
    assertEquals((await runCountd(["incr", "a", "k", ...server])).code, 0);
    await using database = startCountd(
      ["db", "--db", `${disk.place}/map`, "--port", "0", "--sync", "always"],
    );
    const { port: databasePort } = await database.listening();
    await disk.fail();
    assertEquals((await runCountd(["incr", "a", "k", ...server])).code, 4);
    const written = await writer.ended();
    assertEquals(written.code, 6, written.stderr);
    assertStringIncludes(written.stderr, "cannot be marked failed");
    assertEquals(/ is marked failed/.test(written.stderr), false, written.stderr);
    const url = `http://127.0.0.1:${databasePort}/set/k`;
    const answer = await fetch(url, { method: "POST", body: "v" }).catch(() => null);
    await answer?.body?.cancel();
    assertEquals(answer?.status ?? 503, 503);
    const served = await database.ended();
    assertEquals(served.code, 6, served.stderr);
    assertMatch(served.stderr, /failed mark .*map\.failed cannot be written/);
  });
});

for (
  const [order, mark] of [
    ["EROFS@write#30", "is marked failed"],
    ["EIO@sync#12", "is marked failed"],
    ["EIO@sync#12,EIO@sync#13", "does not even take the failed mark"],
  ] as const
) {
  Deno.test(`A server that meets ${order} exits with 6 and says that the directory ${mark}`, async () => {
    await withTemporaryDirectory(async (directory) => {
      const data = `${directory}/data`;
      await count(data, 1);
      const ports = ["--write-port", "0", "--read-port", "0", "--sync", "always"];
      await using server = startCountd(["serve", "--data", data, ...ports], {
        env: { COUNTD_FAULT: order },
      });
      const { port } = await server.listening("write");
      while (!server.over) {
        await sendIncrements(port, [increment("a", "k", 1n)]).catch(() => {});
      }
      const { code, stderr } = await server.ended();
      assertEquals(code, 6, stderr);
      assertStringIncludes(stderr, mark);
    });
  });
}

Deno.test("A worker whose disk has become read-only exits with 6", async () => {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    await count(data, 1);
    const folded = await runCountd(["worker", "--once", "--data", data], {
      env: { COUNTD_FAULT: "EROFS@write#8" },
    });
    assertEquals(folded.code, 6, folded.stderr);
    assertStringIncludes(folded.stderr, "is marked failed");
  });
});

Deno.test("A worker that takes over makes durable what is behind a link to another file system", async () => {
  await withFailingDisk(async (disk) => {
    const data = `${disk.memory}.data`;
    await count(data, 5);
    assertEquals((await runCountd(["worker", "--once", "--data", data])).code, 0);
    for (const name of keyspaces) {
      const [path, target] = [`${data}/keyspaces/${name}`, `${disk.place}/${name}`];
      Deno.copyFileSync(path, target);
      Deno.removeSync(path);
      Deno.symlinkSync(target, path);
    }
    assertEquals(await hasRun("sync", "-f", disk.place), true);
    await count(data, 2);
    const dead = await runCountd(["worker", "--once", "--data", data], {
      env: { COUNTD_FAULT: "kill@fold.6.before" },
    });
    assertEquals(dead.signal, "SIGKILL", dead.stderr);
    assertEquals((await runCountd(["worker", "--once", "--data", data])).code, 0);
    await disk.restart(disk.blocks());
    await assertCounted(data, 7);
  });
});
