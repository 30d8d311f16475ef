/** Where backup, restore and repair put what they make, and what they leave beside it: nothing. */

import { dirname } from "node:path/posix";
import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { FailedError, NotFoundError, UsageError } from "../../src/base/errors.ts";
import { backup, checkDirectory, repair, restore } from "../../src/admin/mod.ts";
import { DataDirectory } from "../../src/counters/commitlog/mod.ts";
import { OsError, type Storage, systemStorage } from "../../src/file/mod.ts";
import { capture } from "../cli/capture.ts";
import { withUnfolded } from "../cli/effect_support.ts";
import { CounterOracle } from "../crash/counter_oracle.ts";
import { DATA, someHolder, stillClock } from "../crash/counter_subject.ts";
import { fillDisk } from "../crash/damaged_ground.ts";
import { keyspaceTotals } from "../crash/keyspace_fold.ts";
import { foldOnce } from "../crash/worker_fold.ts";
import { checkData } from "../support/check_data.ts";
import { overridden } from "../support/overridden.ts";
import { type DiskEvent, SimulatedDisk } from "../support/simulated_disk.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";

const options = { self: someHolder, clock: stillClock };

/** Counters in keyspaces and in logs, and the oracle of both. */
async function ground(): Promise<{ disk: SimulatedDisk; oracle: CounterOracle }> {
  const disk = new SimulatedDisk();
  const oracle = new CounterOracle();
  await fillDisk(disk, oracle, 2);
  return { disk, oracle };
}

/** The counters of a backup at /copy after it is restored and folded. */
async function judgeCopy(disk: SimulatedDisk, oracle: CounterOracle): Promise<void> {
  const storage = disk.process("judge");
  restore(storage, "/copy", "/judged", options);
  using directory = DataDirectory.open(storage, "/judged", options);
  await foldOnce(directory);
  oracle.judge(keyspaceTotals(storage, "/judged"));
  assertEquals(checkDirectory(storage, "/judged", options).violations, []);
}

/** Runs `body` once, before the first operation that `when` accepts. */
function once(
  disk: SimulatedDisk,
  when: Partial<DiskEvent>,
  body: (event: DiskEvent) => void,
): void {
  disk.observer = (event) => {
    const isIt = Object.entries({ when: "before", ...when })
      .every(([name, value]) => event[name as keyof DiskEvent] === value);
    if (!isIt) return;
    disk.observer = null;
    body(event);
  };
}

function namesBeside(disk: SimulatedDisk): string[] {
  return disk.process("look").readDirectory("/").sort();
}

// Story: `countd backup /backups/monday/` wrote into `/backups/monday/.partial`, inside of its target.
// Everything was copied, and then no rename could put a directory in place of the one that holds it.
Deno.test("Backup, restore and repair accept a directory with slashes at the end of its name", async () => {
  await withUnfolded(async (data) => {
    const made = await capture(["backup", `${data}-copy/`, "--data", `${data}/`]);
    assertEquals(made.code, 0, made.stderr);
    const restored = await capture(["restore", `${data}-copy/`, "--data", `${data}-second//`]);
    assertEquals(restored.code, 0, restored.stderr);
    const repaired = await capture(["repair", "--data", `${data}/`, "--out", `${data}-third/`]);
    assertEquals(repaired.code, 0, repaired.stderr);
    const beside = await capture(["repair", "--data", `${data}/`]);
    assertEquals(beside.code, 0, beside.stderr);
    const names = [...Deno.readDirSync(`${data}/..`)].map(({ name }) => name).sort();
    assertEquals(names, ["data", "data-copy", "data-second", "data-third", "data.repaired"]);
    for (const each of ["-second", "-third", ".repaired"]) {
      const counted = await capture(["get", "pages", "a", "--data", `${data}${each}`]);
      assertEquals(counted.stdout, "30\n", counted.stderr);
      checkData(`${data}${each}`);
    }
  });
});

// Story: `countd repair` ran out of space in the middle of its copy and left the copy. Then the disk was full
// for the daemons too, and a second try had no more space than the first.
Deno.test("A repaired copy that does not fit on the disk leaves nothing and frees its space", async () => {
  // From no space at all to almost enough.
  for (const kilobytes of [320, 324, 400, 480, 580]) {
    const disk = new SimulatedDisk({ sizeBytes: kilobytes * 1024 });
    await fillDisk(disk, new CounterOracle(), 2);
    const storage = disk.process("repair");
    const { freeBytes } = storage.space("/");
    const toCopy = { self: someHolder, out: "/repaired" };
    assertEquals(assertThrows(() => repair(storage, DATA, toCopy), OsError).code, "ENOSPC");
    assertEquals(storage.readDirectory("/"), ["data"], `${kilobytes} KiB`);
    assertEquals(storage.space("/").freeBytes, freeBytes);
    assertEquals(checkDirectory(storage, DATA, toCopy).violations, []);
  }
});

