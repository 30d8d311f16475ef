import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { runCountd, startCountd } from "../../support/process.ts";
import { withTemporaryDirectory } from "../../support/temporary.ts";
import { assertWholeDirectory } from "../view/check_directory.ts";

/** A write server, a read server, and the arguments that lead to them. */
async function withServers(
  body: (servers: {
    readonly data: string;
    readonly toWrite: readonly [string, string];
    readonly toRead: readonly [string, string];
    readonly stopWriting: () => Promise<number>;
  }) => Promise<void>,
  options: readonly string[] = [],
): Promise<void> {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    await using writer = startCountd(["write", "--data", data, "--port", "0", ...options]);
    const write = await writer.listening();
    await using reader = startCountd(["read", "--data", data, "--port", "0"]);
    const read = await reader.listening();
    await body({
      data,
      toWrite: ["--connect", `127.0.0.1:${write.port}`],
      toRead: ["--connect", `127.0.0.1:${read.port}`],
      stopWriting: () => writer.stop(),
    });
    assertEquals(await reader.stop(), 0);
    assertEquals(await writer.stop(), 0);
    assertWholeDirectory(data);
  });
}

Deno.test("A directory on the command line is read, whatever server the environment names", async () => {
  await withServers(async ({ data, toWrite, toRead, stopWriting }) => {
    assertEquals((await runCountd(["incr", "ks", "a", ...toWrite])).code, 0);
    const env = { COUNTD_CONNECT: toRead[1] };
    await withTemporaryDirectory(async (other) => {
      assertEquals((await runCountd(["kv", "set", "k", "v", "--data", other])).code, 0);
      const here = await runCountd(["keyspaces", "--data", other], { env });
      assertEquals([here.code, here.text], [0, ""], here.stderr);
    });
    assertEquals((await runCountd(["keyspaces"], { env })).text, "ks\t1\n");
    assertEquals(await stopWriting(), 0);
    const stale = await runCountd(["top", "ks", "--data", data, "--stale"], { env });
    assertEquals(stale.stderr.includes("--stale"), false, stale.stderr);
  });
});

Deno.test("incr adds, get, rank, top and keyspaces answer the same from directory and server", async () => {
  await withServers(async ({ data, toWrite, toRead }) => {
    const silent = await runCountd(["incr", "ks", "a", ...toWrite]);
    assertEquals([silent.code, silent.text, silent.stderr], [0, "", ""]);
    assertEquals((await runCountd(["incr", "ks", "b", "9007199254740993", ...toWrite])).code, 0);
    assertEquals((await runCountd(["incr", ...toWrite, "ks", "a", "--", "-3"])).code, 0);
    assertEquals((await runCountd(["incr", "ks", "", "5", ...toWrite])).code, 0);
    const jsonTop = '{"keyspace":"ks","total":"3","offset":"0","rows":[' +
      '{"key":"b","value":"9007199254740993"},{"key":"","value":"5"}]}\n';
    const jsonRank = '{"keyspace":"ks","key":"b","rank":"0","value":"9007199254740993"}\n';
    const questions: [string[], number, string][] = [
      [["get", "ks", "b"], 0, "9007199254740993\n"],
      [["get", "ks", ""], 0, "5\n"],
      [["rank", "ks", "a"], 0, "2\n"],
      [["top", "ks"], 0, "9007199254740993\tb\n5\t\n-2\ta\n"],
      [["top", "ks", "--offset", "1", "--length", "1"], 0, "5\t\n"],
      [["top", "ks", "--offset", "9"], 0, ""],
      [["keyspaces"], 0, "ks\t3\n"],
      [["top", "ks", "--json", "--length", "2"], 0, jsonTop],
      [["get", "ks", "a", "--json"], 0, '{"keyspace":"ks","key":"a","value":"-2"}\n'],
      [["rank", "ks", "b", "--json"], 0, jsonRank],
      [["keyspaces", "--json"], 0, '{"keyspaces":[{"keyspace":"ks","counters":"3"}]}\n'],
      [["get", "ks", "c"], 3, ""],
      [["rank", "ks", "c"], 3, ""],
      [["top", "none"], 3, ""],
    ];
    for (const [question, code, text] of questions) {
      const answers = await Promise.all(
        [["--data", data], toRead].map((source) => runCountd([...question, ...source])),
      );
      for (const answer of answers) assertEquals([answer.code, answer.text], [code, text]);
    }
    const missing = await runCountd(["get", "none", "c", "--json", "--data", data]);
    assertEquals(missing.code, 3);
    assertStringIncludes(missing.text, '{"error":{"code":3,"name":"not-found"');
    const stale = await runCountd(["keyspaces", "--stale", "--data", data]);
    assertEquals([stale.code, stale.text], [0, ""]);
  });
});

