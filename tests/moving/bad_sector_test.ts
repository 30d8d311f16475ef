/**
 * A log that the disk cannot read from some byte on. The disk is an ext4 on a loop device whose image is cut
 * short while it is mounted: reads behind its end fail with EIO, as those of a bad sector do. Each verb says
 * so and ends with an exit code, or goes on with the other logs; none is ended by a signal.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { runningAsRoot } from "../support/ordinary_user.ts";
import { runCountd, runProgram, startCountd } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";

const IMAGE_BYTES = 32 * 2 ** 20;
const BLOCK_BYTES = 4096;
const LOG_SIZE = 65_536;
const WORDS = /cannot be read at byte \d+ \(EIO\): the disk may be damaged/;

async function hasRun(...command: string[]): Promise<boolean> {
  return (await runProgram(command)).code === 0;
}

/** Where the block of a file is on its disk, in bytes. */
async function placeOf(path: string, block: number): Promise<number> {
  const { text } = await runProgram(["filefrag", "-v", `-b${BLOCK_BYTES}`, path]);
  for (
    const [, first, last, physical] of text.matchAll(/^\s*\d+:\s*(\d+)\.\.\s*(\d+):\s*(\d+)\.\./gm)
  ) {
    if (block < Number(first) || block > Number(last)) continue;
    return (Number(physical) + block - Number(first)) * BLOCK_BYTES;
  }
  throw new Error(`block ${block} of ${path} is nowhere: ${text}`);
}

/** A data directory on a disk that cannot read the frames of its first log, whose writer is dead. */
async function withBadLog(body: (data: string) => Promise<void>): Promise<void> {
  if (!runningAsRoot()) return console.log("left to root: a file system of its own");
  await withTemporaryDirectory(async (temporary) => {
    const image = `${temporary}/image`;
    const place = `${temporary}/disk`;
    Deno.writeFileSync(image, new Uint8Array());
    Deno.truncateSync(image, IMAGE_BYTES);
    Deno.mkdirSync(place);
    const mount = ["mount", "-o", "loop,errors=continue", image, place];
    const isMade =
      await hasRun("mkfs.ext4", "-q", "-b", `${BLOCK_BYTES}`, "-O", "^has_journal", image) &&
      await hasRun(...mount);
    if (!isMade) return console.log("not run: needs mkfs.ext4 and a loop device");
    try {
      const data = `${place}/data`;
      await writeAndDie(data);
      const log = `${data}/logs/0000000000`;
      moveBehind(log, `${data}/moved`);
      assert(await hasRun("sync", "-f", place));
      const bad = await placeOf(log, 1);
      for (const path of [`${data}/control`, `${data}/logs/0000000001`]) {
        assert(await placeOf(path, 0) < bad, `${path} is before the bad sectors`);
      }
      // Mounted again, so that nothing is in the cache of the system.
      assert(await hasRun("umount", place) && await hasRun(...mount));
      Deno.truncateSync(image, bad);
      await body(data);
    } finally {
      await hasRun("umount", "-l", place);
    }
  });
}

async function writeAndDie(data: string): Promise<void> {
  const options = ["--data", data, "--log-size", `${LOG_SIZE}`, "--seal-after", "1h"];
  await using writer = startCountd(["write", "--port", "0", ...options]);
  const { port } = await writer.listening();
  const stdin = Array.from({ length: 300 }, (_, at) => `visits\tkey ${at}\t1\n`).join("");
  const loaded = await runCountd(["load", "--connect", `127.0.0.1:${port}`], { stdin });
  assertEquals(loaded.code, 0, loaded.stderr);
  await writer.kill();
}

/** Gives a log other blocks, behind those of all other files; its two names and its mode stay. */
function moveBehind(log: string, spare: string): void {
  const lock = log.replace("logs/", "logs/lock-");
  const bytes = Deno.readFileSync(log);
  // What comes before the log on the disk.
  Deno.writeFileSync(spare, new Uint8Array(8 * 2 ** 20).fill(1));
  Deno.writeFileSync(`${log}.copy`, bytes);
  Deno.removeSync(lock);
  Deno.renameSync(`${log}.copy`, log);
  Deno.chmodSync(log, 0o600);
  Deno.linkSync(log, lock);
  Deno.removeSync(spare);
}

Deno.test("A log on a bad sector: worker, check and a local reader say so, each with exit code 6", async () => {
  await withBadLog(async (data) => {
    for (const verb of [["check"], ["top", "visits"], ["worker", "--once"]]) {
      const { code, signal, stderr, text } = await runCountd([...verb, "--data", data]);
      assertEquals([verb[0], signal, code], [verb[0], null, 6], stderr + text);
      assertMatch(stderr + text, WORDS);
    }
  });
});

Deno.test("A log on a bad sector: countd read answers in words and goes on", async () => {
  await withBadLog(async (data) => {
    await using reader = startCountd(["read", "--data", data, "--port", "0"]);
    const server = ["--connect", `127.0.0.1:${(await reader.listening()).port}`];
    for (let time = 0; time < 2; time++) {
      const asked = await runCountd(["top", "visits", ...server]);
      assertEquals([asked.signal, asked.code], [null, 6], asked.stderr);
    }
    assertEquals(await reader.stop(), 0);
    assertMatch(reader.stderrLines.join("\n"), WORDS);
  });
});

for (const verb of ["write", "serve"] as const) {
  Deno.test(`A log on a bad sector: countd ${verb} reports it and takes another log`, async () => {
    await withBadLog(async (data) => {
      const ports = verb === "serve" ? ["--write-port", "0", "--read-port", "0"] : ["--port", "0"];
      await using writer = startCountd([verb, ...ports, "--data", data]);
      const { port } = await writer.listening(verb === "serve" ? "write" : undefined);
      const loaded = await runCountd(["load", "--connect", `127.0.0.1:${port}`], {
        stdin: "visits\tother\t1\n",
      });
      assertEquals(loaded.code, 0, loaded.stderr);
      const code = await writer.stop();
      const words = writer.stderrLines.join("\n");
      assertEquals(code, 0, words);
      assertMatch(words, WORDS);
    });
  });
}
