/**
 * A log that another program truncates while countd has it open. Each verb ends, or goes on, in words and
 * with an exit code; none is ended by a signal. The outcomes are listed in OUTCOMES.md.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { type CountdProcess, runCountd, startCountd } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";

const LOG_SIZE = 65_536;

/** What is left of a log, and the words that say so. */
const cuts = [["nothing", 0], ["half", LOG_SIZE / 2]] as const;
const WORDS = /was truncated|has (0|32768) bytes and not 65536|: (0|32768) bytes/;

async function load(port: number, lines: string): Promise<{ code: number; stderr: string }> {
  return await runCountd(["load", "--connect", `127.0.0.1:${port}`], {
    stdin: lines,
  });
}

/** Truncates every log that a process holds; most of its frames lie in the first half. */
function truncateHeld(data: string, size: number): void {
  const held = [...Deno.readDirSync(`${data}/logs`)].filter(({ name }) => name.startsWith("lock-"));
  assert(held.length > 0, "a writer holds a log");
  for (const { name } of held) Deno.truncateSync(`${data}/logs/${name}`, size);
}

function linesOf(keyspace: string, count: number): string {
  return Array.from({ length: count }, (_, at) => `${keyspace}\tkey ${at}\t1\n`).join("");
}

async function assertEndsInWords(process: CountdProcess): Promise<void> {
  const { code, signal, stderr } = await process.ended();
  assertEquals([signal, code], [null, 6], stderr);
  assertMatch(stderr, WORDS);
}

/** A writer with frames beyond the first half of its log, or a dead one. */
async function withWriter(
  verb: "write" | "serve",
  body: (data: string, writer: CountdProcess, port: number) => Promise<void>,
): Promise<void> {
  await withTemporaryDirectory(async (temporary) => {
    const data = `${temporary}/data`;
    const ports = verb === "serve" ? ["--write-port", "0", "--read-port", "0"] : ["--port", "0"];
    const options = ["--data", data, "--log-size", `${LOG_SIZE}`, "--seal-after", "1h"];
    await using writer = startCountd([verb, ...ports, ...options, "--sync", "always"]);
    const { port } = await writer.listening(verb === "serve" ? "write" : undefined);
    assertEquals((await load(port, linesOf("visits", 1200))).code, 0);
    await body(data, writer, port);
  });
}

for (const [what, size] of cuts) {
  for (const verb of ["write", "serve"] as const) {
    Deno.test(`Of a log ${what} is left while countd ${verb} appends: it stops answering, in words`, async () => {
      await withWriter(verb, async (data, writer, port) => {
        truncateHeld(data, size);
        const { code } = await load(port, linesOf("visits", 10));
        assert(code !== 0, "nothing is answered WIN");
        await assertEndsInWords(writer);
      });
    });
  }

  Deno.test(`Of a log ${what} is left while countd read runs: it answers in words and goes on`, async () => {
    await withWriter("write", async (data, _writer, writePort) => {
      assertEquals((await load(writePort, linesOf("others", 1))).code, 0);
      await using reader = startCountd(["read", "--data", data, "--port", "0"]);
      const { port } = await reader.listening();
      const server = ["--connect", `127.0.0.1:${port}`];
      assertEquals((await runCountd(["get", "visits", "key 1", ...server])).text, "1\n");
      truncateHeld(data, size);
      // Another keyspace that the log names: the log is read again.
      for (let time = 0; time < 2; time++) {
        const asked = await runCountd(["top", "others", ...server]);
        assertEquals([asked.signal, asked.code], [null, 6], asked.stderr);
        assertMatch(asked.stderr, /damage|corrupt/i);
      }
      assertEquals(await reader.stop(), 0);
      assertMatch(reader.stderrLines.join("\n"), WORDS);
    });
  });

  Deno.test(`Of a log ${what} is left: worker, check and a local reader say so, each with exit code 6`, async () => {
    await withWriter("write", async (data, writer) => {
      await writer.kill();
      truncateHeld(data, size);
      for (const verb of [["worker", "--once"], ["check"], ["top", "visits"]]) {
        const { code, signal, stderr, text } = await runCountd([...verb, "--data", data]);
        assertEquals([verb[0], signal, code], [verb[0], null, 6], stderr);
        assertMatch(stderr + text, WORDS);
      }
      const repaired = await runCountd(["repair", "--in-place", "--data", data]);
      assertEquals([repaired.signal, repaired.code], [null, 0], repaired.stderr);
      assertEquals((await runCountd(["check", "--data", data])).code, 0);
    });
  });
}
