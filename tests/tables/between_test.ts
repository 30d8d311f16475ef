/** What other processes may do between the opening of a value and its lock. */

import { assertEquals, assertRejects } from "@std/assert";
import { type Storage, type StoredFile, systemStorage } from "../../src/file/mod.ts";
import { checkTables, KeyNotFoundError, TableRoot } from "../../src/tables/mod.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { asText, bytes, listTree, listValues, LOCK_TIMEOUT_MS } from "./support.ts";

/** The system's storage, but `act` is called once, just before the first lock on `path`. */
function actingBeforeLock(path: string, act: () => void): Storage {
  const system = systemStorage();
  let acted = false;
  const wrapFile = (file: StoredFile): StoredFile => {
    const tryFlock: StoredFile["tryFlock"] = (kind) => {
      if (!acted) {
        acted = true;
        act();
      }
      return file.tryFlock(kind);
    };
    return withMethod(file, "tryFlock", tryFlock);
  };
  return withMethod(system, "open", (opened, options) => {
    const file = system.open(opened, options);
    return opened === path ? wrapFile(file) : file;
  });
}

/** The object with one method replaced; the other methods still reach its private fields. */
function withMethod<T extends object, Name extends keyof T>(
  object: T,
  name: Name,
  method: T[Name],
): T {
  return new Proxy(object, {
    get(target, property) {
      if (property === name) return method;
      const value = Reflect.get(target, property, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

interface Moment {
  readonly root: TableRoot;
  readonly path: string;
}

/** Key k holds "old"; `act` gets the path of its file, and the directory. */
async function between(
  act: (value: string, directory: string) => void,
  body: (moment: Moment) => Promise<void>,
): Promise<void> {
  await withTemporaryDirectory(async (directory) => {
    const path = `${directory}/tables`;
    const value = `${path}/k.kv`;
    Deno.mkdirSync(path, { mode: 0o700 });
    Deno.writeTextFileSync(value, "old", { mode: 0o600 });
    const storage = actingBeforeLock(value, () => act(value, path));
    await body({
      root: new TableRoot(storage, path, { lockTimeoutMs: LOCK_TIMEOUT_MS, sync: "os" }),
      path,
    });
    assertEquals(checkTables(systemStorage(), path), []);
    assertEquals(listTree(path).filter((name) => /[0-9a-f]{16}$/.test(name)), []);
  });
}

/** Make a new key as flockd does: an empty file, then the value over it. */
function finishPlaceholder(value: string, directory: string): void {
  Deno.writeTextFileSync(`${directory}/k.kv1234567890`, "new");
  Deno.renameSync(`${directory}/k.kv1234567890`, value);
}

Deno.test("Get does not take the empty file that flockd locks for a value", async () => {
  await between(finishPlaceholder, async ({ root, path }) => {
    Deno.writeTextFileSync(`${path}/k.kv`, "");
    assertEquals(asText(await root.get("k")), "new");
  });
});

Deno.test("Get of a key that is deleted between opening and lock finds nothing", async () => {
  await between((value) => Deno.removeSync(value), async ({ root }) => {
    await assertRejects(() => root.get("k"), KeyNotFoundError);
  });
});

Deno.test("Update of a key that is deleted between opening and lock finds nothing", async () => {
  await between((value) => Deno.removeSync(value), async ({ root, path }) => {
    await assertRejects(() => root.update("k", bytes("new")), KeyNotFoundError);
    assertEquals(listValues(path), []);
  });
});

Deno.test("Set makes a key anew that is deleted between opening and lock", async () => {
  await between((value) => Deno.removeSync(value), async ({ root }) => {
    await root.set("k", bytes("new"));
    assertEquals(asText(await root.get("k")), "new");
  });
});

Deno.test("Delete removes the value that came between opening and lock", async () => {
  await between(finishPlaceholder, async ({ root, path }) => {
    await root.delete("k");
    assertEquals(listValues(path), []);
  });
});

Deno.test("Update and set replace the value that came between opening and lock", async () => {
  for (const call of ["update", "set"] as const) {
    await between((value, directory) => {
      // Its writer holds the lock of the new file, as this library does: the call has to wait for it.
      finishPlaceholder(value, directory);
      const file = Deno.openSync(value);
      file.lockSync(true);
      setTimeout(() => file.close(), 20);
    }, async ({ root }) => {
      await root[call]("k", bytes("newest"));
      assertEquals(asText(await root.get("k")), "newest");
    });
  }
});
