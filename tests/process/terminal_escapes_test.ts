/** What comes from arguments, the environment or files never steers the terminal that shows it. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { countdCommand, runCountd, runProgram } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";

/** C0, C1 in UTF-8, and an override of the direction of text. */
const STEERING = "a\x1b[31mb\x9b2Jc\u202ed\x07";

function assertHarmless(text: string): void {
  assert(!/(?![\n\t])[\p{Cc}\p{Bidi_C}]/u.test(text), JSON.stringify(text));
}

Deno.test("Messages that repeat an argument escape its control characters", async () => {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    const setUp = ["shell", "-c", "incr pages /", "--data", data];
    assertEquals((await runCountd(setUp)).code, 0);
    for (
      const args of [
        [STEERING],
        ["kv", STEERING],
        ["top", `--${STEERING}`],
        ["top", "pages", "--length", STEERING],
        ["top", STEERING, "--data", data],
        ["get", STEERING, STEERING, "--data", data],
        ["kv", "get", STEERING, "--data", data],
        ["kv", "get", "k", "--table", STEERING, "--data", data],
        ["check", "--data", `${directory}/${STEERING}`],
        ["read", "--listen", STEERING, "--data", data],
        ["shell", "-c", STEERING, "--data", data],
        ["shell", "-c", `get "${STEERING}"`, "--data", data],
      ]
    ) {
      for (const json of args[0] === "read" || args[0] === "shell" ? [[]] : [[], ["--json"]]) {
        const { code, stderr, text } = await runCountd([...args, ...json], {
          deadlineMs: 20_000,
        });
        assert(code !== 0, args.join(" "));
        assertHarmless(stderr + text);
      }
    }
  });
});

Deno.test("A terminal gets no control character of the names that a command prints", async () => {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    const setUp = ["shell", "--data", data, "-c"];
    assertEquals((await runCountd([...setUp, `incr "${STEERING}" "${STEERING}" 3`])).code, 0);
    assertEquals((await runCountd([...setUp, `set "k${STEERING}" "${STEERING}"`])).code, 0);
    for (
      const args of [["top", STEERING], ["keyspaces"], ["kv", "get", `k${STEERING}`], [
        "kv",
        "keys",
      ]]
    ) {
      const words = countdCommand([...args, "--data", data]).map((word) =>
        `'${word.replaceAll("'", String.raw`'\''`)}'`
      );
      const { text } = await runProgram(["script", "-qec", words.join(" "), "/dev/null"], {
        env: { NO_COLOR: "1" },
      });
      assertStringIncludes(text, String.raw`a\x1b[31mb`, args.join(" "));
      assertHarmless(text.replaceAll("\r\n", "\n"));
    }
  });
});

Deno.test("A variable that is not UTF-8 is refused as a usage error that names it", async () => {
  for (
    const [name, args] of [
      ["COUNTD_DATA", ["top", "pages"]],
      ["COUNTD_LOG_FORMAT", ["read", "--port", "0"]],
      ["COUNTD_FAULT", ["status", "--data", "/nonexistent"]],
    ] as const
  ) {
    const line = `${name}=$'\\xff' exec "$@"`;
    const { code, stderr } = await runProgram(["bash", "-c", line, "-", ...countdCommand(args)]);
    assertEquals(code, 2, stderr);
    assertStringIncludes(stderr, `Environment variable ${name} must be UTF-8 text`);
  }
  const line = `NO_COLOR=$'\\xff' exec "$@"`;
  const { code, stderr } = await runProgram([
    ...["bash", "-c", line, "-"],
    ...countdCommand(["--version"]),
  ]);
  assertEquals([code, stderr], [0, ""]);
});
