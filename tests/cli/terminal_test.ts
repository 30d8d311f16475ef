/** The same command on a terminal and on a pipe. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { runCountd, runProgram } from "../support/process.ts";
import { small, withDaemon } from "./effect_support.ts";

/** Runs a command on a terminal of its own; null if there can be none. */
async function onTerminal(args: readonly string[]): Promise<string | null> {
  const { code } = await runProgram(["sh", "-c", "command -v script"]);
  if (code !== 0) {
    console.log("not run: needs script");
    return null;
  }
  const binary = Deno.env.get("COUNTD_TEST_BINARY");
  const main = new URL("../../main.ts", import.meta.url).pathname;
  const program = binary ? [binary] : [Deno.execPath(), "run", "--quiet", "-A", "--no-check", main];
  const command = [...program, ...args].map((word) => `'${word}'`).join(" ");
  const ended = await runProgram(
    ["script", "--quiet", "--return", "--flush", "--command", command, "/dev/null"],
    { env: { TERM: "xterm" } },
  );
  assertEquals(ended.code, 0, ended.text);
  return ended.text;
}

Deno.test("A name goes byte for byte into a pipe, and cannot move the cursor of a terminal", async () => {
  await withDaemon("write", small, async ({ address, data }) => {
    const key = Uint8Array.of(0x1b, 0x5b, 0x41, 0xff, 0x7f, 0xc3, 0xa4);
    const line = new Uint8Array([...new TextEncoder().encode("pages\t"), ...key, 0x0a]);
    const { code } = await runCountd(["load", "--connect", address], { stdin: line });
    assertEquals(code, 0);
    const command = ["top", "pages", "--data", data];
    const piped = await runCountd(command);
    assertEquals(piped.stdout, new Uint8Array([0x31, 0x09, ...key, 0x0a]));
    const shown = await onTerminal(command);
    if (shown === null) return;
    assertStringIncludes(shown, "1\t\\x1b[A\\xff\\x7fä\r\n");
    assert(!shown.includes("\x1b"), "an escape reached the terminal");
    const json = await runCountd([...command, "--json"]);
    assertEquals(JSON.parse(json.text).rows, [
      { keyBase64: key.toBase64(), value: "1" },
    ]);
  });
});

Deno.test("Help is the same text on a terminal and on a pipe", async () => {
  const shown = await onTerminal(["top", "--help"]);
  if (shown === null) return;
  const { text } = await runCountd(["top", "--help"]);
  assertEquals(shown.replaceAll("\r\n", "\n"), text);
});
