/** A data directory on a read-only file system: what only reads works, and what writes says why not. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { runningAsRoot } from "../support/ordinary_user.ts";
import { runCountd, runProgram } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { makeWholeData, readWholeData, stateBelow } from "./whole_data.ts";

async function mount(...args: string[]): Promise<void> {
  const { code, stderr } = await runProgram(["mount", ...args]);
  assertEquals(code, 0, stderr);
}

// Story: all of these exited with 1 and EROFS, which is what a failing disk ends in.
Deno.test("Every verb that reads works on a read-only file system, with backup and repair into another", async () => {
  if (!runningAsRoot()) return console.log("left to root: a file system of its own");
  await withTemporaryDirectory(async (temporary) => {
    const place = `${temporary}/disk`;
    Deno.mkdirSync(place);
    await mount("-t", "tmpfs", "-o", "size=64m", "tmpfs", place);
    try {
      const data = `${place}/data`;
      await makeWholeData(data);
      const saved = await runCountd(["backup", `${place}/saved`, "--data", data]);
      assertEquals(saved.code, 0, saved.stderr);
      await mount("-o", "remount,ro", place);
      const before = stateBelow(place);
      await readWholeData(data, temporary);
      const copy = `${temporary}/copy`;
      for (
        const args of [
          ["backup", copy],
          ["repair", "--out", `${temporary}/repaired`],
          ["db", "repair", "--out", `${temporary}/repaired-db`],
          ["doctor"],
        ]
      ) {
        const { code, stderr } = await runCountd([...args, "--data", data]);
        assertEquals(code, args[0] === "doctor" ? 1 : 0, stderr);
      }
      const restore = ["restore", `${place}/saved`, "--data", `${temporary}/restored`];
      const restored = await runCountd(restore);
      assertEquals(restored.code, 0, restored.stderr);
      for (const made of ["copy", "repaired", "restored"]) {
        Deno.mkdirSync(`${temporary}/read-${made}`);
        await readWholeData(`${temporary}/${made}`, `${temporary}/read-${made}`);
      }
      for (
        const args of [["worker", "--once"], ["write", "--port=0"], ["kv", "set", "a", "b"], [
          "repair",
          "--in-place",
        ], ["db", "--port=0"]]
      ) {
        const { code, stderr } = await runCountd([...args, "--data", data]);
        assertEquals(code, 6, `${args}: ${stderr}`);
        assertStringIncludes(stderr, "read-only", args.join(" "));
      }
      assertEquals(stateBelow(place), before);
    } finally {
      await runProgram(["umount", "-l", place]);
    }
  });
});

Deno.test("An ordinary user is told why a sealed log cannot be read on a read-only file system", async () => {
  if (!runningAsRoot()) return console.log("left to root: a file system of its own");
  await withTemporaryDirectory(async (temporary) => {
    const place = `${temporary}/disk`;
    Deno.chmodSync(temporary, 0o755);
    Deno.mkdirSync(place);
    await mount("-t", "tmpfs", "-o", "size=64m,mode=0755", "tmpfs", place);
    try {
      const data = `${place}/data`;
      await makeWholeData(data);
      const owned = await runProgram(["chown", "-R", "65534:65534", place]);
      assertEquals(owned.code, 0, owned.stderr);
      await mount("-o", "remount,ro", place);
      const top = await runCountd(["top", "pages", "--data", data], { as: "ordinary" });
      assertEquals([top.code, top.text], [1, ""], top.stderr);
      assertStringIncludes(top.stderr, "its mode forbids it");
      const stale = await runCountd(["top", "pages", "--stale", "--data", data], {
        as: "ordinary",
      });
      assertEquals([stale.code, stale.text], [0, "5\t/about\n"], stale.stderr);
      assert(!stale.stderr.includes("EROFS"));
    } finally {
      await runProgram(["umount", "-l", place]);
    }
  });
});
