/** README.md of the room against the constants. */

import { assert, assertEquals } from "@std/assert";
import {
  FILE_NAME_BYTES_MAX,
  KEY_BYTES_MAX,
  TABLE_BYTES_MAX,
  TABLE_SUFFIX,
  TEMPORARY_DIRECTORY,
  TEMPORARY_NAME_DIGITS,
  VALUE_SUFFIX,
} from "../../src/tables/names.ts";

const readme = Deno.readTextFileSync(new URL("../../src/tables/README.md", import.meta.url));

/** The second cell of the row that begins with these words. */
function ruleOf(words: string): string {
  const row = readme.split("\n").find((line) => line.startsWith(`| ${words} `));
  assert(row !== undefined, `README has no row "${words}"`);
  return (row.split("|")[2] as string).trim();
}

Deno.test("The rules for names in README are those of the code", () => {
  assertEquals(ruleOf("bytes of a key"), `0…${KEY_BYTES_MAX}`);
  assertEquals(ruleOf("bytes of a table name"), `0…${TABLE_BYTES_MAX}`);
  const lastPart = FILE_NAME_BYTES_MAX - TABLE_SUFFIX.length;
  assertEquals(
    ruleOf("bytes of a part of a table name"),
    `1…${FILE_NAME_BYTES_MAX}, the last ${lastPart}`,
  );
  assertEquals(ruleOf("directory for temporary files"), `\`${TEMPORARY_DIRECTORY}\``);
  assertEquals(ruleOf("name of a temporary file"), `${TEMPORARY_NAME_DIGITS} hexadecimal digits`);
  assert(readme.includes(`│ key          │ "${VALUE_SUFFIX}" │`));
  assert(readme.includes(`│ last part    │ "${TABLE_SUFFIX}" │`));
});

Deno.test("Every invariant that check reports is in README, and none besides", () => {
  const section = readme.split("## Invariants")[1]?.split("\n## ")[0] ?? "";
  const numbered = [...section.matchAll(/^(\d+)\. /gm)].map((match) => Number(match[1]));
  const check = Deno.readTextFileSync(new URL("../../src/tables/check.ts", import.meta.url));
  const reported = [...check.matchAll(/report\(\s*(\d+),/g)].map((match) => Number(match[1]));
  assertEquals([...new Set(reported)].sort(), numbered);
});
