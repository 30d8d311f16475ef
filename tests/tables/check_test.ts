import { assertEquals } from "@std/assert";
import { OsError, type Storage, systemStorage } from "../../src/file/mod.ts";
import { checkTables } from "../../src/tables/mod.ts";
import { overridden } from "../support/overridden.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { bytes, openRoot } from "./support.ts";

async function violations(breakIt: (path: string) => void): Promise<string[]> {
  return await withTemporaryDirectory(async (path) => {
    const root = openRoot(path);
    await root.set("k", bytes("v"));
    await root.table("t/u").set("k", bytes("v"));
    assertEquals(checkTables(systemStorage(), path), []);
    breakIt(path);
    return checkTables(systemStorage(), path)
      .map((violation) => {
        assertEquals(violation.offset, 0);
        return `${violation.invariant} ${violation.path.slice(path.length + 1)}`;
      }).sort();
  });
}

Deno.test("Check finds nothing in a directory that does not exist", async () => {
  await withTemporaryDirectory((path) => {
    assertEquals(checkTables(systemStorage(), `${path}/none`), []);
  });
});

Deno.test("Check names what has the name of a value, a table or the root and is not one (1)", async () => {
  assertEquals(
    await violations((path) => {
      Deno.mkdirSync(`${path}/d.kv`);
      Deno.mkdirSync(`${path}/t/u.tbl/e.kv`);
      Deno.writeTextFileSync(`${path}/f.tbl`, "");
    }),
    ["1 d.kv", "1 f.tbl", "1 t/u.tbl/e.kv"],
  );
  await withTemporaryDirectory((path) => {
    Deno.writeTextFileSync(`${path}/root`, "");
    assertEquals(checkTables(systemStorage(), `${path}/root`).map((found) => found.invariant), [1]);
  });
});

Deno.test("Check names values that no call can reach (2) or that their owner may not read (3)", async () => {
  const long = "k".repeat(243) + ".kv";
  assertEquals(await violations((path) => Deno.writeTextFileSync(`${path}/${long}`, "")), [
    `2 ${long}`,
  ]);
  assertEquals(await violations((path) => Deno.chmodSync(`${path}/k.kv`, 0o200)), ["3 k.kv"]);
});

Deno.test("Check names tables that no call can open (4)", async () => {
  assertEquals(
    await violations((path) => {
      Deno.mkdirSync(`${path}/.tbl`);
      Deno.mkdirSync(`${path}/plain/x.kv/lost.tbl`, { recursive: true });
      Deno.mkdirSync(`${path}/t/.tbl`);
    }),
    ["4 .tbl", "4 plain/x.kv/lost.tbl", "4 t/.tbl"],
  );
});

Deno.test("Check names other files among the temporary ones (5), and not what a crash left", async () => {
  assertEquals(
    await violations((path) => {
      Deno.writeTextFileSync(`${path}/.countd-temporary/0123456789abcdef`, "left by a crash");
      Deno.writeTextFileSync(`${path}/.countd-temporary/mine`, "");
      Deno.mkdirSync(`${path}/.countd-temporary/fedcba9876543210`);
    }),
    ["5 .countd-temporary/fedcba9876543210", "5 .countd-temporary/mine"],
  );
});

Deno.test("Check follows no link in circles", async () => {
  assertEquals(
    await violations((path) => {
      Deno.symlinkSync(path, `${path}/circle`);
      Deno.symlinkSync(".", `${path}/t/again`);
      Deno.symlinkSync("nowhere", `${path}/dangling.kv`);
    }),
    [],
  );
});

Deno.test("Check names a table that cannot be read (3), and goes on with the others", async () => {
  await withTemporaryDirectory(async (path) => {
    const root = openRoot(path);
    for (const name of ["a", "closed", "z"]) await root.table(name).set("k", bytes("v"));
    Deno.mkdirSync(`${path}/z.tbl/d.kv`);
    const storage = overridden<Storage>(systemStorage(), {
      walkDirectory(listed) {
        if (listed === `${path}/closed.tbl`) throw new OsError("open", listed, "EACCES");
        return systemStorage().walkDirectory(listed);
      },
    });
    const found = checkTables(storage, path).map((
      { invariant, path: where },
    ) => [invariant, where]);
    assertEquals(found.sort(), [[1, `${path}/z.tbl/d.kv`], [3, `${path}/closed.tbl`]]);
  });
});
