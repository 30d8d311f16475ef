import { assertEquals } from "@std/assert";
import { mapKey, textOfMapKey } from "../../src/base/map_key.ts";

Deno.test("Different texts have different keys, which lead back to them, and none is a number", () => {
  const texts = [
    "",
    "0",
    "7",
    ":",
    ":7",
    "::7",
    "x",
    "x7",
    "4294967295",
    ":4294967295",
    "7x",
    "-7",
  ];
  const keys = texts.map(mapKey);
  assertEquals(new Set(keys).size, texts.length);
  assertEquals(keys.map(textOfMapKey), texts);
  assertEquals(keys.filter((key) => /^[0-9]{1,10}$/.test(key)), []);
});
