/** What is ours of `@std/assert`: long byte arrays, and that the declarations are those of the package. */

import { stripVTControlCharacters } from "node:util";
import * as std from "@std/assert";

/** The message of the assertion that fires. */
function messageOf(body: () => void): string {
  try {
    body();
  } catch (error) {
    if (error instanceof std.AssertionError) return stripVTControlCharacters(error.message);
    throw error;
  }
  throw new Error("Nothing fired");
}

function requireIncludes(message: string, ...parts: string[]): void {
  for (const part of parts) {
    if (!message.includes(part)) throw new Error(`No "${part}" in:\n${message}`);
  }
}

Deno.test("Every declared assertion is in the package", () => {
  const names = [
    ...Deno.readTextFileSync(new URL("../../src/std/assert/mod.d.ts", import.meta.url))
      .matchAll(/^export (?:class|function) (\w+)/gm),
  ].map(([, name]) => name as string);
  for (const name of names) {
    if (typeof std[name as keyof typeof std] !== "function") throw new Error(`No ${name}`);
  }
});

Deno.test("A failed comparison shows both values, line by line, with the reason", () => {
  const message = messageOf(() =>
    std.assertEquals({ name: "a", list: [1, 2] }, { name: "a", list: [1, 3] }, "why")
  );
  requireIncludes(message, "Values are not equal: why", "-       2,", "+       3,");
});

Deno.test("Short byte arrays are shown whole, long ones by their first difference", () => {
  const short = messageOf(() => std.assertEquals(new Uint8Array([1, 2]), new Uint8Array([1, 3])));
  requireIncludes(short, "-     2,", "+     3,");
  const expected = new Uint8Array(1 << 20);
  const actual = expected.slice();
  std.assertEquals(actual, expected);
  actual[70_000] = 1;
  const long = messageOf(() => std.assertEquals(actual, expected, "why"));
  requireIncludes(long, "Values are not equal: why", "different from offset 70000 on");
  const lengths = messageOf(() => std.assertEquals(actual.subarray(1), expected));
  requireIncludes(lengths, "1048575 and 1048576 bytes", "different from offset 69999 on");
});
