/**
 * The house keeps its order by itself: the import tables of src/README.md and src/counters/README.md, the
 * format tables of the rooms' READMEs, and the rules of tests/tidy/. Every rule is shown to fire on planted
 * text.
 */

import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { walkSync } from "@std/fs/walk";
import { fieldProblems, fieldTables, layoutName } from "./tidy/field_tables.ts";
import type { Layout } from "./tidy/field_tables.ts";
import {
  cycles,
  deadExports,
  deadFiles,
  forbiddenImports,
  importsPastTheDoor,
  missingImports,
  sourcesForTestsAlone,
  unusedPermissions,
} from "./tidy/graph.ts";
import { readHouse, readWings } from "./tidy/house.ts";
import { entriesOf, projectRoot, readProject, readText } from "./tidy/project.ts";
import { rules } from "./tidy/rules.ts";
import { readSource } from "./tidy/source.ts";

const project = readProject();

function assertNothing(problems: readonly string[]): void {
  assert(problems.length === 0, `${problems.length} to mend:\n  ${problems.join("\n  ")}`);
}

for (const [name, rule] of Object.entries(rules)) {
  Deno.test(name, () => assertNothing([...project.values()].flatMap(rule)));
}

Deno.test("Rooms import what the maps let them and no more, through the doors", () => {
  const house = readWings(readText("src/README.md"), readText("src/counters/README.md"));
  assertNothing([
    ...unusedPermissions(project, house),
    ...forbiddenImports(project, house),
    ...importsPastTheDoor(project, house),
    ...missingImports(project),
  ]);
});

Deno.test("The lock file names no registry, and README says what each locked package is for", () => {
  const text = readText("deno.lock");
  assert(!/https?:/.test(text), "deno.lock names a host");
  const { specifiers } = JSON.parse(text) as { specifiers: Record<string, string> };
  const rows = readText("README.md").matchAll(/^\| `([a-z-]+)` (\d[\d.]*) /gm);
  const named = Array.from(rows, ([, name, version]) => `npm:${name}@${version}`);
  assertEquals(named.sort(), Object.keys(specifiers).sort());
});

Deno.test("No files import each other in a ring", () => assertNothing(cycles(project)));

Deno.test("Every file has a user, and every source one besides tests", () => {
  const entries = entriesOf(project.keys());
  const dead = deadFiles(project, entries);
  const tried = sourcesForTestsAlone(project, entries);
  assertNothing([
    ...dead,
    ...tried.filter((problem) => !dead.some((one) => problem.startsWith(one))),
  ]);
});

Deno.test("Every exported value has a user", () => assertNothing(deadExports(project)));

/** Tables whose sizes hang on options, and the test that compares them. */
const COMPARED_ELSEWHERE: Readonly<Record<string, string>> = {
  "src/counters/wire/README.md": "tests/counters/wire/readme_test.ts",
};

Deno.test("The field tables of the READMEs are the layouts of the code", async () => {
  const problems: string[] = [];
  let compared = 0;
  for (const { path } of walkSync(`${projectRoot}src`, { match: [/\/README\.md$/] })) {
    const where = path.slice(projectRoot.length);
    const elsewhere = COMPARED_ELSEWHERE[where];
    if (elsewhere !== undefined) {
      assert(project.has(elsewhere), elsewhere);
      continue;
    }
    const room = where.slice(0, -"README.md".length);
    for (const table of fieldTables(Deno.readTextFileSync(path))) {
      const layout = await findLayout(room, layoutName(table.name));
      compared += 1;
      problems.push(
        ...layout === undefined
          ? [`${where}: no file of ${room} exports ${layoutName(table.name)}`]
          : fieldProblems(where, table, layout),
      );
    }
  }
  assertNothing(problems);
  assert(compared > 0, "no table was compared");
});

async function findLayout(room: string, name: string): Promise<Layout | undefined> {
  for (const path of project.keys()) {
    if (!path.startsWith(room) || !readText(path).includes(`export const ${name} `)) continue;
    return (await import(`../${path}`))[name] as Layout;
  }
  return undefined;
}

