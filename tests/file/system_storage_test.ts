/** The storage seam over the real system: what the interface promises beyond single calls. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  FaultPlan,
  makeDirectories,
  OsError,
  publishFile,
  publishNewFile,
  systemStorage,
  trimSlashes,
} from "../../src/file/mod.ts";
import { UsageError } from "../../src/base/errors.ts";
import { runProgram } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";

const storage = systemStorage();

function codeOf(call: () => unknown): string {
  return assertThrows(call, OsError).code;
}

Deno.test("Reads and writes are complete, whatever their size", async () => {
  await withTemporaryDirectory((directory) => {
    using file = storage.open(`${directory}/file`, { access: "write", create: "exclusive" });
    const bytes = crypto.getRandomValues(new Uint8Array(60_000));
    file.write(bytes, 5);
    const back = new Uint8Array(60_005);
    assertEquals(file.read(back, 0), 60_005);
    assertEquals(back.subarray(5), bytes);
    assertEquals(file.read(back, 60_000), 5);
    assertEquals(file.read(back, 70_000), 0);
    assertEquals(file.read(new Uint8Array(0), 0), 0);
  });
});

Deno.test("A path loses the slashes at its end, and the root stays", () => {
  const trimmed = ["a/", "/a/b//", "a/b", "/", "///", "", "./"].map(trimSlashes);
  assertEquals(trimmed, ["a", "/a/b", "a/b", "/", "/", "", "."]);
});

Deno.test("Modes are exact whatever the umask is", async () => {
  const umask = Deno.umask(0o077);
  try {
    await withTemporaryDirectory((directory) => {
      storage.makeDirectory(`${directory}/d`, 0o755);
      storage.open(`${directory}/f`, { access: "write", create: "missing", mode: 0o664 }).close();
      assertEquals(storage.status(`${directory}/d`).mode, 0o755);
      assertEquals(storage.status(`${directory}/f`).mode, 0o664);
      const again = { access: "write", create: "missing", mode: 0o600 } as const;
      storage.open(`${directory}/f`, again).close();
      assertEquals(storage.status(`${directory}/f`).mode, 0o664, "an existing file keeps its mode");
    });
  } finally {
    Deno.umask(umask);
  }
});

Deno.test("A closed file refuses every call, and closing again is harmless", async () => {
  await withTemporaryDirectory(async (directory) => {
    const file = storage.open(`${directory}/file`, { access: "write", create: "missing" });
    file.write(new Uint8Array(4096), 0);
    const mapping = file.map(4096, "read");
    const synced = file.syncDataAsync(); // keeps the descriptor until it ends
    file.close();
    file.close();
    await synced;
    assertEquals(codeOf(() => file.read(new Uint8Array(1), 0)), "EBADF");
    assertEquals((await assertRejects(() => file.syncDataAsync(), OsError)).code, "EBADF");
    assertEquals(mapping.bytes.length, 4096, "a mapping outlives its descriptor");
    mapping.release();
    assertThrows(() => mapping.bytes, OsError);
  });
});

Deno.test("Exclusive creation refuses a name that is taken, also by a dangling link", async () => {
  await withTemporaryDirectory((directory) => {
    const path = `${directory}/file`;
    const exclusive = { access: "write", create: "exclusive" } as const;
    storage.open(path, exclusive).close();
    assertEquals(codeOf(() => storage.open(path, exclusive)), "EEXIST");
    Deno.symlinkSync(`${directory}/nothing`, `${directory}/dangling`);
    const missing = { access: "write", create: "missing" } as const;
    assertEquals(codeOf(() => storage.open(`${directory}/dangling`, missing)), "ENOENT");
    assertEquals(storage.statusOrNull(`${directory}/nothing`), null);
    assertEquals(storage.statusOrNull(`${path}/below`), null);
  });
});

Deno.test("Directories list only names that can be used, and tell the kind of each", async () => {
  await withTemporaryDirectory((directory) => {
    makeDirectories(storage, `${directory}/a/b/c`, 0o700);
    makeDirectories(storage, `${directory}/a/b/c`, 0o700);
    storage.open(`${directory}/a/ü \n`, { access: "write", create: "missing" }).close();
    assertEquals(storage.readDirectory(`${directory}/a`).sort(), ["b", "ü \n"]);
    assertEquals(storage.status(`${directory}/a`).kind, "directory");
    assertEquals(codeOf(() => storage.readDirectory(`${directory}/none`)), "ENOENT");
    assertEquals(codeOf(() => storage.removeDirectory(`${directory}/a`)), "ENOTEMPTY");
    assertEquals(codeOf(() => storage.makeDirectory(`${directory}/a`, 0o700)), "EEXIST");
  });
});

Deno.test("A large directory is walked in batches, and a walk that is left early leaks nothing", async () => {
  await withTemporaryDirectory((directory) => {
    const long = "n".repeat(100);
    for (let index = 0; index < 3000; index++) {
      storage.open(`${directory}/${long}${index}`, { access: "write", create: "missing" }).close();
    }
    const names = storage.readDirectory(directory);
    assertEquals(names.length, 3000);
    assertEquals(new Set(names).size, 3000);
    assert(names.every((name) => name.startsWith(long)));
    const descriptors = () => [...Deno.readDirSync("/proc/self/fd")].length;
    const before = descriptors();
    for (let walk = 0; walk < 20; walk++) {
      for (const name of storage.walkDirectory(directory)) {
        assert(name.startsWith(long));
        break;
      }
    }
    assertEquals(descriptors(), before);
    assertEquals(codeOf(() => storage.readDirectory(`${directory}/${long}0`)), "ENOTDIR");
  });
});

Deno.test("Names that are not UTF-8 are listed, and lead to their files", async () => {
  await withTemporaryDirectory((directory) => {
    // The API of the runtime cannot name such files.
    const names = ["good", "bad\\377", "\\303\\050\\344\\270\\255\\200.kv", "\\357\\277\\275"];
    const script = names.map((name) => `printf '${name}' > "$(printf '${name}')"`).join("\n");
    const output = new Deno.Command("sh", { args: ["-ec", script], cwd: directory }).outputSync();
    assert(output.success);
    const listed = ["bad\udcff", "good", "\udcc3(\u4e2d\udc80.kv", "\ufffd"].sort();
    assertEquals(storage.readDirectory(directory).sort(), listed);
    for (const [index, name] of listed.entries()) {
      assertEquals(storage.status(`${directory}/${name}`).kind, "file");
      storage.rename(`${directory}/${name}`, `${directory}/${index}`);
    }
    assertEquals(Deno.readFileSync(`${directory}/0`), new Uint8Array([0x62, 0x61, 0x64, 0xff]));
    assertEquals(storage.readDirectory(directory).sort(), ["0", "1", "2", "3"]);
    assertEquals(codeOf(() => storage.status(`${directory}/\udc41`)), "EINVAL");
  });
});

Deno.test("Publishing replaces a name in one step; publishing anew refuses a name that is taken", async () => {
  await withTemporaryDirectory((directory) => {
    const path = `${directory}/file`;
    const temporaryPath = `${directory}/temporary`;
    const make = (text: string) => {
      const file = storage.open(temporaryPath, { access: "write", create: "exclusive" });
      file.write(new TextEncoder().encode(text), 0);
      return file;
    };
    using first = make("one");
    publishNewFile(storage, first, { temporaryPath, path });
    using second = make("two");
    publishFile(storage, second, { temporaryPath, path });
    assertEquals(Deno.readTextFileSync(path), "two");
    using third = make("three");
    assertEquals(
      codeOf(() => publishNewFile(storage, third, { temporaryPath, path })),
      "EEXIST",
    );
    assertEquals(Deno.readTextFileSync(path), "two");
    assertEquals(storage.readDirectory(directory).sort(), ["file", "temporary"]);
  });
});

Deno.test("Fault orders of a test are parsed exactly, and wrong ones are refused", () => {
  assertEquals(FaultPlan.parse(undefined), null);
  assertEquals(FaultPlan.parse(""), null);
  for (const text of ["kill", "kill@", "EIO@nowhere", "kill@a#0", "hit@a", "EIO@sync,,"]) {
    assertThrows(() => FaultPlan.parse(text), UsageError, "COUNTD_FAULT");
  }
  const plan = FaultPlan.parse("EIO@sync#2,EDQUOT@sync#3,ENOSPC@allocate");
  assert(plan !== null);
  plan.fail("sync", "f");
  assertEquals(codeOf(() => plan.fail("sync", "f")), "EIO");
  assertEquals(codeOf(() => plan.fail("sync", "f")), "EDQUOT");
  plan.fail("sync", "f");
  assertEquals(codeOf(() => plan.fail("allocate", "f")), "ENOSPC");
});

Deno.test("An ordered failure of open also applies to directories, to list and to sync them", async () => {
  await withTemporaryDirectory((directory) => {
    const fault = FaultPlan.parse("EMFILE@open#1,EMFILE@open#2,EMFILE@open#3");
    const storage = systemStorage({ fault });
    assertEquals(codeOf(() => storage.readDirectory(directory)), "EMFILE");
    assertEquals(codeOf(() => storage.syncDirectory(directory)), "EMFILE");
    assertEquals(codeOf(() => storage.openFileSystem(directory)), "EMFILE");
    assertEquals(storage.readDirectory(directory), []);
  });
});

Deno.test("A process that is ordered to die at a point dies there, and not before", async () => {
  const module = new URL("../../src/file/mod.ts", import.meta.url).href;
  const script = `const { FaultPlan, systemStorage } = await import(${JSON.stringify(module)});
    const storage = systemStorage({ fault: FaultPlan.parse("kill@there#2") });
    storage.reach("there"); storage.reach("elsewhere"); console.log("alive");
    storage.reach("there"); console.log("not reached");`;
  const { signal, text } = await runProgram([Deno.execPath(), "eval", script]);
  assertEquals([signal, text], ["SIGKILL", "alive\n"]);
});
