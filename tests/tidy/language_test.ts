/** Every text is plain English, and every file and name that it cites exists. */

import { assert, assertEquals } from "@std/assert";
import { codedTestNames, danglingNames, languageOfMarkdown, languageOfSource } from "./language.ts";
import { projectPaths, readProject, readText } from "./project.ts";
import { readSource } from "./source.ts";

const project = readProject();

function assertNothing(problems: readonly string[]): void {
  assert(problems.length === 0, `${problems.length} to mend:\n  ${problems.join("\n  ")}`);
}

const markdown = projectPaths.filter((path) => path.endsWith(".md"));

Deno.test("Comments, messages and READMEs are in plain English", () =>
  assertNothing([
    ...[...project.values()].flatMap(languageOfSource),
    ...markdown.flatMap((path) => languageOfMarkdown(path, readText(path))),
  ]));

Deno.test("The name of a test is a sentence", () =>
  assertNothing([...project.values()].flatMap(codedTestNames)));

Deno.test("Every file and name in backticks exists", () => {
  const symbols = new Set<string>();
  for (const { identifiers, properties, strings } of project.values()) {
    for (const name of identifiers.keys()) symbols.add(name);
    for (const { name } of properties) symbols.add(name);
    for (const { text } of strings) if (/^\w+$/.test(text)) symbols.add(text);
  }
  const names = { files: new Set(projectPaths), symbols };
  assertNothing([
    ...[...project.values()].flatMap(({ path, comments }) =>
      comments.flatMap((comment) => danglingNames(path, comment, names))
    ),
    ...markdown.flatMap((path) => danglingNames(path, { text: readText(path), line: 1 }, names)),
  ]);
});

Deno.test("The rules of language report what they ban, and nothing else", () => {
  const found = (text: string) => languageOfSource(readSource("src/aof/a.ts", text)).length;
  for (
    const text of [
      "// The file is his.",
      "// Whoever holds the lock ends it.",
      "/** Where there is no file, one is made. */",
      "// It is no file.",
      "// The mark stands behind the data.",
      'throw new Error("Nobody answers");',
      "const text = `${name} meanwhile`;",
      "// The lock is let go.\n// It waits, for it is slow.",
      "// The lock is\n// letting go.",
    ]
  ) assert(found(text) > 0, text);
  assertEquals(found("// It is no longer there: `it` waits for it.\nconst he = who(his);"), 0);
  assertEquals(languageOfMarkdown("a.md", "It\nstands.\n\n```\nnobody\n```\n`who` is a name."), [
    'a.md:2 "stands": is',
  ]);
  const names = { files: new Set(["src/aof/mod.ts"]), symbols: new Set(["openFile"]) };
  const dangling = (text: string) => danglingNames("a.md", { text, line: 1 }, names).length;
  assertEquals(dangling("`mod.ts` `aof/mod.ts` `aof/*.ts` `openFile()` `Aof.openFile` `data`"), 0);
  assertEquals(dangling("`gone.ts` `aof/gone*.ts` `openFiles` `GONE_MAX`"), 4);
  const coded = (name: string) =>
    codedTestNames(readSource("tests/a_test.ts", `Deno.test(${name}, () => {});`)).length;
  assertEquals([coded('"C20 a sentence"'), coded('"A sentence"')], [1, 0]);
});
