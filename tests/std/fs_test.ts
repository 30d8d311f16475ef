import { assert, assertEquals, assertThrows } from "@std/assert";
import { ensureDirSync } from "@std/fs/ensure-dir";
import { existsSync } from "@std/fs/exists";
import { walkSync } from "@std/fs/walk";
import { withTemporaryDirectory } from "../support/temporary.ts";

Deno.test("A directory is made with its parents, and may already exist", async () => {
  await withTemporaryDirectory((directory) => {
    ensureDirSync(`${directory}/a/b`);
    ensureDirSync(`${directory}/a/b`);
    assert(Deno.statSync(`${directory}/a/b`).isDirectory);
    Deno.writeTextFileSync(`${directory}/file`, "");
    assertThrows(() => ensureDirSync(`${directory}/file`));
  });
});

Deno.test("A file and a directory exist, and a link to nothing does not", async () => {
  await withTemporaryDirectory((directory) => {
    Deno.writeTextFileSync(`${directory}/file`, "");
    Deno.symlinkSync("nowhere", `${directory}/link`);
    assert(existsSync(`${directory}/file`));
    assert(existsSync(directory));
    assert(!existsSync(`${directory}/link`));
    assert(!existsSync(`${directory}/none`));
  });
});

Deno.test("A walk yields the root and everything below it that the options allow", async () => {
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
    assertEquals(walk({ exts: ["txt"] }), ["/b.txt"]);
    assertEquals(walk({ includeDirs: false, match: [/deep/] }), [
      "/deep/c.ts",
      "/deep/deeper/d.ts",
    ]);
  });
});
