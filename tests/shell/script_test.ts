/** The shell without a terminal: `-c`, pipes, exit codes. */

import { assertEquals, assertMatch } from "@std/assert";
import { systemStorage } from "../../src/file/mod.ts";
import { checkTables } from "../../src/tables/mod.ts";
import { countdCommand, runCountd, runProgram, startCountd } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { quoted } from "./terminal.ts";

type Run = (
  words: string[],
  stdin?: string | Uint8Array,
) => Promise<{ code: number; text: string; stderr: string; stdout: Uint8Array }>;

async function withData(body: (shell: Run, data: string) => Promise<void>): Promise<void> {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    await body(
      (words, stdin = "") => runCountd(["shell", "--data", data, ...words], { stdin }),
      data,
    );
    assertEquals(checkTables(systemStorage(), `${data}/tables`), []);
  });
}

Deno.test("Commands on stdin or in -c print values and names and nothing else", async () => {
  await withData(async (shell) => {
    const script =
      'set a 1\r\nset b "x y"; create c 3\nupdate c 4\n\n  \nkeys\nget b\ndelete a\neach';
    assertEquals(await shell([], script).then(({ code, text, stderr }) => [code, text, stderr]), [
      0,
      "a\nb\nc\nx y\nb\tx y\nc\t4\n",
      "",
    ]);
    const { code, text } = await shell(["-c", "use t/u; set k v; get k; tables; .mode json; keys"]);
    assertEquals([code, text], [0, 'v\nt/u\n{"keys":["k"]}\n']);
    assertEquals((await shell(["--command", "use t/u\nget k"])).text, "v\n");
    assertEquals(
      (await shell(["--mode", "table", "-c", "each"])).text,
      "key  value\nb    x y\nc    4\n",
    );
  });
});

Deno.test("Binary values go in by escapes and come out byte for byte", async () => {
  await withData(async (shell) => {
    const { stdout } = await shell(["-c", 'set k "\\x00\\xff\\n\\\\"; get k']);
    assertEquals(stdout, Uint8Array.of(0, 255, 10, 92, 10));
  });
});

Deno.test("A script stops at its first error, with the exit code of that error", async () => {
  await withData(async (shell, data) => {
    const cases: [script: string, code: number, message: RegExp][] = [
      ["get missing", 3, /^countd: Key "missing" is not in the root table$/],
      ["update missing v", 3, /not in the root table/],
      ["create a 1; create a 2", 1, /exists already/],
      ["get a/b", 2, /^countd: Invalid key/],
      ["use ../x", 2, /^countd: Invalid table/],
      ["frobnicate", 2, /^countd: Unknown command "frobnicate"; see \.help$/],
      ["get", 2, /^countd: Usage: get KEY$/],
      ["get a b", 2, /^countd: Usage: get KEY$/],
      ['set a "b', 2, /is not closed/],
      [".mode pretty", 2, /must be one of table, json, raw/],
      ["incr k c x", 2, /N must be a whole number/],
      ["incr k c 9223372036854775808", 2, /N must be between/],
      ["top missing", 3, /^countd: No keyspace "missing"/],
      ["count missing x", 3, /^countd: No counter "x" in keyspace "missing"/],
      ["use none; keys", 3, /Table "none" does not exist/],
      ['incr "" x', 2, /keyspace/i],
    ];
    for (const [script, code, message] of cases) {
      const ended = await shell(["-c", `${script}; set after-error 1`]);
      assertEquals([ended.code, ended.text], [code, ""], script);
      assertMatch(ended.stderr, message, script);
    }
    const { code, text } = await runCountd(["kv", "keys", "--data", data]);
    assertEquals([code, text], [0, "a\n"]);
  });
});

Deno.test("--keep-going runs the rest and exits with the code of the first error", async () => {
  await withData(async (shell) => {
    const script = "get missing\nset a 1\ncreate a 2\nget a\nbad; get a\n";
    const { code, text, stderr } = await shell(["--keep-going"], script);
    assertEquals([code, text], [3, "1\n1\n"]);
    assertEquals(stderr.split("\n").map((line) => line.slice(0, 30)), [
      'countd: Key "missing" is not i',
      'countd: Key "a" exists already',
      'countd: Unknown command "bad";',
    ]);
  });
});

Deno.test("A locked key ends a script with 75 after the lock timeout", async () => {
  await withData(async (shell, data) => {
    await shell(["-c", "set a 1"]);
    using file = Deno.openSync(`${data}/tables/a.kv`);
    file.lockSync(true);
    const { code, stderr } = await shell(["--lock-timeout", "50ms", "-c", "get a"]);
    assertEquals(code, 75);
    assertMatch(stderr, /Cannot lock .*a\.kv within 50 ms/);
  });
});