/** Rule → a file that breaks it, and a part of what is then said. */
const planted: Readonly<Record<keyof typeof rules, [path: string, text: string, said: string]>> = {
  "Foreign functions stay in ffi/": ["src/aof/a.ts", 'const { dlopen } = Deno; dlopen("x");', ":1"],
  "Pointers stay in ffi/ and src/file/": [
    "src/counters/tree/a.ts",
    "\nDeno.UnsafePointer.of(a);",
    "a.ts:2 Deno.UnsafePointer",
  ],
  "Nouns reach the disk by the storage they are given": [
    "src/database/a.ts",
    'Deno.openSync("a");',
    "Deno.openSync",
  ],
  "Time comes from src/base/clock.ts": [
    "src/counters/read/a.ts",
    "const at = new Date();",
    "new Date()",
  ],
  "Chance has a seed": ["tests/aof/a_test.ts", "Math.random();", "Math.random"],
  "Only the command line speaks to the terminal": [
    "src/counters/write/a.ts",
    'console.error("x");',
    "console.error",
  ],
  "Only countd itself is ever spawned": [
    "src/serve/a.ts",
    'new Deno.Command("sh").spawn();',
    'Deno.Command("sh")',
  ],
  "The compiler is not silenced": ["src/aof/a.ts", "f(a as any);", ":1 as any"],
  "Nothing is left for later": ["src/aof/a.ts", "// TODO: more\nf();", '"TODO"'],
  "Comments speak of countd, not of one machine": [
    "src/aof/a.ts",
    "/** See /home/ada/notes. */",
    "/home/ada",
  ],
  "Every test runs": ["tests/a_test.ts", 'Deno.test({ name: "x", ignore: true, fn() {} });', ":1"],
  "A file fits one sitting": ["src/aof/a.ts", "f();\n".repeat(401), "401 lines"],
  "One house style: UPPER_CASE, #private, isX, while (true)": [
    "src/aof/a.ts",
    "export const headBytes = 2 ** 20, mod = { a: 1 };",
    "headBytes: a constant is UPPER_CASE",
  ],
  "Exports have names": ["src/aof/a.ts", "export default 1;", "default export"],
  "Files are named for what they own": ["src/aof/utils.ts", "f();", '"utils.ts"'],
};

Deno.test("Each rule fires on text that breaks it, and on that text alone", () => {
  assertEquals(Object.keys(planted).sort(), Object.keys(rules).sort());
  for (const [name, [path, text, said]] of Object.entries(planted)) {
    for (const [other, rule] of Object.entries(rules)) {
      const problems = rule(readSource(path, text));
      if (other === name) {
        assertEquals(problems.length, 1, `${name}: ${problems}`);
        assertStringIncludes(problems[0] ?? "", said);
      } else if (!(other.startsWith("Pointers") || other.startsWith("Foreign"))) {
        assertEquals(problems, [], `${other} on the text for ${name}`);
      }
    }
  }
});

Deno.test("The house style is held in constants, fields, flags and loops", () => {
  for (
    const [text, isKept] of [
      ["const LIMIT_MS = -1; const name = of(1); let other = 1; const f = () => 1;", true],
      [
        "class A { #isOpen = true; readonly #names: string[] = []; private constructor() {} }",
        true,
      ],
      ["while (true) f();", true],
      ["const limitMs = -1;", false],
      ["export const names = ['a', 'b'] as const;", false],
      ["export const magic = new TextEncoder().encode('x');", false],
      ["class A { #open = false; }", false],
      ["class A { readonly #open: boolean; }", false],
      ["class A { private open = 1; }", false],
      ["class A { private open() {} }", false],
      ["class A { constructor(private readonly open: number) {} }", false],
      ["for (;;) f();", false],
    ] as const
  ) assertEquals(readSource("src/aof/a.ts", text).styleBreaks.length === 0, isKept, text);
});

Deno.test("No rule fires on strings and on what is allowed", () => {
  const text = `
    let words = "TODO Math.random() Deno.dlopen console.log as any new Date()";
    /** Writes at "position" and says why. */
    export const when = new Date(0), said = words;
    new Deno.Command(Deno.execPath(), { args: [] }).spawn();
    // deno-lint-ignore no-explicit-any -- the caller's own type
    globalThis.setTimeout(() => {}, 1);
  `;
  const source = readSource("src/serve/a.ts", text);
  assertEquals(Object.values(rules).flatMap((rule) => rule(source)), []);
});

const map = `
## Map of wings

| rank | room | may import | what it owns |
| ---- | ---- | ---------- | ------------ |
| 0 | \`ffi/\` | nothing | libc |
| 1 | \`src/base/\` | nothing | ground |
| 2 | \`src/file/\` | \`ffi\`, \`base\` | files |
| 3 | \`src/aof/\` \`src/counters/tree/\` | \`base\`, \`file\` | formats |
| 8 | \`main.ts\` | all below | the start |

The end.
`;

function plant(files: Record<string, string>): Map<string, ReturnType<typeof readSource>> {
  return new Map(Object.entries(files).map(([path, text]) => [path, readSource(path, text)]));
}

Deno.test("The map is read as it is, and a map that contradicts itself is refused", () => {
  const house = readHouse(map);
  assertEquals([...house.get("src/counters/tree")?.mayImport ?? []], ["src/base", "src/file"]);
  assertEquals(house.get("main.ts")?.mayImport.size, 5);
  assertThrows(() => readHouse("# other"), Error, "no table of rooms");
  assertThrows(() => readHouse(map.replace("`ffi`, `base`", "`aof`")), Error, "not below it");
  assertThrows(() => readHouse(map.replace("`ffi`, `base`", "`attic`")), Error, "no room");
});