Deno.test("load sends lines, reports malformed ones by number, and prints accepted and refused", async () => {
  await withServers(async ({ data, toWrite }) => {
    const lines = [
      "ks\ta",
      "ks\tb\t41",
      "no tab",
      "ks\tb",
      `ks\t${"x".repeat(595)}`,
      "ks\t\xff\x01",
    ].join("\n");
    const stdin = Uint8Array.from(lines, (character) => character.charCodeAt(0));
    const ended = await runCountd(["load", ...toWrite], { stdin });
    assertEquals([ended.code, ended.text], [5, "accepted 4\nrefused 2\n"]);
    assertEquals(ended.stderr.split("\n").filter((line) => line !== ""), [
      "countd: Line 3 is refused: no TAB after the keyspace",
      "countd: Line 5 is refused: the key has 595 bytes, 256 fit",
    ]);
    const top = await runCountd(["top", "ks", "--data", data]);
    assertEquals(
      Array.from(top.stdout, (byte) => String.fromCharCode(byte)).join(""),
      "42\tb\n1\ta\n1\t\xff\x01\n",
    );
    const json = await runCountd(["top", "ks", "--data", data, "--json"]);
    assertStringIncludes(json.text, '{"keyBase64":"/wE=","value":"1"}');

    const file = `${data}-lines`;
    Deno.writeTextFileSync(file, "ks\tb\t-2\n".repeat(5000));
    const fromFile = await runCountd(["load", file, ...toWrite, "--json"]);
    assertEquals([fromFile.code, fromFile.text], [0, '{"accepted":"5000","refused":"0"}\n']);
    assertEquals((await runCountd(["get", "ks", "b", "--data", data])).text, "-9958\n");
    const empty = await runCountd(["load", ...toWrite], { stdin: "" });
    assertEquals([empty.code, empty.text], [0, "accepted 0\nrefused 0\n"]);
    assertEquals((await runCountd(["load", `${file}-missing`, ...toWrite])).code, 3);
  });
});

Deno.test("load and incr understand a server that answers every message", async () => {
  await withServers(async ({ data, toWrite, stopWriting }) => {
    const lines = Array.from({ length: 20_000 }, (_, index) => `ks\tkey-${index % 100}\n`).join("");
    const ended = await runCountd(["load", ...toWrite], { stdin: lines });
    assertEquals([ended.code, ended.text], [0, "accepted 20000\nrefused 0\n"]);
    assertEquals((await runCountd(["incr", "ks", "key-0", "7", ...toWrite])).code, 0);
    assertEquals(await stopWriting(), 0);
    assertEquals((await runCountd(["get", "ks", "key-0", "--data", data])).text, "207\n");
  }, ["--ack"]);
});

