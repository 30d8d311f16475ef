/**
 * Programs outside the tree, whose configuration links this package and says nothing else, import each
 * door by its name, type-check and run. They can fetch no `jsr:` package, and @std is not among their
 * names.
 */

import { basename } from "node:path/posix";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { type Ended, runCountd, runProgram, startCountd } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { projectRoot, readDoors, readText } from "../tidy/project.ts";

/** The configuration of a stranger, with the cache and the home directory of a new machine. */
interface Stranger {
  readonly directory: string;
  run(command: "check" | "run", ...args: readonly string[]): Promise<Ended>;
}

async function withStranger(body: (stranger: Stranger) => Promise<void>): Promise<void> {
  await withTemporaryDirectory(async (home) => {
    const directory = `${home}/program`;
    Deno.mkdirSync(directory);
    Deno.writeTextFileSync(`${directory}/deno.json`, JSON.stringify({ links: [projectRoot] }));
    const env = { HOME: home, DENO_DIR: `${home}/cache`, JSR_URL: "http://127.0.0.1:9/" };
    await body({
      directory,
      async run(command, ...args) {
        const all = command === "run" ? ["run", "--no-check", "-A", ...args] : [command, ...args];
        return await runProgram([Deno.execPath(), ...all], {
          cwd: directory,
          env: { ...env, NO_COLOR: "1" },
          deadlineMs: 120_000,
        });
      },
    });
  });
}

/** The ports of the server that it starts are the arguments of `body`. */
async function withServer(
  data: string,
  body: (writePort: string, readPort: string) => Promise<void>,
): Promise<void> {
  const ports = ["--write-port", "0", "--read-port", "0"];
  await using server = startCountd(["serve", "--data", data, ...ports]);
  const [write, read] = [await server.listening("write"), await server.listening("read")];
  await body(`${write.port}`, `${read.port}`);
  assertEquals(await server.stop(), 0);
}

/** Door → program, and what it prints. */
const programs: Readonly<Record<string, readonly [path: string, printed: string]>> = {
  ".": [
    "tests/packages/programs/client.ts",
    'true { accepted: 3n, refused: 0n }\n2 [ "/ 2", "/about 1" ]\n{ rank: 1, value: 1n }\n',
  ],
  "./aof": ["tests/packages/programs/aof.ts", "one two 7\n"],
  "./tables": [
    "tests/packages/programs/tables.ts",
    'good morning [ "en" ] [ "", "site/motd" ]\ntrue\n',
  ],
  "./database": ["tests/packages/programs/database.ts", "good morning true\n"],
  "./counters": [
    "tests/packages/programs/counters.ts",
    'true\n[ "/ 41", "/about 2" ] true\n2n 1\n',
  ],
};

Deno.test("A program that links the package alone imports each door by name and runs", async () => {
  assertEquals(Object.keys(programs).sort(), [...readDoors().keys()].sort());
  await withStranger(async ({ directory, run }) => {
    const names = Object.values(programs).map(([path]) => {
      const name = basename(path);
      Deno.writeTextFileSync(`${directory}/${name}`, readText(path));
      return name;
    });
    const checked = await run("check", ...names);
    assertEquals(checked.code, 0, checked.stderr);
    for (const [door, [path, printed]] of Object.entries(programs)) {
      const name = basename(path);
      const data = `${directory}/${name}-data`;
      const runWith = async (...args: readonly string[]) => {
        const { code, text, stderr } = await run("run", name, ...args);
        assertEquals([door, code, text], [door, 0, printed], stderr);
      };
      if (door === ".") await withServer(data, runWith);
      else {
        if (door !== "./counters") Deno.mkdirSync(data);
        await runWith(data);
      }
    }
    const { code } = await runCountd(["check", "--data", `${directory}/counters.ts-data`]);
    assertEquals(code, 0, "countd check finds what the engine wrote in order");
  });
});

Deno.test("A program that links the package alone has no @std", async () => {
  await withStranger(async ({ directory, run }) => {
    Deno.writeTextFileSync(`${directory}/main.ts`, 'import "@std/assert";\n');
    const { code, stderr } = await run("run", "main.ts");
    assertEquals(code, 1);
    assertStringIncludes(stderr, "@std/assert");
  });
});

Deno.test("The library of README counts, and ranks what it counted", async () => {
  const program = /## As a library\n[\s\S]*?```ts\n([\s\S]*?)```/.exec(readText("README.md"))?.[1];
  assert(program !== undefined, "README has a program");
  await withStranger(async ({ directory, run }) => {
    Deno.writeTextFileSync(`${directory}/main.ts`, program);
    assertEquals((await run("check", "main.ts")).code, 0);
    const { code, text, stderr } = await run("run", "main.ts");
    assertEquals([code, text], [0, "/about 2n\n"], stderr);
    assert(Deno.statSync(`${directory}/counters/control`).isFile);
  });
});
