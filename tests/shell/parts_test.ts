/** The parts of the shell that need no terminal: patterns, answers, history, search. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { systemStorage } from "../../src/file/mod.ts";
import type { Answer } from "../../src/shell/answer.ts";
import { globMatcher } from "../../src/shell/glob.ts";
import { History, HISTORY_LINES_MAX, historyPath } from "../../src/shell/history.ts";
import { type Mode, render } from "../../src/shell/render.ts";
import { ReverseSearch } from "../../src/shell/reverse_search.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";

Deno.test("Patterns match as in a shell", () => {
  const cases: [pattern: string, fits: string[], others: string[]][] = [
    ["*", ["", "a", "a\nb", "😀"], []],
    ["job-*", ["job-", "job-1"], ["job", "ajob-1"]],
    ["*.log", [".log", "a.log"], ["a.log2", "alog"]],
    ["a?c", ["abc", "a😀c"], ["ac", "abbc"]],
    ["[a-c]x", ["ax", "cx"], ["dx", "x"]],
    ["[c-a]x", ["bx"], ["dx"]],
    ["[^a-c]x", ["dx"], ["ax", "x"]],
    ["[ab]", ["a", "b"], ["[ab]"]],
    ["[a", ["[a"], ["a"]],
    ["[]", ["[]"], [""]],
    ["[a-]", ["a", "-"], ["b"]],
    ["\\*", ["*"], ["a"]],
    ["[\\]]", ["]"], ["\\"]],
    ["a.c", ["a.c"], ["abc"]],
    ["*a*b*", ["ab", "xaxbx"], ["ba", "b"]],
    ["", [""], ["a"]],
  ];
  for (const [pattern, fits, others] of cases) {
    const matches = globMatcher(pattern);
    for (const name of fits) assert(matches(name), `${pattern} fits ${JSON.stringify(name)}`);
    for (const name of others) assert(!matches(name), `${pattern} does not fit ${name}`);
  }
  // A pattern on which a naive matcher takes exponential time.
  assert(!globMatcher("*a".repeat(40) + "b")("a".repeat(242)));
});

async function rendered(
  answer: Answer,
  mode: Mode,
  isTerminal: boolean,
  chunks: Uint8Array[] = [],
) {
  const rows = await render(answer, mode, {
    isTerminal,
    hasColor: false,
    write: (content) =>
      void chunks.push(typeof content === "string" ? new TextEncoder().encode(content) : content),
    flush: () => {},
  });
  return [
    rows,
    Array.from(chunks.flatMap((chunk) => [...chunk]))
      .map((byte) => String.fromCharCode(byte)).join(""),
  ] as const;
}

const binary = Uint8Array.of(0xff, 0x00, 0x61);
const name = (text: string) => new TextEncoder().encode(text);

Deno.test("Answers come out byte for byte on a pipe, safe on a terminal, typed in JSON", async () => {
  const value: Answer = { kind: "value", name: "value", value: binary, fields: { key: name("k") } };
  assertEquals(await rendered(value, "raw", false), [1, "\xff\x00a\n"]);
  assertEquals(await rendered(value, "raw", true), [1, "\\xff\\x00a\n"]);
  assertEquals(await rendered(value, "table", true), [1, "\\xff\\x00a\n"]);
  assertEquals(await rendered(value, "json", false), [1, '{"key":"k","valueBase64":"/wBh"}\n']);
  const rank: Answer = { kind: "value", name: "rank", value: 9007199254740993n, fields: {} };
  assertEquals(await rendered(rank, "json", false), [1, '{"rank":"9007199254740993"}\n']);
  const rows = (): Answer => ({
    kind: "rows",
    listName: "rows",
    columns: ["value", "key"],
    rows: [[5n, name("a")], [-1234n, binary]],
    fields: { total: 2 },
  });
  assertEquals(await rendered(rows(), "raw", false), [2, "5\ta\n-1234\t\xff\x00a\n"]);
  assertEquals(await rendered(rows(), "table", true), [
    2,
    "value  key\n    5  a\n-1234  \\xff\\x00a\n",
  ]);
  assertEquals(await rendered(rows(), "json", false), [
    2,
    '{"total":"2","rows":[{"key":"a","value":"5"},{"keyBase64":"/wBh","value":"-1234"}]}\n',
  ]);
  const none: Answer = { kind: "rows", listName: "keys", columns: ["key"], rows: [], fields: {} };
  assertEquals(await rendered(none, "json", false), [0, '{"keys":[]}\n']);
  assertEquals(await rendered(none, "table", true), [0, ""]);
  assertEquals(await rendered({ kind: "done" }, "json", false), [null, ""]);
  // A failure in the middle leaves no partial JSON object before its error.
  const failing: Answer = {
    ...none,
    rows: (function* () {
      yield [name("k1")];
      throw new Error("Planted");
    })(),
  };
  const written: Uint8Array[] = [];
  await assertRejects(() => rendered(failing, "json", false, written), Error, "Planted");
  assertEquals(written, []);
});

Deno.test("A table of many rows is written while it is read", async () => {
  let live = 0;
  const answer: Answer = {
    kind: "rows",
    listName: "keys",
    columns: ["key", "value"],
    rows: (function* () {
      for (live = 1; live <= 2000; live++) yield [name(`k${live}`), name("v")];
    })(),
    fields: {},
  };
  let firstAt = 0;
  await render(answer, "table", {
    isTerminal: true,
    hasColor: false,
    write: () => void (firstAt ||= live),
    flush: () => {},
  });
  assert(firstAt <= 500, `the first row came after ${firstAt} were read`);
});

Deno.test("Columns stay straight beside wide letters, accents, flags and joined pictures", async () => {
  const widths = { abc: 3, "é": 1, "e\u0301": 1, "日本": 4, "😀": 2, "👩‍👩‍👧": 2, "🇩🇪": 2, "☀️": 2 };
  const names = Object.keys(widths).map((text) => new TextEncoder().encode(text));
  const rows = names.map((name) => [name, 7n]);
  const written: Uint8Array[] = [];
  const answer: Answer = { kind: "rows", listName: "x", columns: ["k", "v"], rows, fields: {} };
  await rendered(answer, "table", true, written);
  const lines = written.map((chunk) => new TextDecoder().decode(chunk)).join("").split("\n");
  assertEquals(
    lines.slice(1, -1),
    Object.entries(widths).map(([text, width]) => {
      return text + " ".repeat(4 - width) + "  7";
    }),
  );
});

Deno.test("History is kept in one file of mode 0600, without blank-led and repeated lines", async () => {
  await withTemporaryDirectory(async (directory) => {
    const path = `${directory}/state/countd/history`;
    const open = async () => {
      const history = new History(systemStorage(), path);
      await history.load();
      return history;
    };
    const first = await open();
    for (const line of ["a", "b", "b", " secret", "", "   ", "c".repeat(70_000), "d"]) {
      await first.add(line);
    }
    assertEquals(Deno.readTextFileSync(path), "a\nb\nd\n");
    assertEquals((Deno.statSync(path).mode ?? 0) & 0o7777, 0o600);
    assertEquals((Deno.statSync(`${directory}/state/countd`).mode ?? 0) & 0o7777, 0o700);
    assertEquals((await open()).lines, ["a", "b", "d"]);

    // A history that other users could read is made private.
    Deno.chmodSync(path, 0o644);
    await first.add("e");
    assertEquals((Deno.statSync(path).mode ?? 0) & 0o7777, 0o600);
  });
});

Deno.test("A long history is shortened, and shells that append at the same time lose nothing", async () => {
  await withTemporaryDirectory(async (directory) => {
    const path = `${directory}/history`;
    const many = Array.from({ length: 2 * HISTORY_LINES_MAX }, (_, index) => `line ${index}`);
    Deno.writeTextFileSync(path, many.map((line) => line + "\n").join(""));
    const old = new History(systemStorage(), path);
    const one = new History(systemStorage(), path);
    const other = new History(systemStorage(), path);
    await one.load();
    assertEquals(one.lines, many.slice(-HISTORY_LINES_MAX));
    await Promise.all(
      Array.from({ length: 50 }, async (_, index) => {
        await one.add(`one ${index}`);
        await other.add(`other ${index}`);
        await old.add(`old ${index}`);
      }),
    );
    const kept = Deno.readTextFileSync(path).trimEnd().split("\n");
    assertEquals(kept.length, HISTORY_LINES_MAX + 150);
    assertEquals(new Set(kept).size, kept.length);
    assertEquals((Deno.statSync(path).mode ?? 0) & 0o7777, 0o600);
    assertEquals([...Deno.readDirSync(directory)].length, 1);
  });
});

Deno.test("A shell works although its history cannot be kept", async () => {
  await withTemporaryDirectory(async (directory) => {
    Deno.writeTextFileSync(`${directory}/file`, "");
    for (const path of [null, `${directory}/file/countd/history`]) {
      const history = new History(systemStorage(), path);
      await history.load();
      await history.add("a");
      assertEquals(history.lines, ["a"]);
    }
  });
  const place = (variables: Record<string, string>) =>
    historyPath((variable) => variables[variable]);
  assertEquals(place({ XDG_STATE_HOME: "/s", HOME: "/h" }), "/s/countd/history");
  assertEquals(place({ HOME: "/h" }), "/h/.local/state/countd/history");
  assertEquals(place({ XDG_STATE_HOME: "relative", HOME: "/h" }), "/h/.local/state/countd/history");
  assertEquals(place({}), null);
});

Deno.test("Reverse search shows the newest match, then older and different ones", () => {
  const search = new ReverseSearch(["set a 1", "get b", "get a", "get a", "keys"]);
  assertEquals([search.match, search.prompt], [null, "(reverse-i-search)'': "]);
  search.type("get");
  assertEquals(search.match, "get a");
  search.type(" ");
  assertEquals(search.match, "get a");
  search.older();
  assertEquals(search.match, "get b");
  search.older();
  assertEquals([search.match, search.prompt], ["get b", "(failed reverse-i-search)'get ': "]);
  search.erase();
  assertEquals([search.match, search.prompt], ["get a", "(reverse-i-search)'get': "]);
  for (let letter = 0; letter < 5; letter++) search.erase();
  assertEquals([search.match, search.prompt], [null, "(reverse-i-search)'': "]);
  search.older();
  assertEquals(search.match, null);
  search.type("nothing");
  assertEquals([search.match, search.prompt], [null, "(failed reverse-i-search)'nothing': "]);
  new ReverseSearch([]).type("x");
});
