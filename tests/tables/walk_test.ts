/** Going through a table: keys, entries, forEach. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { type Storage, systemStorage } from "../../src/file/mod.ts";
import { checkTables, LockDeadlineError, type Table, TableRoot } from "../../src/tables/mod.ts";
import { overridden } from "../support/overridden.ts";
import { asText, bytes, listValues, LOCK_TIMEOUT_MS, openRoot, withRoot } from "./support.ts";
import { FullCount } from "../support/full_count.ts";

async function seen(table: Pick<Table, "forEach">): Promise<string[]> {
  const found: string[] = [];
  await table.forEach((key, value) => void found.push(`${key}=${asText(value)}`));
  return found.sort();
}

Deno.test("ForEach gives the entries only, each once", async () => {
  await withRoot(async (root, path) => {
    for (const key of ["a", "b", "c"]) await root.set(key, bytes(key.toUpperCase()));
    await root.table("sub").set("x", bytes("X"));
    for (const decoy of ["ignore", "x.png", "a.kv12345", ".countd-temporary/0123456789abcdef"]) {
      Deno.writeTextFileSync(`${path}/${decoy}`, "decoy");
    }
    Deno.writeTextFileSync(`${path}/${"k".repeat(250)}.kv`, "no call can reach it");
    assertEquals(await seen(root), ["a=A", "b=B", "c=C"]);
    const entries = await Array.fromAsync(root.entries());
    assertEquals(entries.map(({ key }) => key).sort(), ["a", "b", "c"]);
    Deno.removeSync(`${path}/${"k".repeat(250)}.kv`);
  });
});

Deno.test("An error of the callback ends forEach, and the callback is called no more", async () => {
  await withRoot(async (root) => {
    for (const key of ["a", "b", "c"]) await root.set(key, bytes(key));
    const mine = new Error("mine");
    let calls = 0;
    const error = await assertRejects(() =>
      root.forEach(() => {
        if (++calls === 2) throw mine;
      })
    );
    assertEquals(error, mine);
    assertEquals(calls, 2);
    calls = 0;
    await assertRejects(() => root.forEach(() => (calls++, Promise.reject(mine))));
    assertEquals(calls, 1);
  });
});

Deno.test("Keys that another process deletes before forEach reads them are left out", async () => {
  await withRoot(async (root, path) => {
    const keys = Array.from({ length: 50 }, (_, index) => `k${index}`);
    for (const key of keys) await root.set(key, bytes(key));
    const other = openRoot(path);
    const found: string[] = [];
    await root.forEach(async (key, value) => {
      assertEquals(asText(value), key);
      found.push(key);
      if (found.length > 1) return;
      for (const unseen of keys) if (unseen !== key) await other.delete(unseen);
    });
    assertEquals(found.length, 1);
    assertEquals(listValues(path), [`${found[0]}.kv`]);
  });
});

Deno.test("ForEach visits all keys while each is deleted in its turn", async () => {
  await withRoot(async (root, path) => {
    for (let index = 0; index < 50; index++) await root.set(`k${index}`, bytes("v"));
    let visited = 0;
    await root.forEach(async (key) => {
      visited++;
      await root.delete(key);
    });
    assertEquals(visited, 50);
    assertEquals(listValues(path), []);
  });
});

Deno.test("ForEach ends although its callback adds keys", async () => {
  await withRoot(async (root) => {
    for (let index = 0; index < 20; index++) await root.set(`k${index}`, bytes("v"));
    const visited = new Map<string, number>();
    await root.forEach(async (key) => {
      visited.set(key, (visited.get(key) ?? 0) + 1);
      assert(visited.size < 10_000, "forEach runs after its own additions");
      if (key.length < 200) await root.set(`new-${key}`, bytes("v"));
    });
    for (let index = 0; index < 20; index++) assertEquals(visited.get(`k${index}`), 1);
  });
});

// Story: the list of the names of such a table failed with ENOENT, which then ended the walk.
Deno.test("A table that another process removes while tables are listed or checked is passed over", async () => {
  await withRoot(async (root, path) => {
    const names = ["a", "gone", "z"];
    const system = systemStorage();
    for (const call of ["walkDirectory", "statusOrNull"] as const) {
      for (const name of names) await root.table(name).set("k", bytes("v"));
      const gone = `${path}/gone.tbl`;
      const remove = (looked: string) => {
        if (looked === gone && system.statusOrNull(gone)) {
          Deno.removeSync(gone, { recursive: true });
        }
      };
      const storage = overridden<Storage>(system, {
        walkDirectory(looked) {
          if (call === "walkDirectory") remove(looked);
          return system.walkDirectory(looked);
        },
        statusOrNull(looked) {
          if (call === "statusOrNull") remove(looked);
          return system.statusOrNull(looked);
        },
      });
      const options = { lockTimeoutMs: LOCK_TIMEOUT_MS };
      const listed = new TableRoot(storage, path, options).tables();
      assertEquals(listed.filter((name) => name !== "gone"), ["", "a", "z"]);
      await root.table("gone").set("k", bytes("v"));
      assertEquals(checkTables(storage, path), []);
      assertEquals(root.tables(), ["", "a", "z"]);
    }
  });
});

/** A quarter of the smallest table here: what the runtime gathers before it collects. */
const GROWTH_BYTES_MAX = 256 * 2 ** 20;
const manyKeys = new FullCount("keys of a table that is walked");

