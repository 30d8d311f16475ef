/** The table of verbs is consistent, and help, man page and completions agree with it. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { commandsOf, prefixOf } from "../../src/cli/kit/commands.ts";
import { completionFor, SHELLS } from "../../src/cli/kit/completion.ts";
import { helpOfVerb, optionSpelling } from "../../src/cli/kit/help.ts";
import { manPage } from "../../src/cli/kit/man_page.ts";
import { parseVerb } from "../../src/cli/kit/parse.ts";
import { VERBS } from "../../src/cli/table.ts";
import { optionName, positionalName } from "../../src/cli/verb.ts";
import { capture } from "./capture.ts";

const commands = commandsOf(VERBS);

/** Returns the words of an example after `countd`, without redirections and other commands. */
function exampleWords(command: string): string[] | null {
  const match = /(?:^|[|(&;=]\s*|[A-Z_]+=\S+ )countd ([^|<>)&]*)/.exec(command);
  if (match === null) return null;
  const words = (match[1] as string).match(/'[^']*'|"[^"]*"|\S+/g) ?? [];
  return words.map((word) => word.replace(/^(['"])(.*)\1$/, "$2"));
}

Deno.test("Every verb has a unique name, a summary of one line, and two examples that it accepts", () => {
  const names = VERBS.map(({ name }) => name);
  assertEquals(names.length, new Set(names).size);
  for (const { path, verb } of commands) {
    const name = path.join(" ");
    assertMatch(verb.name, /^[a-z][a-z-]*$/);
    assert(!/[.\n]$/.test(verb.summary), `${name}: a summary is one line without a period`);
    assert(verb.summary.length <= 90, `${name}: the summary is too long`);
    assertEquals(verb.examples.length, 2);
    for (const example of verb.examples) {
      const words = exampleWords(example.command);
      assert(words !== null, `${name}: no countd in ${example.command}`);
      assertEquals(words.slice(0, 1), path.slice(0, 1), example.command);
      const given = path[1] === words[1] ? words.slice(path.length) : words.slice(1);
      // Throws if the example has an unknown option or argument.
      parseVerb(verb, given, { prefix: "", environment: () => undefined });
    }
  }
});

Deno.test("Every option has a summary, and the same name has the same kind of value everywhere", () => {
  const kinds = new Map<string, boolean>();
  for (const { path, verb } of commands) {
    for (const [key, option] of Object.entries(verb.options)) {
      const name = `countd ${path.join(" ")} --${optionName(key)}`;
      assertMatch(key, /^[a-z][A-Za-z]*$/, name);
      assert(option.summary.length > 0 && !option.summary.endsWith("."), name);
      assert(!["json", "help"].includes(key), `${name} is given by the frame`);
      assertEquals(kinds.get(key) ?? option.isFlag, option.isFlag, name);
      kinds.set(key, option.isFlag);
    }
  }
});

Deno.test("A default is a value that its own option accepts", () => {
  for (const { path, verb } of commands) {
    for (const [key, option] of Object.entries(verb.options)) {
      if (option.isFlag || option.default === undefined) continue;
      // A default may be a description, such as "the root table".
      if (option.defaultText?.includes(" ")) continue;
      const name = `countd ${path.join(" ")} --${optionName(key)}`;
      assertEquals(option.parse(option.defaultText as string), option.default, name);
    }
  }
});

Deno.test("--help of every verb shows every option and argument, and both examples", async () => {
  for (const command of commands) {
    const { code, stdout, stderr } = await capture([...command.path, "--help"]);
    assertEquals([code, stderr], [0, ""]);
    assertEquals(stdout, helpOfVerb(command.verb, prefixOf(command)));
    const flat = stdout.replace(/\s+/g, " ");
    for (const [key, option] of Object.entries(command.verb.options)) {
      assertStringIncludes(stdout, optionSpelling(key, option));
      assertStringIncludes(flat, option.summary);
    }
    for (const key of Object.keys(command.verb.positionals)) {
      assertStringIncludes(stdout, positionalName(key));
    }
    for (const example of command.verb.examples) assertStringIncludes(stdout, example.command);
    for (const line of stdout.split("\n")) {
      assert(line.length <= 80 || /^ {2}(\$|-)/.test(line) || line.startsWith("Usage:"), line);
    }
  }
});

Deno.test("countd --help and the help of a group name every verb", async () => {
  const all = await capture(["--help"]);
  assertEquals(all.code, 0);
  for (const entry of VERBS) {
    assertStringIncludes(all.stdout, `  ${entry.name} `);
    if (!("verbs" in entry)) continue;
    const { code, stdout } = await capture([entry.name, "--help"]);
    assertEquals(code, 0);
    for (const verb of entry.verbs) assertStringIncludes(stdout, `  ${verb.name} `);
  }
});

Deno.test("The man page and every completion name every verb and every option", () => {
  const man = manPage(VERBS).replaceAll("\\-", "-");
  for (const { path, verb } of commands) {
    assertStringIncludes(man, `countd ${path.join(" ")}`);
    for (const key of Object.keys(verb.options)) {
      assertStringIncludes(man, `--${optionName(key)}`);
    }
  }
  for (const shell of SHELLS) {
    const script = completionFor(shell, VERBS);
    for (const { path, verb } of commands) {
      for (const word of path) assertStringIncludes(script, word);
      for (const key of Object.keys(verb.options)) {
        assertStringIncludes(script, shell === "fish" ? `-l ${optionName(key)}` : optionName(key));
      }
    }
  }
});

Deno.test("--version prints the versions of countd, Deno, V8 and the format, one a line", async () => {
  const { code, stdout, stderr } = await capture(["--version"]);
  assertEquals([code, stderr], [0, ""]);
  const { deno, v8 } = Deno.version;
  assertMatch(stdout, /^countd \d+\.\d+\.\d+\ndeno .+\nv8 .+\nformat \d+\n$/);
  assertStringIncludes(stdout, `\ndeno ${deno}\nv8 ${v8}\n`);
});
