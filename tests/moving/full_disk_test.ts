/**
 * A disk that is full while countd runs: in memory (tmpfs), where allocated bytes can always be
 * overwritten, and on a file system that copies what is overwritten (btrfs), where they cannot. Each verb
 * waits, goes on or ends in words; none is ended by a signal. The outcomes are listed in OUTCOMES.md.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { BtrfsDisk } from "../support/btrfs_disk.ts";
import { runningAsRoot } from "../support/ordinary_user.ts";
import { type CountdProcess, runCountd, runProgram, startCountd } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { waitUntil } from "../support/wait.ts";

const KEYS = 2000;
/** So long the disk stays full while a writer has input. */
const FULL_MS = 1500;

/** btrfs may need its next commit until removed files are free space. */
const SPACE_MS = 60_000;

type Kind = "tmpfs" | "btrfs";

/** Calls `body` with a disk of its own; not without root, or without the tools. */
async function withDisk(kind: Kind, body: (place: string) => Promise<void>): Promise<void> {
  if (!runningAsRoot()) return console.log("left to root: a file system of its own");
  await withTemporaryDirectory(async (temporary) => {
    const place = `${temporary}/disk`;
    if (kind === "btrfs") {
      await using disk = await BtrfsDisk.mount(`${temporary}/image`, place);
      if (disk === null) return console.log("not run: needs mkfs.btrfs and a loop device");
      return await body(place);
    }
    Deno.mkdirSync(place);
    const mounted = await runProgram(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", place]);
    if (mounted.code !== 0) return console.log("not run: needs to mount a tmpfs");
    try {
      await body(place);
    } finally {
      await runProgram(["umount", "-l", place]);
    }
  });
}

/** Fills the disk to the last block, also what a sync makes free. */
async function fill(place: string): Promise<void> {
  for (let round = 0; round < 3; round++) {
    for (const size of [2 ** 20, 2 ** 16, 4096]) {
      const chunk = crypto.getRandomValues(new Uint8Array(Math.min(size, 2 ** 16)));
      try {
        while (true) Deno.writeFileSync(`${place}/filler-${size}`, chunk, { append: true });
      } catch (error) {
        assertMatch(String(error), /No space left/);
      }
    }
    await runProgram(["sync", "-f", place]);
  }
}

async function empty(place: string): Promise<void> {
  for (const { name } of [...Deno.readDirSync(place)]) {
    if (name.startsWith("filler-")) Deno.removeSync(`${place}/${name}`);
  }
  await runProgram(["sync", "-f", place]);
}

function lines(): string {
  return Array.from({ length: KEYS }, (_, at) => `visits\tkey ${at}\t1\n`).join("");
}

async function load(port: number): Promise<number> {
  const server = `127.0.0.1:${port}`;
  return (await runCountd(["load", "--connect", server], { stdin: lines() })).code;
}

function startWriting(verb: "write" | "serve", data: string): CountdProcess {
  const ports = verb === "serve" ? ["--write-port", "0", "--read-port", "0"] : ["--port", "0"];
  return startCountd([verb, ...ports, "--data", data, "--log-size", "64KiB", "--sync", "always"]);
}

async function assertCounted(data: string, times: number): Promise<void> {
  // btrfs gives space back some time after the files are gone.
  let folded = await runCountd(["worker", "--once", "--data", data]);
  for (const endMs = Date.now() + SPACE_MS; folded.code === 75 && Date.now() < endMs;) {
    folded = await runCountd(["worker", "--once", "--data", data]);
  }
  assertEquals(folded.code, 0, folded.stderr);
  const { text, stderr } = await runCountd(["get", "visits", "key 1", "--data", data]);
  assertEquals(text, `${times}\n`, stderr);
  const checked = await runCountd(["check", "--data", data]);
  assertEquals(checked.code, 0, checked.text + checked.stderr);
}

for (const kind of ["tmpfs", "btrfs"] as const) {
  for (const verb of ["write", "serve"] as const) {
    Deno.test(`On a full ${kind} countd ${verb} waits and goes on when space returns`, async () => {
      await withDisk(kind, async (place) => {
        const data = `${place}/data`;
        await using writer = startWriting(verb, data);
        const { port } = await writer.listening(verb === "serve" ? "write" : undefined);
        assertEquals(await load(port), 0);
        await fill(place);
        const loading = load(port);
        await Promise.race([loading, new Promise((resolve) => setTimeout(resolve, FULL_MS))]);
        assertEquals(writer.over, false, writer.stderrLines.join("\n"));
        if (kind === "btrfs") {
          assertMatch(writer.stderrLines.join("\n"), /disk full: sockets are not read/);
        }
        await empty(place);
        assertEquals(await loading, 0, writer.stderrLines.join("\n"));
        assertEquals(await writer.stop(), 0, writer.stderrLines.join("\n"));
        await assertCounted(data, 2);
      });
    });
  }

  Deno.test(`On a full ${kind} read and check work, and a worker says what is missing`, async () => {
    await withDisk(kind, async (place) => {
      const data = `${place}/data`;
      await using writer = startWriting("write", data);
      const { port } = await writer.listening();
      assertEquals(await load(port), 0);
      await fill(place);
      await using reader = startCountd(["read", "--data", data, "--port", "0"]);
      const server = ["--connect", `127.0.0.1:${(await reader.listening()).port}`];
      const asked = await runCountd(["get", "visits", "key 1", ...server]);
      assertEquals([asked.code, asked.text], [0, "1\n"], asked.stderr);
      const top = await runCountd(["get", "visits", "key 1", "--data", data]);
      assertEquals([top.code, top.text], [0, "1\n"], top.stderr);
      const checked = await runCountd(["check", "--data", data]);
      assertEquals([checked.signal, checked.code], [null, 0], checked.text + checked.stderr);
      await using worker = startCountd(["worker", "--data", data]);
      await waitUntil("the worker", () => worker.stderrLines.join("\n").includes("disk full"));
      const once = await runCountd(["worker", "--once", "--data", data, "--lock-timeout", "0"]);
      assertEquals(once.signal, null, once.stderr);
      assert(once.code === 75, `${once.code}: ${once.stderr}`);
      await empty(place);
      await waitUntil("the fold", () => worker.stderrLines.join("\n").includes("folding goes on"));
      assertEquals(await worker.stop(), 0);
      assertEquals(await reader.stop(), 0);
      assertEquals(await writer.stop(), 0);
      await assertCounted(data, 1);
    });
  });
}