// Story: both called their copy DIR.partial. The second one removed what the first had copied and began again
// under the same name. The first one went on by name, listed and verified what little was there, and renamed
// it: exit 0 with a backup of nothing.
Deno.test("Of two backups into one directory one is made, whole, and the other fails", async () => {
  const { disk, oracle } = await ground();
  let second: Promise<unknown> = Promise.resolve();
  const clock = {
    ...stillClock,
    // The first one has copied everything and is about to list it.
    wallMs() {
      second = assertRejects(() => backup(disk.process("second"), DATA, "/copy", options));
      return 0;
    },
  };
  const made = await backup(disk.process("first"), DATA, "/copy", { self: someHolder, clock });
  assertEquals(made.keyspaces, 2);
  await judgeCopy(disk, oracle);
  const refused = await second;
  assert(refused instanceof FailedError, String(refused));
  assertStringIncludes(refused.message, "/copy: another process has put something there");
  assertEquals(namesBeside(disk), ["copy", "data", "judged"]);
});

// Story: DIR.partial was removed with all that was in it, also if another program had made it.
Deno.test("Other files beside a backup stay, also under a name like those that countd uses", async () => {
  const { disk } = await ground();
  const storage = disk.process("user");
  const places = ["/copy.partial", "/copy.partial-0123456789abcdef", "/copies.partial-0"];
  for (const place of places) {
    storage.makeDirectory(place, 0o700);
    storage.open(`${place}/thesis`, { access: "write", create: "exclusive" }).close();
  }
  const file = "/copy.partial-fedcba9876543210";
  storage.open(file, { access: "write", create: "exclusive" }).close();
  await backup(storage, DATA, "/copy", options);
  for (const place of places) assertEquals(storage.readDirectory(place), ["thesis"]);
  assertEquals(storage.status(file).kind, "file");
});

Deno.test("What a killed backup left is removed by the next one into that directory, and by no other", async () => {
  const { disk, oracle } = await ground();
  const killed = disk.process("killed");
  once(disk, { point: "backup.rename.before" }, () => killed.kill());
  await assertRejects(() => backup(killed, DATA, "/copy", options), Error, "was killed");
  const left = namesBeside(disk).filter((name) => /^copy\.partial-[0-9a-f]{16}$/.test(name));
  assertEquals(namesBeside(disk), [...left, "data"]);
  assertEquals(left.length, 1);
  await backup(disk.process("other"), DATA, "/copy2", options);
  assertEquals(namesBeside(disk), [...left, "copy2", "data"]);
  await backup(disk.process("next"), DATA, "/copy", options);
  assertEquals(namesBeside(disk), ["copy", "copy2", "data"]);
  await judgeCopy(disk, oracle);
});

Deno.test("If the place of a backup is removed just before it is locked, the backup uses another", async () => {
  const marker = /^\/copy\.partial-[0-9a-f]{16}\/countd-partial$/;
  for (const kind of ["create", "lock"]) {
    const { disk, oracle } = await ground();
    const sweeper = disk.process("sweeper");
    let sweeping: Promise<unknown> | null = null;
    disk.observer = (event) => {
      if (event.kind !== kind || event.when !== "before" || !marker.test(event.path)) return;
      disk.observer = null;
      // Removes the place, and then finds nothing to back up.
      sweeping = assertRejects(() => backup(sweeper, "/none", "/copy", options), NotFoundError);
      assertEquals(sweeper.statusOrNull(event.path), null, "the place was swept");
    };
    await backup(disk.process("backup"), DATA, "/copy", options);
    assert(sweeping !== null, `before the ${kind}`);
    await sweeping;
    assertEquals(namesBeside(disk), ["copy", "data"]);
    await judgeCopy(disk, oracle);
  }
});

// Story: the place of a backup was removed after its `mkdir` and before its mode was checked: ENOENT, exit 1.
Deno.test("If the place of a backup is removed while it is made, the backup uses another", async () => {
  const { disk, oracle } = await ground();
  const inner = disk.process("backup");
  let swept = 0;
  const storage = overridden<Storage>(inner, {
    makeDirectory(path, mode) {
      inner.makeDirectory(path, mode);
      if (swept > 2 || !/\.partial-[0-9a-f]{16}$/.test(path)) return;
      inner.removeDirectory(path);
      swept++;
      throw new OsError("stat", path, "ENOENT");
    },
  });
  await backup(storage, DATA, "/copy", options);
  assertEquals(swept, 3);
  assertEquals(namesBeside(disk), ["copy", "data"]);
  await judgeCopy(disk, oracle);
});

// One process removes the marker and then the place; in between another takes the place for a new one.
Deno.test("A backup goes on if another process removes what it is about to remove", async () => {
  const { disk, oracle } = await ground();
  const killed = disk.process("killed");
  once(disk, { point: "backup.rename.before" }, () => killed.kill());
  await assertRejects(() => backup(killed, DATA, "/copy", options), Error, "was killed");
  const inner = disk.process("backup");
  let swept = 0;
  const storage = overridden<Storage>(inner, {
    unlink(path) {
      inner.unlink(path);
      if (swept > 0 || !path.endsWith("/countd-partial")) return;
      inner.removeDirectory(dirname(path));
      swept++;
    },
  });
  await backup(storage, DATA, "/copy", options);
  assertEquals(swept, 1);
  assertEquals(namesBeside(disk), ["copy", "data"]);
  await judgeCopy(disk, oracle);
});

