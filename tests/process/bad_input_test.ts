/** Bad input at the command line: the message says what is wrong, where and what to do; nothing is lost. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { existsSync } from "@std/fs/exists";
import { checkData } from "../support/check_data.ts";
import { runCountd, type RunOptions, startCountd } from "../support/process.ts";
import { giveToOrdinaryUser } from "../support/ordinary_user.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";

/** Asserts that a command ends with this code and message, and with nothing on stdout. */
async function assertRefused(
  args: readonly string[],
  expected: { readonly code: number; readonly says: string },
  options: RunOptions = {},
): Promise<void> {
  const { code, text, stderr } = await runCountd(args, options);
  assertEquals([code, text], [expected.code, ""], `${args.join(" ")}: ${stderr}`);
  assertStringIncludes(stderr, expected.says);
}

Deno.test("Impossible options are refused by name before anything is made", async () => {
  await withTemporaryDirectory(async (temporary) => {
    const data = `${temporary}/data`;
    const write = ["write", "--data", data, "--port", "0"];
    for (
      const [args, says] of [
        [[...write, "--log-size", "4096"], "--log-size"],
        [[...write, "--log-size", "65537"], "--log-size"],
        [[...write, "--key-size", "0"], "--key-size"],
        [[...write, "--keyspace-size", "257"], "--keyspace-size"],
        [[...write, "--sync", "maybe"], "--sync"],
        [[...write, "--backlog", "65536"], "--backlog"],
        [[...write, "--colour"], "--colour"],
        [["worker", "--data", data, "--port", "1"], "--port"],
        [["top", "--data", data], "KEYSPACE"],
        [["incr", "ks", "key", "9223372036854775808"], "9223372036854775808"],
        [["incr", "ks", "key", "1.5"], "1.5"],
        [["incr", "", "key"], "keyspace"],
        [["incr", "ks", "k".repeat(257)], "257"],
        [["nothing"], "nothing"],
      ] as const
    ) {
      await assertRefused(args, { code: 2, says });
    }
    assert(!existsSync(data));
  });
});

Deno.test("A directory made with other sizes is refused and unharmed", async () => {
  await withTemporaryDirectory(async (temporary) => {
    const data = `${temporary}/data`;
    await using writer = startCountd(
      ["write", "--data", data, "--port", "0", "--log-size", "65536", "--key-size", "64"],
    );
    const { port } = await writer.listening();
    for (const [option, size] of [["--log-size", "131072"], ["--key-size", "256"]] as const) {
      await assertRefused(["write", "--data", data, "--port", "0", option, size], {
        code: 2,
        says: `was made with ${option}`,
      });
    }
    const sizes = ["--key-size", "64", "--connect", `127.0.0.1:${port}`];
    assertEquals((await runCountd(["incr", "ks", "k", "3", ...sizes])).code, 0);
    await assertRefused(["incr", "ks", "k".repeat(65), ...sizes], { code: 2, says: "65" });
    assertEquals((await runCountd(["get", "ks", "k", "--data", data])).text, "3\n");
    assertEquals(await writer.stop(), 0);
    // Without options the stored sizes are used.
    await using again = startCountd(["write", "--data", data, "--port", "0"]);
    await again.listening();
    assertEquals(await again.stop(), 0);
    checkData(data);
  });
});

Deno.test("A port in use ends the second process with 1 and does not disturb the first", async () => {
  await withTemporaryDirectory(async (temporary) => {
    const data = `${temporary}/data`;
    await using writer = startCountd(["write", "--data", data, "--port", "0"]);
    const { port } = await writer.listening();
    await assertRefused(["write", "--data", data, "--port", String(port)], {
      code: 1,
      says: `Port ${port}`,
    });
    await assertRefused(["write", "--data", `${temporary}/other`, "--port", String(port)], {
      code: 1,
      says: "in use",
    });
    assertEquals(
      (await runCountd(["incr", "ks", "k", "--connect", `127.0.0.1:${port}`])).code,
      0,
    );
    assertEquals(await writer.stop(), 0);
    checkData(data);
  });
});

Deno.test("A second worker waits; --once exits with 75 after the lock timeout", async () => {
  await withTemporaryDirectory(async (temporary) => {
    const data = `${temporary}/data`;
    await using writer = startCountd(["write", "--data", data, "--port", "0"]);
    await writer.listening();
    await using worker = startCountd(["worker", "--data", data]);
    await worker.stderrLine(/worker ready/);
    await assertRefused(["worker", "--once", "--lock-timeout", "100ms", "--data", data], {
      code: 75,
      says: `pid ${worker.pid}`,
    });
    await using standby = startCountd(["worker", "--data", data]);
    await standby.stderrLine(/standing by/);
    await worker.kill();
    const { port } = await writer.listening();
    const server = ["--connect", `127.0.0.1:${port}`];
    assertEquals((await runCountd(["incr", "ks", "k", ...server])).code, 0);
    await standby.stderrLine(/event=folded/);
    assertEquals([await writer.stop(), await standby.stop()], [0, 0]);
    checkData(data);
  });
});

