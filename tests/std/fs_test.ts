import { assert, assertEquals, assertThrows } from "@std/assert";
import { ensureDirSync, existsSync, walkSync } from "@std/fs";
import { withTemporaryDirectory } from "../support/temporary.ts";

Deno.test("A directory is made with its parents, and may be there already", async () => {
  await withTemporaryDirectory((directory) => {
    ensureDirSync(`${directory}/a/b`);
    ensureDirSync(`${directory}/a/b`);
    assert(Deno.statSync(`${directory}/a/b`).isDirectory);
    Deno.writeTextFileSync(`${directory}/file`, "");
    assertThrows(() => ensureDirSync(`${directory}/file`));
  });
});

Deno.test("What is there exists, as the kind that is asked for", async () => {
  await withTemporaryDirectory((directory) => {
    Deno.writeTextFileSync(`${directory}/file`, "");
    Deno.symlinkSync("nowhere", `${directory}/link`);
    assert(existsSync(`${directory}/file`));
    assert(existsSync(`${directory}/file`, { isFile: true }));
    assert(!existsSync(`${directory}/file`, { isDirectory: true }));
    assert(existsSync(directory, { isDirectory: true }));
    assert(!existsSync(`${directory}/link`));
    assert(!existsSync(`${directory}/none`));
    assertThrows(() => existsSync(directory, { isFile: true, isDirectory: true }), TypeError);
  });
});

Deno.test("A walk gives the root and everything below it that is wanted", async () => {
  await withTemporaryDirectory((directory) => {
    for (const path of ["a.ts", "b.txt", "deep/c.ts", "deep/deeper/d.ts", "left_out/e.ts"]) {
      ensureDirSync(`${directory}/${path}`.replace(/\/[^/]+$/, ""));
      Deno.writeTextFileSync(`${directory}/${path}`, "");
    }
    const walk = (options?: Parameters<typeof walkSync>[1]) =>
      [...walkSync(`${directory}/.`, options)].map(({ path }) => path.slice(directory.length))
        .sort();
    assertEquals(walk(), [
      "",
      "/a.ts",
      "/b.txt",
      "/deep",
      "/deep/c.ts",
      "/deep/deeper",
      "/deep/deeper/d.ts",
      "/left_out",
      "/left_out/e.ts",
    ]);
    assertEquals(walk({ exts: ["ts"], skip: [/left_out/] }), [
      "/a.ts",
      "/deep/c.ts",
      "/deep/deeper/d.ts",
    ]);
    assertEquals(walk({ maxDepth: 1, includeDirs: false }), ["/a.ts", "/b.txt"]);
    assertEquals(walk({ includeFiles: false, match: [/deeper/] }), ["/deep/deeper"]);
    assertEquals(walk({ maxDepth: 0 }), [""]);
  });
});