Deno.test("ForEach gives all large values in bounded memory and leaks nothing", async () => {
  await walkInBoundedMemory(1034, 1 << 20);
});

Deno.test("ForEach gives all of many keys in bounded memory and leaks nothing", async () => {
  for (const count of manyKeys.sizes(10_000, 100_000)) await walkInBoundedMemory(count, 100_000);
});

async function walkInBoundedMemory(count: number, valueBytes: number): Promise<void> {
  await withRoot(async (root, path) => {
    Deno.mkdirSync(path, { mode: 0o700 });
    for (let index = 0; index < count; index++) {
      // Holes only: a gigabyte and more of values that take no disk space.
      using file = Deno.openSync(`${path}/k${index}.kv`, {
        write: true,
        create: true,
        mode: 0o600,
      });
      file.truncateSync(valueBytes);
    }
    const descriptors = () => [...Deno.readDirSync("/proc/self/fd")].length;
    const before = descriptors();
    const memoryBefore = Deno.memoryUsage().rss;
    const found = new Uint8Array(count);
    let visits = 0;
    let memoryMax = 0;
    await root.forEach((key, { length }) => {
      assertEquals(length, valueBytes);
      found[Number(key.slice(1))] = 1;
      if (++visits % 100 === 0) memoryMax = Math.max(memoryMax, Deno.memoryUsage().rss);
      // The directory itself is open during the walk.
      if (visits % 1000 === 0) assertEquals(descriptors(), before + 1);
    });
    assertEquals(visits, count);
    assert(found.every((mark) => mark === 1));
    const grownBytes = memoryMax - memoryBefore;
    assert(grownBytes < GROWTH_BYTES_MAX, `memory grew by ${grownBytes} bytes`);
    for (let walk = 0; walk < 20; walk++) {
      for await (const { key } of root.entries()) {
        assert(key.startsWith("k"));
        break;
      }
      for (const key of root.keys()) {
        assert(key.startsWith("k"));
        break;
      }
    }
    assertEquals(descriptors(), before, "walks that are left early close the directory");
  });
}

Deno.test("ForEach waits for a locked key and then fails with the deadline", async () => {
  await withRoot(async (root, path) => {
    for (const key of ["a", "b", "c"]) await root.set(key, bytes(key));
    const hasty = openRoot(path, { lockTimeoutMs: 50 });
    using locked = Deno.openSync(`${path}/b.kv`);
    locked.lockSync(true);
    const error = await assertRejects(() => seen(hasty), LockDeadlineError);
    assertEquals(error.path, `${path}/b.kv`);
    locked.unlockSync();
    assertEquals(await seen(hasty), ["a=a", "b=b", "c=c"]);
  });
});
