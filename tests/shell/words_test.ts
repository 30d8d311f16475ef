import { assert, assertEquals, assertThrows } from "@std/assert";
import { UsageError } from "../../src/base/errors.ts";
import { completeWord, parseLine, UnfinishedError, wordAtEnd } from "../../src/shell/words.ts";
import { Random, seedForTest } from "../support/random.ts";

function texts(line: string): string[][] {
  return parseLine(line).map((words) => words.map(({ bytes }) => new TextDecoder().decode(bytes)));
}

Deno.test("Blanks separate words, semicolons and line ends separate commands", () => {
  assertEquals(texts("set a 1"), [["set", "a", "1"]]);
  assertEquals(texts("  set\t a   1  \r"), [["set", "a", "1"]]);
  assertEquals(texts("set a 1;get a ; keys\ntables"), [["set", "a", "1"], ["get", "a"], ["keys"], [
    "tables",
  ]]);
  assertEquals(texts(""), []);
  assertEquals(texts(" ;; ; "), []);
});

Deno.test("Quotes keep blanks and semicolons, and touching pieces are one word", () => {
  assertEquals(texts(`set "a b" 'c;d'`), [["set", "a b", "c;d"]]);
  assertEquals(texts(`set a"b c"'d'e ""`), [["set", "ab cde", ""]]);
  assertEquals(texts(`set '' "it's" 'say "hi"'`), [["set", "", "it's", 'say "hi"']]);
  assertEquals(texts("set a\\b c\\"), [["set", "a\\b", "c\\"]]);
  assertEquals(texts("set ключ 😀 'é'"), [["set", "ключ", "😀", "é"]]);
});

Deno.test("Escapes give any byte", () => {
  const [command] = parseLine(`x "\\x00\\xff\\n\\r\\t\\0\\\\\\"\\'" '\\'\\\\\\n'`);
  assertEquals(command?.[1]?.bytes, Uint8Array.of(0, 255, 10, 13, 9, 0, 92, 34, 39));
  assertEquals(command?.[2]?.bytes, new TextEncoder().encode("'\\\\n"));
});

Deno.test("The message about a bad line names the mistake", () => {
  for (const line of ['set "a', "set 'a", 'set a "b\\', 'set "a\\"']) {
    assertThrows(() => parseLine(line), UnfinishedError, "is not closed");
  }
  assertThrows(() => parseLine('set "\\q"'), UsageError, "Unknown escape \\q");
  assertThrows(() => parseLine('set "\\xg0"'), UsageError, "Unknown escape \\x");
});

Deno.test("The word at the end of a line is found, also inside quotes and after a semicolon", () => {
  const at = (line: string) => {
    const { before, start } = wordAtEnd(line);
    return [before.length, line.slice(start)];
  };
  assertEquals(at(""), [0, ""]);
  assertEquals(at("ge"), [0, "ge"]);
  assertEquals(at("get "), [1, ""]);
  assertEquals(at("get ab"), [1, "ab"]);
  assertEquals(at('get "a b'), [1, '"a b']);
  assertEquals(at("set a 1; get 'x"), [1, "'x"]);
  assertEquals(at("keys;"), [0, ""]);
});

Deno.test("A completed word begins with what was typed, and reads as the name", () => {
  assertEquals(completeWord("", "apple"), "apple");
  assertEquals(completeWord("app", "apple"), "apple");
  assertEquals(completeWord("apple", "apple"), "apple");
  assertEquals(completeWord("ax", "apple"), null);
  assertEquals(completeWord("", "a b"), '"a b"');
  assertEquals(completeWord("a", "a b"), 'a" b"');
  assertEquals(completeWord("'a", "a 'b"), "'a \\'b'");
  assertEquals(completeWord("", ""), '""');

  const random = new Random(seedForTest("completeWord"));
  const letters = [
    "a",
    "b",
    " ",
    '"',
    "'",
    "\\",
    ";",
    "\n",
    "\t",
    "\x01",
    "\x7f",
    "\x9b",
    "\u202e",
    "é",
    "😀",
  ];
  const name = () => Array.from({ length: random.below(6) }, () => random.pick(letters)).join("");
  let completed = 0;
  for (let round = 0; round < 20_000; round++) {
    const [typed, wanted] = [name(), name()];
    const word = completeWord(typed, wanted);
    if (word === null) continue;
    assert(word.startsWith(typed), `${JSON.stringify(typed)} became ${JSON.stringify(word)}`);
    // What was typed is itself sometimes more than a word.
    if (/[\s;]/.test(typed)) continue;
    assertEquals(texts(`get ${word}`), [["get", wanted]], JSON.stringify([typed, wanted, word]));
    completed++;
  }
  assert(completed > 1000);
});
