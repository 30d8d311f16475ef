/**
 * Runs every verb of the compiled executable. It is alone in a directory, without the sources, and has
 * the permissions that were compiled in. It runs as the user of the tests and, if that is root, as an
 * ordinary user too.
 */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { isGroup } from "../../src/cli/verb.ts";
import { VERBS } from "../../src/cli/table.ts";
import { testDaemons } from "./daemons.ts";
import { Installation, testBinary } from "./installation.ts";

testBinary("says what it is and how it is used", async (countd) => {
  assertStringIncludes(await countd.answer(["--version"]), "countd ");
  assertStringIncludes(await countd.answer(["--help"]), "Usage: countd VERB");
  assertEquals((await countd.run(["no-such-verb"])).code, 2);
});

testBinary("looks after an installation", async (countd) => {
  assertStringIncludes(await countd.answer(["doctor", "--data", "data"]), "ok ");
  assertStringIncludes(
    await countd.answer(["config", "doctor"], { env: { COUNTD_DATA: "/somewhere" } }),
    "/somewhere\tenvironment",
  );
  assertStringIncludes(await countd.answer(["completion", "bash"]), "complete ");
  assertStringIncludes(await countd.answer(["completion", "man"]), ".TH ");
  assertStringIncludes(await countd.answer(["systemd", "serve"]), "[Service]");
});

testBinary("keeps keys in tables", async (countd) => {
  const kv = (...args: string[]) => countd.answer(["kv", ...args, "--data", "data"]);
  await kv("set", "motd", "hello");
  await kv("create", "logo", "one", "--table", "site");
  await kv("update", "logo", "two", "--table", "site");
  assertEquals(await kv("get", "motd"), "hello");
  assertEquals(await kv("keys", "--table", "site"), "logo\n");
  assertEquals(await kv("tables"), "site\n");
  assertEquals(await kv("each", "--table", "site"), "logo\ttwo\n");
  await kv("delete", "motd");
  assertEquals((await countd.run(["kv", "get", "motd", "--data", "data"])).code, 3);
});

testDaemons();

Deno.test("The tests above run every verb of the executable", () => {
  const missing = VERBS
    .flatMap((entry) =>
      isGroup(entry) ? entry.verbs.map(({ name }) => `${entry.name} ${name}`) : [entry.name]
    )
    .filter((verb) => !Installation.verbsRun.has(verb));
  assertEquals(missing, []);
});
