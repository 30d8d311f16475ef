import { assertEquals } from "@std/assert";
import {
  nameField,
  nameForOutput,
  printableName,
  printablePath,
  printableText,
  textOfName,
  toJson,
} from "../../src/base/printable.ts";
import { Random, seedForTest } from "../support/random.ts";

const utf8 = new TextEncoder();

Deno.test("A terminal shows control characters and bytes that are not UTF-8 as \\xNN, and nothing else", () => {
  const cases: [Uint8Array, string][] = [
    [utf8.encode("plain / name"), "plain / name"],
    [utf8.encode("ünï…😀"), "ünï…😀"],
    [
      utf8.encode("a\u0085b\u009bc\u202ed\u2066"),
      "a\\xc2\\x85b\\xc2\\x9bc\\xe2\\x80\\xaed\\xe2\\x81\\xa6",
    ],
    [Uint8Array.of(0xc2, 0x9b, 0xff), "\\xc2\\x9b\\xff"],
    [utf8.encode("back\\slash"), "back\\slash"],
    [utf8.encode("a\tb\nc\x1b[31m\x7f"), "a\\x09b\\x0ac\\x1b[31m\\x7f"],
    [Uint8Array.of(0xff, 0x41), "\\xffA"],
    // A sequence that is cut short, an overlong one, a surrogate, and one beyond Unicode.
    [Uint8Array.of(0xe2, 0x82), "\\xe2\\x82"],
    [Uint8Array.of(0xc0, 0x80), "\\xc0\\x80"],
    [Uint8Array.of(0xed, 0xa0, 0x80), "\\xed\\xa0\\x80"],
    [Uint8Array.of(0xf5, 0x80, 0x80, 0x80), "\\xf5\\x80\\x80\\x80"],
    [Uint8Array.of(0xef, 0xbb, 0xbf, 0x41), "\ufeffA"],
    [new Uint8Array(0), ""],
  ];
  for (const [name, shown] of cases) assertEquals(printableName(name), shown);
});

Deno.test("What a terminal shows never holds a control byte, and text comes back unchanged", () => {
  const random = new Random(seedForTest("printable"));
  for (let round = 0; round < 2000; round++) {
    const name = random.bytes(random.below(24));
    const shown = printableName(name);
    assertEquals(/[\p{Cc}\p{Bidi_C}]/u.test(shown), false);
    const text = textOfName(name);
    if (text !== null && !/[\p{Cc}\p{Bidi_C}\u2028\u2029]/u.test(text)) assertEquals(shown, text);
  }
});

Deno.test("A pipe gets the bytes as they are", () => {
  const name = Uint8Array.of(0x1b, 0xff, 0x0a);
  assertEquals(nameForOutput(name, false), name);
  assertEquals(nameForOutput(name, true), utf8.encode("\\x1b\\xff\\x0a"));
});

Deno.test("A message keeps its lines and tabs, JSON its meaning, and neither has another control character", () => {
  const text = "a\tb\nc\x1b[31md\u009be\u202ef";
  assertEquals(printableText(text), "a\tb\nc\\x1b[31md\\xc2\\x9be\\xe2\\x80\\xaef");
  const json = toJson({ text });
  assertEquals(/[\p{Cc}\p{Bidi_C}]/u.test(json), false);
  assertEquals(JSON.parse(json), { text });
  assertEquals(printablePath("a\n\u009b\udcff"), "a\\x0a\\xc2\\x9b\\xff");
});

Deno.test("JSON has a name that is not UTF-8 as base64, and counts as strings", () => {
  assertEquals(nameField("key", utf8.encode("a")), { key: "a" });
  assertEquals(nameField("key", Uint8Array.of(0xff, 0x00)), { keyBase64: "/wA=" });
  assertEquals(
    toJson({ value: 9223372036854775807n, total: [1n] }),
    '{"value":"9223372036854775807","total":["1"]}',
  );
});
