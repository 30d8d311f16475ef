/** Every exit code as a shell sees it: from a real process, with its output. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { runCountd, startCountd } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { small, withDaemon, withUnfolded } from "./effect_support.ts";

Deno.test("Exit code 0: the command succeeded, and stdout holds data alone", async () => {
  await withUnfolded(async (data) => {
    const { code, text, stderr } = await runCountd(["get", "pages", "a", "--data", data]);
    assertEquals([code, text, stderr], [0, "30\n", ""]);
  });
});

Deno.test("Exit code 1: a port is in use, or a key exists", async () => {
  await withDaemon("write", small, async ({ address, data }) => {
    const port = address.split(":")[1] as string;
    const { code, text, stderr } = await runCountd(["write", "--data", data, "--port", port]);
    assertEquals([code, text], [1, ""]);
    assertStringIncludes(stderr, `Port ${port} of 127.0.0.1 is in use`);
  });
  await withTemporaryDirectory(async (directory) => {
    const args = ["kv", "create", "k", "v", "--data", `${directory}/data`];
    assertEquals((await runCountd(args)).code, 0);
    assertEquals((await runCountd(args)).code, 1);
  });
});

Deno.test("Exit code 2: an unknown option, a bad number, a missing argument, or an invalid name", async () => {
  for (
    const [args, word] of [
      [["write", "--unknown"], "--unknown"],
      [["write", "--port", "many"], "--port"],
      [["write", "--log-size", "4096"], "--log-size"],
      [["top"], "KEYSPACE"],
      [["incr", "pages", "a", "9223372036854775808"], "INCREMENT"],
      [["incr", "", "a"], "eyspace"],
      [["kv", "set", "a/b", "v"], "key"],
    ] as const
  ) {
    const { code, text, stderr } = await runCountd(args);
    assertEquals([code, text], [2, ""], args.join(" "));
    assertStringIncludes(stderr, word);
  }
});

Deno.test("Exit code 2: a data directory was made with other sizes", async () => {
  await withUnfolded(async (data) => {
    const args = ["write", "--data", data, "--port", "0", "--key-size", "9"];
    const { code, stderr } = await runCountd(args);
    assertEquals(code, 2);
    assertStringIncludes(stderr, "--key-size 256, not 9");
  });
});

Deno.test("Exit code 3: a data directory, keyspace, counter, table or key is missing; nothing is made", async () => {
  await withUnfolded(async (data) => {
    for (
      const args of [
        ["top", "pages", "--data", `${data}/missing`],
        ["top", "nothing", "--data", data],
        ["get", "pages", "nothing", "--data", data],
        ["rank", "nothing", "a", "--data", data],
        ["kv", "get", "nothing", "--data", data],
        ["kv", "get", "k", "--table", "nothing", "--data", data],
        ["status", "--data", `${data}/missing`],
        ["backup", `${data}-copy`, "--data", `${data}/missing`],
      ]
    ) {
      const { code, text } = await runCountd(args);
      assertEquals([code, text], [3, ""], args.join(" "));
    }
    const names = [...Deno.readDirSync(data)].map(({ name }) => name).sort();
    assertEquals(names, ["control", "keyspaces", "logs"]);
  });
});

Deno.test("Exit code 4: no server listens", async () => {
  for (const args of [["incr", "pages", "a"], ["top", "pages"]]) {
    const { code, text } = await runCountd([...args, "--connect", "127.0.0.1:1"]);
    assertEquals([code, text], [4, ""]);
  }
});

Deno.test("Exit code 5: a line of load is refused", async () => {
  await withDaemon("write", small, async ({ address }) => {
    const lines = "pages\ta\nno tab here\npages\tb\t2\n";
    const args = ["load", "--connect", address];
    const { code, text, stderr } = await runCountd(args, { stdin: lines });
    assertEquals([code, text], [5, "accepted 2\nrefused 1\n"]);
    assertStringIncludes(stderr, "Line 2 is refused");
  });
});

Deno.test("Exit code 6: the control file is damaged", async () => {
  await withTemporaryDirectory(async (directory) => {
    Deno.writeTextFileSync(`${directory}/control`, "x".repeat(16_384));
    for (const verb of ["status", "write", "worker"]) {
      const { code, text, stderr } = await runCountd([verb, "--data", directory]);
      assertEquals([code, text], [6, ""], verb);
      assertStringIncludes(stderr, `${directory}/control`);
    }
  });
});

Deno.test("Exit code 75: another worker folds", async () => {
  await withUnfolded(async (data) => {
    await using holder = startCountd(["worker", "--data", data]);
    await holder.stderrLine(/worker ready/);
    const args = ["worker", "--once", "--data", data, "--lock-timeout", "1ms", "--json"];
    assertEquals((await runCountd(args)).code, 2, "worker answers nothing in JSON");
    const { code, stderr } = await runCountd(args.slice(0, -1));
    assertEquals(code, 75);
    assertStringIncludes(stderr, `pid ${holder.pid}`);
    assertEquals(await holder.stop(), 0);
  });
});
