/**
 * kill -9 of real processes at every named point of the protocol. Power cuts at every point are tried
 * on the simulated disk in tests/crash/.
 */

import { assert, assertEquals } from "@std/assert";
import { systemStorage } from "../../src/file/mod.ts";
import { checkTables, KeyNotFoundError, type TableRoot } from "../../src/tables/mod.ts";
import type { CallKind } from "../support/linearizability.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { oneCall, startClient, untilStopped } from "./clients.ts";
import { asText, bytes, listTree, listValues, openRoot } from "./support.ts";

/** Each call with the points it passes, and whether it has taken effect when it dies there. */
const points: readonly [CallKind, exists: boolean, point: string, takesEffect: boolean][] = [
  ["set", true, "table.write.before", false],
  ["set", true, "table.write.after", false],
  ["set", true, "table.sync.after", false],
  ["set", true, "table.rename.before", false],
  ["set", true, "table.rename.after", true],
  ["set", true, "table.names.before", true],
  ["set", true, "table.names.after", true],
  ["set", false, "table.sync.after", false],
  ["set", false, "table.link.before", false],
  ["set", false, "table.link.after", true],
  ["set", false, "table.names.before", true],
  ["create", false, "table.write.before", false],
  ["create", false, "table.link.before", false],
  ["create", false, "table.link.after", true],
  ["create", false, "table.names.before", true],
  ["create", false, "table.names.after", true],
  ["update", true, "table.rename.before", false],
  ["update", true, "table.rename.after", true],
  ["delete", true, "table.unlink.before", false],
  ["delete", true, "table.unlink.after", true],
  ["delete", true, "table.names.after", true],
];

async function valueOf(root: TableRoot): Promise<string | null> {
  try {
    return asText(await root.get("k"));
  } catch (error) {
    if (error instanceof KeyNotFoundError) return null;
    throw error;
  }
}

for (const [kind, exists, point, takesEffect] of points) {
  const state = exists ? "an existing" : "a new";
  Deno.test(`A kill -9 in ${kind} of ${state} key at ${point} leaves the old value or the new`, async () => {
    await withTemporaryDirectory(async (directory) => {
      const path = `${directory}/tables`;
      const root = openRoot(path, { sync: "always" });
      await root.set("other", bytes("other"));
      if (exists) await root.set("k", bytes("old"));
      await using client = startClient(
        directory,
        oneCall(directory, { kind, key: "k", value: "new" }),
        `kill@${point}`,
      );
      assertEquals((await client.ended()).signal, "SIGKILL");

      const before = exists ? "old" : null;
      const after = kind === "delete" ? null : "new";
      const expected = takesEffect ? after : before;
      assertEquals(await valueOf(root), expected);
      assertEquals([...root.keys()].sort(), expected === null ? ["other"] : ["k", "other"]);
      const orphans = listTree(`${path}/.countd-temporary`).length;
      assertEquals(
        orphans,
        takesEffect && point !== "table.link.after" || kind === "delete" ? 0 : 1,
      );
      assertEquals(checkTables(systemStorage(), path), []);

      // The next writer sweeps what the dead one left; the lock of the dead one is free.
      const next = openRoot(path, { lockTimeoutMs: 1000 });
      await next.set("other", bytes("other"));
      assertEquals(listTree(`${path}/.countd-temporary`), []);
      if (expected === null) await next.create("k", bytes("again"));
      else await next.update("k", bytes("again"));
      assertEquals(await valueOf(next), "again");
      assertEquals(listValues(path), ["k.kv", "other.kv"]);
      assertEquals(Deno.statSync(`${path}/k.kv`).nlink, 1);
      assertEquals(checkTables(systemStorage(), path), []);
    });
  });
}

Deno.test("A sweep leaves the files of living writers alone", async () => {
  await withTemporaryDirectory(async (directory) => {
    const path = `${directory}/tables`;
    await openRoot(path).set("other", bytes("other"));
    const create = oneCall(directory, { kind: "create", key: "k", value: "alive" });
    await using client = startClient(directory, create, "stop@table.link.before");
    await untilStopped(client);
    Deno.writeTextFileSync(`${path}/.countd-temporary/0123456789abcdef`, "left by the dead");
    await openRoot(path).set("other", bytes("swept"));
    const left = listTree(`${path}/.countd-temporary`);
    assertEquals(left.length, 1);
    assert(left[0] !== "0123456789abcdef");
    client.signal("SIGCONT");
    assertEquals((await client.ended()).code, 0);
    assertEquals(asText(await openRoot(path).get("k")), "alive");
    assertEquals(listTree(`${path}/.countd-temporary`), []);
    assertEquals(checkTables(systemStorage(), path), []);
  });
});

Deno.test("A full disk or a failed sync is an error, and no half value appears", async () => {
  // Syncs: the parent of the root, the value, the names.
  const faults = [["ENOSPC@write#1", "old"], ["EIO@sync#2", "old"], ["EIO@sync#3", "new"]];
  for (const [fault, value] of faults as [string, string][]) {
    await withTemporaryDirectory(async (directory) => {
      const path = `${directory}/tables`;
      await openRoot(path).set("k", bytes("old"));
      await using client = startClient(
        directory,
        oneCall(directory, { kind: "set", key: "k", value: "new" }),
        fault,
      );
      const { code, stderr } = await client.ended();
      assertEquals(code, 1);
      assert(stderr.includes(fault.slice(0, fault.indexOf("@"))), stderr);
      assertEquals(await valueOf(openRoot(path)), value, fault);
      assertEquals(listTree(`${path}/.countd-temporary`), []);
      assertEquals(checkTables(systemStorage(), path), []);
    });
  }
});