Deno.test("A client names the sizes of its server, and wrong sizes are detected", async () => {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    const sizes = ["--keyspace-size", "10", "--key-size", "30"];
    await using writer = startCountd(["write", "--data", data, "--port", "0", ...sizes]);
    const toWrite = ["--connect", `127.0.0.1:${(await writer.listening()).port}`];
    await using reader = startCountd(["read", "--data", data, "--port", "0"]);
    const toRead = ["--connect", `127.0.0.1:${(await reader.listening()).port}`];
    const key = "k".repeat(30);
    assertEquals((await runCountd(["incr", "ks", key, ...toWrite, ...sizes])).code, 0);
    assertEquals((await runCountd(["get", "ks", key, ...toRead, ...sizes])).text, "1\n");
    assertEquals((await runCountd(["get", "ks", key, "--data", data])).text, "1\n");
    assertEquals((await runCountd(["keyspaces", ...toRead, ...sizes])).text, "ks\t1\n");
    // Refused before anything is sent.
    assertEquals((await runCountd(["incr", "ks", `${key}k`, ...toWrite, ...sizes])).code, 2);
    assertEquals((await runCountd(["get", "ks", `${key}k`, "--data", data])).code, 2);
    // 520 bytes are ten messages of 48 and a part: the server takes noise, and the totals show it.
    const wrong = await runCountd(["incr", "ks", "k", ...toWrite]);
    assert(wrong.code !== 0, "Messages of other sizes do not count as sent");
    // A writer that names other sizes than the data directory is refused, and so is a reader.
    const refused = await runCountd(["read", "--data", data, "--key-size", "31", "--port", "0"]);
    assertEquals(refused.code, 2);
    assertEquals(await reader.stop(), 0);
    assertEquals(await writer.stop(), 0);
    assertWholeDirectory(data);
  });
});

Deno.test("A client without a server exits 4 and prints nothing on stdout", async () => {
  // A port that was free a moment ago.
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  const to = ["--connect", `127.0.0.1:${port}`];
  for (
    const args of [
      ["incr", "ks", "k"],
      ["load"],
      ["top", "ks"],
      ["get", "ks", "k"],
      ["rank", "ks", "k"],
      ["keyspaces"],
    ]
  ) {
    const ended = await runCountd([...args, ...to], { stdin: "ks\tk\n" });
    assertEquals([args[0], ended.code, ended.text], [args[0], 4, ""]);
    assertStringIncludes(ended.stderr, "check that it is running");
  }
});

Deno.test("Reading verbs on a missing data directory exit 3, print nothing and make nothing", async () => {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/missing`;
    for (const args of [["top", "ks"], ["get", "ks", "k"], ["rank", "ks", "k"], ["keyspaces"]]) {
      const ended = await runCountd([...args, "--data", data]);
      assertEquals([ended.code, ended.text], [3, ""]);
    }
    assertEquals([...Deno.readDirSync(directory)].length, 0);
  });
});

Deno.test("Usage errors exit 2 before a server is asked", async () => {
  for (
    const args of [
      ["incr", "", "k"],
      ["incr", "ks", "k", "9223372036854775808"],
      ["incr", "ks", "k", "1.5"],
      ["incr", "ks", "x".repeat(257)],
      ["top", "ks", "--stale", "--connect", "127.0.0.1:9"],
      ["top", "ks", "--length", "-1"],
    ]
  ) {
    const ended = await runCountd(args);
    assertEquals([args.join(" ").slice(0, 40), ended.code, ended.text], [
      args.join(" ").slice(0, 40),
      2,
      "",
    ]);
  }
});

Deno.test("A reader waits for its data directory, and killing one harms no other process", async () => {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    await using early = startCountd(["read", "--data", data, "--port", "0"]);
    await early.stderrLine(/waiting for a data directory/);
    assertEquals([...Deno.readDirSync(directory)].length, 0);
    await using writer = startCountd(["write", "--data", data, "--port", "0"]);
    const toWrite = ["--connect", `127.0.0.1:${(await writer.listening()).port}`];
    const toRead = ["--connect", `127.0.0.1:${(await early.listening()).port}`];
    assertEquals((await runCountd(["incr", "ks", "k", ...toWrite])).code, 0);
    assertEquals((await runCountd(["get", "ks", "k", ...toRead])).text, "1\n");
    await early.kill();
    await using waiting = startCountd(["read", "--data", `${data}-none`, "--port", "0"]);
    await waiting.stderrLine(/waiting for a data directory/);
    assertEquals(await waiting.stop("SIGINT"), 0);
    assertEquals((await runCountd(["incr", "ks", "k", ...toWrite])).code, 0);
    assertEquals((await runCountd(["get", "ks", "k", "--data", data])).text, "2\n");
    assertEquals(await writer.stop(), 0);
    assertWholeDirectory(data);
  });
});