// Story: in a directory that a group shares, a killed backup of one user stopped every later one of that name
// by another user. Its place has mode 0700, no other user may read it, and EACCES was an error there.
Deno.test("A backup ignores what a killed backup of another user left", async () => {
  const { disk, oracle } = await ground();
  const killed = disk.process("killed");
  once(disk, { point: "backup.rename.before" }, () => killed.kill());
  await assertRejects(() => backup(killed, DATA, "/copy", options), Error, "was killed");
  const [foreign = ""] = namesBeside(disk).filter((name) => name.startsWith("copy.partial-"));
  const inner = disk.process("backup");
  const refuse = (path: string) => {
    if (path.startsWith(`/${foreign}/`)) throw new OsError("stat", path, "EACCES");
  };
  const storage = overridden<Storage>(inner, {
    status: (path) => (refuse(path), inner.status(path)),
    statusOrNull: (path) => (refuse(path), inner.statusOrNull(path)),
    open: (path, how) => (refuse(path), inner.open(path, how)),
  });
  await backup(storage, DATA, "/copy", options);
  assertEquals(namesBeside(disk), ["copy", foreign, "data"]);
  await judgeCopy(disk, oracle);
});

Deno.test("A backup, a restore or a repair does not replace what got the name in between", async () => {
  const { disk } = await ground();
  const user = disk.process("user");
  const storage = disk.process("admin");
  await backup(storage, DATA, "/good", options);
  const calls: Record<string, () => unknown> = {
    "/copy": () => backup(storage, DATA, "/copy", options),
    "/second": () => restore(storage, "/good", "/second", options),
    "/third": () => repair(storage, DATA, { self: someHolder, out: "/third" }),
  };
  for (const [target, call] of Object.entries(calls)) {
    once(disk, { kind: "rename", path: target }, () => {
      user.makeDirectory(target, 0o700);
      user.makeDirectory(`${target}/mine`, 0o700);
    });
    await assertRejects(async () => await call(), FailedError, "give another name");
    assertEquals(user.readDirectory(target), ["mine"]);
  }
  assertEquals(namesBeside(disk), ["copy", "data", "good", "second", "third"]);
});

Deno.test("A backup that lost its place reports it, and publishes nothing that it has not made", async () => {
  const { disk } = await ground();
  const user = disk.process("user");
  once(disk, { point: "backup.rename.before" }, () => {
    const [place = ""] = user.readDirectory("/").filter((name) => name.startsWith("copy."));
    user.rename(`/${place}`, "/moved");
    user.makeDirectory(`/${place}`, 0o700);
    user.makeDirectory(`/${place}/copy`, 0o700);
  });
  const lost = () => backup(disk.process("backup"), DATA, "/copy", options);
  await assertRejects(lost, FailedError, "was removed or moved while /copy was made in it");
  assertEquals(user.statusOrNull("/copy"), null);
});

// Story: a link inside of DIR.partial was taken for the directory that it led to, which was emptied.
Deno.test("Nothing is ever removed through a link", async () => {
  await withTemporaryDirectory(async (directory) => {
    const [copy, home] = [`${directory}/copy`, `${directory}/home`];
    await capture(["kv", "set", "k", "v", "--data", `${directory}/data`]);
    Deno.mkdirSync(home);
    Deno.writeTextFileSync(`${home}/thesis`, "x");
    // The place of a killed backup, with links in it; and a link with the name of such a place.
    const rest = `${copy}.partial-0123456789abcdef`;
    Deno.mkdirSync(`${rest}/copy/tables`, { recursive: true });
    Deno.writeTextFileSync(`${rest}/countd-partial`, "");
    Deno.symlinkSync(home, `${rest}/copy/tables/home`);
    Deno.symlinkSync("nowhere", `${rest}/copy/dangling`);
    Deno.symlinkSync(home, `${copy}.partial-1111111111111111`);
    Deno.symlinkSync(home, `${copy}.partial`);
    const made = await capture(["backup", copy, "--data", `${directory}/data`]);
    assertEquals(made.code, 0, made.stderr);
    assertEquals([...Deno.readDirSync(home)].map(({ name }) => name), ["thesis"]);
    const names = [...Deno.readDirSync(directory)].map(({ name }) => name).sort();
    const links = ["copy.partial", "copy.partial-1111111111111111"];
    assertEquals(names, ["copy", ...links, "data", "home"]);
  });
});

Deno.test("A directory without a name of its own is refused before anything is copied", async () => {
  await withTemporaryDirectory((directory) => {
    Deno.mkdirSync(`${directory}/data`);
    Deno.mkdirSync(`${directory}/data/tables`);
    Deno.mkdirSync(`${directory}/empty`);
    const toCopy = { self: someHolder, out: `${directory}/empty/.` };
    const error = assertThrows(
      () => repair(systemStorage(), `${directory}/data`, toCopy),
      UsageError,
    );
    assertStringIncludes(error.message, "give the directory a name of its own");
    assertEquals([...Deno.readDirSync(directory)].length, 2);
  });
});