Deno.test("Commands that read make nothing, and quit or exit stops the script", async () => {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    for (const script of ["tables", "keys", "each", "delete x", "use t", "exit; frobnicate"]) {
      const { code, text } = await runCountd(["shell", "--data", data, "-c", script]);
      assertEquals([code, text], [0, ""], script);
    }
    for (const script of ["get x", "top k", "keyspaces", "count k c", "rank k c"]) {
      const { code, text } = await runCountd(["shell", "--data", data, "-c", script]);
      assertEquals([code, text], [3, ""], script);
    }
    assertEquals([...Deno.readDirSync(directory)], []);
  });
});

Deno.test("Counters are exact, ranked, and go through the commit logs", async () => {
  await withData(async (shell, data) => {
    const { code, text } = await shell([
      "-c",
      "incr p a 9223372036854775806; incr p a; incr p b -5; incr p c; incr p c 0; incr q z;" +
      "top p; top p 1 1; count p a; rank p b; keyspaces",
    ]);
    assertEquals(code, 0);
    assertEquals(
      text,
      "9223372036854775807\ta\n1\tc\n-5\tb\n1\tc\n9223372036854775807\n2\np\t3\nq\t1\n",
    );
    const worker = await runCountd(["worker", "--once", "--data", data]);
    assertEquals(worker.code, 0, worker.stderr);
    const after = await runCountd(["top", "p", "--data", data]);
    assertEquals(after.text, "9223372036854775807\ta\n1\tc\n-5\tb\n");
    const json = await shell(["-c", ".mode json; top p 2; count p b; rank p b"]);
    assertEquals(
      json.text,
      '{"keyspace":"p","total":"3","offset":"0","rows":[{"key":"a","value":"9223372036854775807"},' +
        '{"key":"c","value":"1"}]}\n{"keyspace":"p","key":"b","value":"-5"}\n' +
        '{"keyspace":"p","key":"b","rank":"2"}\n',
    );
  });
});

Deno.test("With --connect increments go to a running writer, and reads may ask a server", async () => {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    await using writer = startCountd(["write", "--data", data, "--port", "0"]);
    const write = await writer.listening();
    await using reader = startCountd(["read", "--data", data, "--port", "0"]);
    const read = await reader.listening();
    const { code, text, stderr } = await runCountd([
      "shell",
      "--data",
      `${directory}/none`,
      "--connect",
      `127.0.0.1:${write.port}`,
      "--connect-read",
      `127.0.0.1:${read.port}`,
      "-c",
      "incr pages /x 2; incr pages /y; top pages; count pages /x; rank pages /y; keyspaces",
    ]);
    assertEquals([code, text], [0, "2\t/x\n1\t/y\n2\n1\npages\t2\n"], stderr);
    assertEquals([...Deno.readDirSync(directory)].map(({ name }) => name), ["data"]);
    // The shell has a log of its own beside that of the running writer.
    const own = await runCountd([
      "shell",
      "--data",
      data,
      "-c",
      "incr pages /x 40; count pages /x",
    ]);
    assertEquals([own.code, own.text], [0, "42\n"], own.stderr);
    assertEquals(await writer.stop(), 0);
    assertEquals(await reader.stop(), 0);
    const gone = await runCountd([
      "shell",
      "--connect",
      `127.0.0.1:${write.port}`,
      "-c",
      "incr pages /x",
    ]);
    assertEquals(gone.code, 4, gone.stderr);
  });
});

Deno.test("The shell ends quietly when its reader goes away", async () => {
  await withData(async (shell, data) => {
    await shell(["-c", "set a 1"]);
    await using process = startCountd(["shell", "--data", data, "--keep-going"]);
    await process.writeStdin("get a\n".repeat(20_000));
    assertEquals((await process.ended()).code, 0);
    const { code, stdout, stderr } = await runPipeline(data);
    assertEquals([code, new TextDecoder().decode(stdout), stderr], [0, "a\n", ""]);
  });
});

/** Runs `countd shell … | head -n 1` with more output than a pipe holds; returns its exit code. */
async function runPipeline(data: string) {
  const command = countdCommand(["shell", "--data", data]).map(quoted).join(" ");
  const script = `yes keys | head -n 100000 | ${command} | head -n 1; exit \${PIPESTATUS[2]}`;
  return await runProgram(["bash", "-c", script]);
}