Deno.test("A directory that cannot be written is reported, and nothing else happens", async () => {
  await withTemporaryDirectory(async (directory) => {
    Deno.mkdirSync(`${directory}/closed`);
    giveToOrdinaryUser(directory);
    Deno.chmodSync(`${directory}/closed`, 0o555);
    await assertRefused(["write", "--data", `${directory}/closed/data`, "--port", "0"], {
      code: 1,
      says: "permission denied",
    }, { as: "ordinary" });
    Deno.chmodSync(`${directory}/closed`, 0o755);
    assertEquals([...Deno.readDirSync(`${directory}/closed`)], []);
  });
});

Deno.test("Reading what does not exist prints nothing, makes nothing, and exits 3", async () => {
  await withTemporaryDirectory(async (temporary) => {
    const data = `${temporary}/data`;
    const verbs = [["top", "ks"], ["get", "ks", "k"], ["rank", "ks", "k"], ["keyspaces"]];
    for (const verb of verbs) {
      await assertRefused([...verb, "--data", data], { code: 3, says: "data" });
    }
    await assertRefused(["worker", "--once", "--data", data], { code: 3, says: "data" });
    assert(!existsSync(data));
    await using writer = startCountd(["write", "--data", data, "--port", "0"]);
    await writer.listening();
    for (const verb of verbs.slice(0, 3)) {
      await assertRefused([...verb, "--data", data], { code: 3, says: "ks" });
    }
    const none = await runCountd(["keyspaces", "--data", data]);
    assertEquals([none.code, none.text], [0, ""]);
    assertEquals([...Deno.readDirSync(`${data}/keyspaces`)], []);
    assertEquals(await writer.stop(), 0);
    checkData(data);
  });
});

Deno.test("Hostile and confusing names are ordinary keyspaces", async () => {
  await withTemporaryDirectory(async (temporary) => {
    const data = `${temporary}/data`;
    const names = ["../esc", "..", "/etc/x", "0000000001", "lock-0000000009", "a/b", "A/B", "a b"];
    await using writer = startCountd(["write", "--data", data, "--port", "0"]);
    const { port } = await writer.listening();
    const lines = names.map((name, index) => `${name}\tk\t${index + 1}\n`).join("");
    const loaded = await runCountd(["load", "--connect", `127.0.0.1:${port}`], { stdin: lines });
    assertEquals(loaded.text, `accepted ${names.length}\nrefused 0\n`);
    assertEquals(await writer.stop(), 0);
    assertEquals((await runCountd(["worker", "--once", "--data", data])).code, 0);
    for (const [index, name] of names.entries()) {
      assertEquals((await runCountd(["get", name, "k", "--data", data])).text, `${index + 1}\n`);
    }
    const listed = await runCountd(["keyspaces", "--data", data]);
    assertEquals(listed.text, [...names].sort().map((name) => `${name}\t1\n`).join(""));
    assertEquals([...Deno.readDirSync(temporary)].map((entry) => entry.name), ["data"]);
    assertEquals([...Deno.readDirSync(`${data}/keyspaces`)].length, names.length);
    checkData(data);
  });
});

Deno.test("Bad lines of load are named and counted, and all good ones are stored", async () => {
  await withTemporaryDirectory(async (temporary) => {
    const data = `${temporary}/data`;
    await using writer = startCountd(["write", "--data", data, "--port", "0"]);
    const { port } = await writer.listening();
    const lines = ["ks\ta", "no tab", "ks\tb\t2", "\tempty keyspace", "ks\tc\tmany", "ks\td\t-4"];
    const loaded = await runCountd(["load", "--connect", `127.0.0.1:${port}`], {
      stdin: lines.join("\n"), // the last line without a newline counts
    });
    assertEquals([loaded.code, loaded.text], [5, "accepted 3\nrefused 3\n"]);
    for (const number of [2, 4, 5]) assertStringIncludes(loaded.stderr, `Line ${number} `);
    const top = await runCountd(["top", "ks", "--data", data]);
    assertEquals(top.text, "2\tb\n1\ta\n-4\td\n");
    assertEquals(await writer.stop(), 0);
    checkData(data);
  });
});
