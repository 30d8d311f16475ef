/** A shell prints exactly the transcript in README. */

import { assert, assertEquals } from "@std/assert";
import { withShell } from "./shell_in_terminal.ts";

const transcript = Deno.readTextFileSync(new URL("transcript.txt", import.meta.url));
const prompt = /^(countd(?::\S+)?>) (.+)$/;

Deno.test("A shell prints what the transcript shows", async () => {
  const lines = transcript.trimEnd().split("\n");
  assert(lines.filter((line) => prompt.test(line)).length > 5);
  await withShell(async (terminal) => {
    for (let at = 1; at < lines.length;) {
      const [, asked, command] = promptIn(lines[at]);
      await terminal.type(command);
      await terminal.press("Enter");
      at++;
      while (at < lines.length && !prompt.test(lines[at] as string)) at++;
      const next = at < lines.length ? promptIn(lines[at])[1] : asked;
      await terminal.shows(...lines.slice(0, at), next);
    }
    assertEquals((await terminal.lines()).slice(0, -1), lines);
  }, { columns: 100, rows: 60 });
});

function promptIn(line: string | undefined): [line: string, prompt: string, command: string] {
  return prompt.exec(line ?? "") as unknown as [string, string, string];
}

Deno.test("README shows the whole transcript unchanged", () => {
  const readme = Deno.readTextFileSync(new URL("../../README.md", import.meta.url));
  assert(readme.includes("```text\n" + transcript + "```\n"));
});