Deno.test("An import against the map is found, also of a type and also in an expression", () => {
  const house = readHouse(map);
  const allowed = plant({
    "main.ts": 'import { a } from "./src/aof/mod.ts";',
    "src/aof/mod.ts": 'export { a } from "./a.ts"; import "../base/assert.ts"; import "node:zlib";',
  });
  assertEquals(forbiddenImports(allowed, house), []);
  for (
    const text of [
      'import type { T } from "../tree/mod.ts";',
      'export * from "../tree/mod.ts";',
      'export { a } from "../tree/mod.ts";',
      'const a = await import("../tree/mod.ts");',
      'let a: import("../tree/mod.ts").T;',
      'import { open } from "../../ffi/mod.ts";',
      'import { a } from "npm:a";',
      'import { a } from "string-width";',
      'import { a } from "../attic/a.ts";',
    ]
  ) {
    assertEquals(forbiddenImports(plant({ "src/aof/a.ts": text }), house).length, 1, text);
  }
  assertEquals(forbiddenImports(plant({ "src/attic/a.ts": "" }), house).length, 1);
  const standIn = 'import "./b.ts"; import "deno-std/assert/mod.js"; import "a";';
  assertEquals(forbiddenImports(plant({ "src/std/assert/a.ts": standIn }), house).length, 1);
});

Deno.test("An import past a door is found where there is a door", () => {
  const house = readHouse(map);
  const files = {
    "src/file/mod.ts": "",
    "src/aof/a.ts": 'import "../file/lock.ts"; import "../base/assert.ts"; import "./b.ts";',
  };
  assertEquals(importsPastTheDoor(plant(files), house).length, 1);
});

Deno.test("A ring of imports is found once, and a tree has none", () => {
  const ring = {
    "a.ts": 'import "./b.ts"; import "./c.ts";',
    "b.ts": 'import type { C } from "./c.ts";',
    "c.ts": 'import "./a.ts";',
    "d.ts": 'import "./a.ts";',
  };
  assertEquals(cycles(plant(ring)), ["a.ts → b.ts → c.ts → a.ts is a ring of imports"]);
  assertEquals(cycles(plant({ ...ring, "c.ts": "" })), []);
  const types = 'import type { A } from "./a.ts";';
  assertEquals(cycles(plant({ "src/a.ts": types, "src/b.ts": "" })).length, 1);
  assertEquals(cycles(plant({ "tests/a.ts": types, "tests/b.ts": "" })), []);
  assertEquals(cycles(plant({ "tests/a.ts": 'import { a } from "./a.ts";' })).length, 1);
});

Deno.test("A file without a user is found, and a path in a string is a use", () => {
  const files = plant({
    "main.ts": 'import "./src/a.ts"; new Worker(new URL("src/worker.ts", import.meta.url));',
    "src/a.ts": '// @ts-types="./a.d.ts"\nimport { a } from "a";',
    "src/a.d.ts": "",
    "src/worker.ts": "",
    "src/dead.ts": 'import "./a.ts";',
    "src/tried.ts": "",
    "tests/a_test.ts": 'import "../src/tried.ts"; import "../src/gone.ts";',
  });
  const entries = ["main.ts", "tests/a_test.ts"];
  assertEquals(deadFiles(files, entries), ["src/dead.ts is imported by nothing"]);
  assertEquals(sourcesForTestsAlone(files, entries), [
    "src/dead.ts is imported by nothing but tests",
    "src/tried.ts is imported by nothing but tests",
  ]);
  assertEquals(missingImports(files).length, 1);
});

Deno.test("An exported value without a user is found, also behind a door", () => {
  const files = plant({
    "src/mod.ts": 'export { dead, taken } from "./a.ts"; export type { T } from "./a.ts";',
    "src/a.ts": "export const taken = 1, dead = 2, inside = 3; export type T = 1;" +
      "export function also() { return inside; } export const headLayout = {};",
    "main.ts": 'import { taken } from "./src/mod.ts";',
  });
  assertEquals(deadExports(files), [
    "src/a.ts:1 dead is not used by any file",
    "src/a.ts:1 also is not used by any file",
  ]);
  files.set(
    "tests/a_test.ts",
    readSource("tests/a_test.ts", 'import * as a from "../src/mod.ts";'),
  );
  assertEquals(deadExports(files), ["src/a.ts:1 also is not used by any file"]);
});

Deno.test("A field table that is not the layout is found", () => {
  const markdown = `
### Fields: map header

| field | offset | size | why |
| ----- | ------ | ---- | --- |
| magic | 0      | 8    | x   |
| \`text\` | 8   | –    | x   |

## Other

| field | 1 | 2 | not of the table |
`;
  const [table] = fieldTables(markdown);
  assert(table !== undefined);
  assertEquals(layoutName(table.name), "mapHeaderLayout");
  const layout = { magic: { offset: 0, size: 8 }, text: { offset: 8, size: 0 } };
  assertEquals(fieldProblems("README", table, layout), []);
  for (
    const other of [
      { ...layout, text: { offset: 8, size: 4 } },
      { ...layout, more: { offset: 8, size: 4 } },
      { magic: layout.magic },
      { magic: { offset: 0, size: 7 }, text: layout.text },
    ]
  ) {
    assert(fieldProblems("README", table, other).length > 0);
  }
  const gap = { magic: { offset: 0, size: 8 }, text: { offset: 9, size: 0 } };
  assertStringIncludes(fieldProblems("README", table, gap).join(), "ends at 8");
});
