/**
 * The simulated disk against the real one: the same random calls must give the same answers. Then its power
 * cuts: what was synced stays, and any mixture of the rest may be lost.
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { OsError, type Storage, type StoredFile, systemStorage } from "../../src/file/mod.ts";
import { FullCount } from "./full_count.ts";
import { Random, seedForTest } from "./random.ts";
import {
  type Cut,
  cutKeepsData,
  cutKeepsEverything,
  cutKeepsNames,
  cutKeepsNothing,
  enumeratedCuts,
  randomCut,
} from "./simulated_cut.ts";
import { SimulatedCrash, SimulatedDisk } from "./simulated_disk.ts";
import { SECTOR_BYTES } from "./simulated_inode.ts";
import { PAGE_BYTES } from "./simulated_space.ts";
import { withTemporaryDirectory } from "./temporary.ts";

/** One disk under test: names below `root`, and what is open. */
class Subject {
  readonly files: StoredFile[] = [];

  constructor(readonly storage: Storage, readonly root: string) {}
}

const names = ["a", "b", "c", "d", "d/e", "d/f", "d/f/g", "b/x"];
const FILE_BYTES_MAX = 3 * PAGE_BYTES;

type Step = (subject: Subject) => unknown;

/** One random call, as a function that can be applied to both subjects. */
function randomStep(random: Random): Step {
  const path = (subject: Subject, name: string) => `${subject.root}/${name}`;
  const name = random.pick(names);
  const other = random.pick(names);
  const open = random.below(8);
  const offset = random.below(FILE_BYTES_MAX);
  const bytes = random.bytes(random.between(1, FILE_BYTES_MAX - offset));
  const mode = random.pick([0o600, 0o400, 0o200, 0o700]);
  const kind = random.pick(["shared", "exclusive"] as const);
  const start = random.below(6);
  const length = random.below(4);
  const file = (subject: Subject) => subject.files[open % Math.max(1, subject.files.length)];
  const options = {
    access: random.pick(["read", "write"] as const),
    create: random.pick(["never", "missing", "exclusive"] as const),
    mode,
  };
  const steps: Step[] = [
    (s) => void s.files.push(s.storage.open(path(s, name), options)),
    (s) => void s.files.push(s.storage.open(path(s, name), { access: "write", create: "missing" })),
    (s) => file(s)?.write(bytes, offset),
    (s) => file(s)?.write(bytes, offset),
    (s) => {
      const into = new Uint8Array(bytes.length);
      const done = file(s)?.read(into, offset);
      return done === undefined ? null : into.slice(0, done);
    },
    (s) => file(s)?.truncate(offset),
    (s) => file(s)?.allocate(offset, bytes.length),
    (s) => file(s)?.deallocate(0, PAGE_BYTES),
    (s) => {
      // A directory keeps its search bit: without it an ordinary user could not reach what is below it.
      const each = file(s);
      if (each?.status().kind === "file") each.chmod(mode);
    },
    (s) => file(s)?.syncData(),
    (s) => file(s)?.sync(),
    (s) => summary(file(s)?.status() ?? null),
    (s) => {
      const status = file(s)?.status();
      if (status?.kind !== "file" || status.size === 0) return;
      const size = status.size;
      const mapping = file(s)!.map(2 * FILE_BYTES_MAX, "write");
      const end = Math.min(size, offset + bytes.length);
      if (end > offset) mapping.bytes.set(bytes.subarray(0, end - offset), offset);
      const seen = mapping.bytes.slice(0, size);
      mapping.flush(0, size);
      mapping.release();
      return seen;
    },
    (s) => file(s)?.tryLockRange(start, length, kind),
    (s) => file(s)?.tryLockRange(start, length, kind),
    (s) => file(s)?.unlockRange(start, length),
    (s) => file(s)?.rangeIsHeld(start, length, kind),
    (s) => file(s)?.tryFlock(kind),
    (s) => file(s)?.releaseFlock(),
    (s) => {
      const [closed] = s.files.splice(open % Math.max(1, s.files.length), 1);
      closed?.close();
    },
    (s) => summary(s.storage.status(path(s, name))),
    (s) => summary(s.storage.statusOrNull(path(s, name))),
    (s) => s.storage.link(path(s, name), path(s, other)),
    (s) => s.storage.unlink(path(s, name)),
    (s) => s.storage.rename(path(s, name), path(s, other)),
    (s) => s.storage.chmod(path(s, name), 0o700),
    (s) => s.storage.makeDirectory(path(s, name), 0o700),
    (s) => s.storage.removeDirectory(path(s, name)),
    (s) => s.storage.readDirectory(path(s, name)).sort(),
    (s) => s.storage.syncDirectory(path(s, name)),
  ];
  return random.pick(steps);
}

function summary(status: ReturnType<Storage["statusOrNull"]>): unknown {
  if (status === null) return null;
  if (status.kind === "directory") return { kind: status.kind, mode: status.mode };
  return { kind: status.kind, size: status.size, mode: status.mode, links: status.links };
}

function outcome(step: Step, subject: Subject): unknown {
  try {
    return step(subject) ?? null;
  } catch (error) {
    if (error instanceof OsError) return `fails: ${error.code}`;
    throw error;
  }
}

/** Every name below a directory with its content. */
function tree(storage: Storage, path: string): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  for (const name of storage.readDirectory(path).sort()) {
    const status = storage.status(`${path}/${name}`);
    if (status.kind === "directory") {
      found[name] = tree(storage, `${path}/${name}`);
      continue;
    }
    storage.chmod(`${path}/${name}`, 0o600);
    using file = storage.open(`${path}/${name}`, { access: "read" });
    const bytes = new Uint8Array(status.size);
    file.read(bytes, 0);
    found[name] = bytes;
  }
  return found;
}

const randomCalls = new FullCount("simulated storage");

Deno.test("The simulated disk answers like the real one on random calls", async () => {
  const seed = seedForTest("simulated storage");
  // Permission bits bind an ordinary user, but not root. The simulator knows both.
  const user = Deno.uid() === 0 ? "root" : "ordinary";
  await withTemporaryDirectory((directory) => {
    for (const round of randomCalls.rounds(40, 500)) {
      const random = new Random(seed + round);
      const disk = new SimulatedDisk({ user, mappingReserveBytes: 4 * FILE_BYTES_MAX });
      const real = new Subject(systemStorage(), `${directory}/${round}`);
      const simulated = new Subject(disk.process("differential"), "/data");
      for (const { storage, root } of [real, simulated]) storage.makeDirectory(root, 0o700);
      for (let count = 0; count < 150; count++) {
        const step = randomStep(random);
        const message = `seed ${seed}, round ${round}, call ${count}: ${step}`;
        const really = outcome(step, real);
        // No mapping of other tests exists here: a limit of the simulator is a failure.
        assertEquals(outcome(step, simulated), really, message);
      }
      for (const { files } of [real, simulated]) for (const file of files) file.close();
      assertEquals(tree(simulated.storage, "/data"), tree(real.storage, real.root));
      assertEquals(disk.process("next").descriptors, 0);
    }
  });
});

function diskWithFile(content: Uint8Array): { disk: SimulatedDisk; storage: Storage } {
  const disk = new SimulatedDisk();
  const storage = disk.process("test");
  storage.makeDirectory("/data", 0o700);
  storage.syncDirectory("/");
  using file = storage.open("/data/file", { access: "write", create: "exclusive", mode: 0o600 });
  file.write(content, 0);
  file.sync();
  storage.syncDirectory("/data");
  return { disk, storage };
}

function contentOf(disk: SimulatedDisk, path: string): Uint8Array | null {
  const storage = disk.process("reader");
  if (storage.statusOrNull(path) === null) return null;
  using file = storage.open(path, { access: "read" });
  const bytes = new Uint8Array(file.status().size);
  file.read(bytes, 0);
  return bytes;
}

const filled = (byte: number, length = 2 * PAGE_BYTES) => new Uint8Array(length).fill(byte);

Deno.test("A power cut keeps what was synced, whatever else it takes", () => {
  const random = new Random(seedForTest("power cut"));
  const { disk } = diskWithFile(filled(1));
  for (const cut of [...enumeratedCuts, ...Array.from({ length: 50 }, () => randomCut(random))]) {
    assertEquals(contentOf(disk.powerCut(cut), "/data/file"), filled(1), cut.name);
  }
});

Deno.test("A power cut takes unsynced stores of a mapping sector by sector", () => {
  const { disk, storage } = diskWithFile(filled(1));
  const file = storage.open("/data/file", { access: "write" });
  const mapping = file.map(2 * PAGE_BYTES, "write");
  mapping.bytes.fill(2);
  assertEquals(contentOf(disk.powerCut(cutKeepsNothing), "/data/file"), filled(1));
  assertEquals(contentOf(disk.powerCut(cutKeepsData), "/data/file"), filled(2));
  const third: Cut = { ...cutKeepsNothing, sectors: (page) => page === 1 ? 0b100 : 0 };
  const torn = filled(1);
  torn.fill(2, PAGE_BYTES + 2 * SECTOR_BYTES, PAGE_BYTES + 3 * SECTOR_BYTES);
  assertEquals(contentOf(disk.powerCut(third), "/data/file"), torn);
  mapping.flush(PAGE_BYTES, PAGE_BYTES);
  const flushed = filled(1);
  flushed.fill(2, PAGE_BYTES);
  assertEquals(contentOf(disk.powerCut(cutKeepsNothing), "/data/file"), flushed);
});

Deno.test("A power cut takes names independent of data until the directory is synced", () => {
  const { disk, storage } = diskWithFile(filled(1));
  const file = storage.open("/data/new", { access: "write", create: "exclusive" });
  file.write(filled(3), 0);
  assertEquals(contentOf(disk.powerCut(cutKeepsData), "/data/new"), null);
  assertEquals(contentOf(disk.powerCut(cutKeepsNames), "/data/new"), filled(0));
  file.sync();
  assertEquals(contentOf(disk.powerCut(cutKeepsNothing), "/data/new"), null);
  storage.rename("/data/new", "/data/file");
  assertEquals(contentOf(disk.powerCut(cutKeepsNothing), "/data/file"), filled(1));
  assertEquals(contentOf(disk.powerCut(cutKeepsNames), "/data/file"), filled(3));
  storage.syncDirectory("/data");
  assertEquals(contentOf(disk.powerCut(cutKeepsNothing), "/data/file"), filled(3));
  assertEquals(contentOf(disk.powerCut(cutKeepsNothing), "/data/new"), null);
});

Deno.test("A power cut takes modes until the file itself is synced", () => {
  const { disk, storage } = diskWithFile(filled(1));
  const modeAfter = (cut: Cut) => disk.powerCut(cut).process("reader").status("/data/file").mode;
  storage.chmod("/data/file", 0o200);
  assertEquals(modeAfter(cutKeepsNothing), 0o600);
  assertEquals(modeAfter(cutKeepsNames), 0o200);
  using file = storage.open("/data/file", { access: "write" });
  file.syncData();
  assertEquals(modeAfter(cutKeepsNothing), 0o600);
  file.sync();
  assertEquals(modeAfter(cutKeepsNothing), 0o200);
});

Deno.test("A sync on another thread covers the state at its beginning, and no later store", async () => {
  const { disk, storage } = diskWithFile(filled(1));
  const file = storage.open("/data/file", { access: "write" });
  const mapping = file.map(2 * PAGE_BYTES, "write");
  mapping.bytes.fill(2, 0, PAGE_BYTES);
  const synced = file.syncDataAsync();
  mapping.bytes.fill(3, PAGE_BYTES);
  await synced;
  const after = filled(1);
  after.fill(2, 0, PAGE_BYTES);
  assertEquals(contentOf(disk.powerCut(cutKeepsNothing), "/data/file"), after);
});

Deno.test("After a failed sync a second sync succeeds and makes nothing durable", () => {
  const { disk, storage } = diskWithFile(filled(1));
  const file = storage.open("/data/file", { access: "write" });
  file.write(filled(2), 0);
  disk.observer = (event) =>
    event.kind === "sync data" && event.when === "before" ? "EIO" : undefined;
  assertThrows(() => file.syncData(), OsError, "EIO");
  disk.observer = null;
  file.syncData();
  assertEquals(contentOf(disk, "/data/file"), filled(2));
  assertEquals(contentOf(disk.powerCut(cutKeepsNothing), "/data/file"), filled(1));
  file.write(filled(5), 0);
  file.syncData();
  assertEquals(contentOf(disk.powerCut(cutKeepsNothing), "/data/file"), filled(5));
});

Deno.test("The death of all processes loses no byte, no name and no dirty mark", () => {
  const { disk, storage } = diskWithFile(filled(1));
  const file = storage.open("/data/file", { access: "write" });
  file.write(filled(2), 0);
  storage.rename("/data/file", "/data/other");
  file.tryLockRange(0, 1, "exclusive");
  const crash = disk.crash(null);
  assertThrows(() => file.write(filled(3), 0), SimulatedCrash);
  const after = crash.disk;
  assertEquals(contentOf(after, "/data/other"), filled(2));
  assertEquals(contentOf(after, "/data/file"), null);
  // A later power cut can still lose what was never synced.
  assertEquals(contentOf(after.powerCut(cutKeepsNothing), "/data/file"), filled(1));
  assertEquals(contentOf(after.powerCut(cutKeepsNothing), "/data/other"), null);
  assertEquals(contentOf(after.powerCut(cutKeepsEverything), "/data/other"), filled(2));
  using again = after.process("next").open("/data/other", { access: "write" });
  assert(again.tryLockRange(0, 1, "exclusive"));
});

Deno.test("The death of one process drops its locks and keeps those of others", () => {
  const { disk } = diskWithFile(filled(1));
  const one = disk.process("one");
  const other = disk.process("other");
  const mine = one.open("/data/file", { access: "write" });
  const theirs = other.open("/data/file", { access: "write" });
  assert(mine.tryLockRange(0, 1, "exclusive"));
  assert(theirs.tryLockRange(1, 1, "exclusive"));
  assert(!theirs.tryLockRange(0, 1, "exclusive"));
  one.kill();
  assert(theirs.tryLockRange(0, 1, "exclusive"));
  assertEquals(one.alive, false);
});

Deno.test("Planted POSIX locks vanish when any descriptor of the file is closed", () => {
  const disk = new SimulatedDisk({ lockOwner: "process" });
  const storage = disk.process("one");
  using file = storage.open("/file", { access: "write", create: "missing" });
  assert(file.tryLockRange(0, 1, "exclusive"));
  using other = disk.process("other").open("/file", { access: "write" });
  assert(!other.tryLockRange(0, 1, "exclusive"));
  storage.open("/file", { access: "read" }).close();
  assert(other.tryLockRange(0, 1, "exclusive"));
});

Deno.test("A full disk refuses an allocation as a whole, and reports a store into a hole", () => {
  const disk = new SimulatedDisk({ sizeBytes: 4 * PAGE_BYTES });
  const storage = disk.process("test");
  using file = storage.open("/file", { access: "write", create: "missing" });
  file.allocate(0, 2 * PAGE_BYTES);
  assertThrows(() => file.allocate(0, 5 * PAGE_BYTES), OsError, "ENOSPC");
  assertEquals(file.status().size, 2 * PAGE_BYTES);
  assertEquals(storage.space("/").freeBytes, 2 * PAGE_BYTES);
  file.truncate(3 * PAGE_BYTES);
  using mapping = file.map(3 * PAGE_BYTES, "write");
  mapping.bytes[PAGE_BYTES] = 1;
  file.syncData();
  assertEquals(disk.space.storesIntoHoles, 0);
  mapping.bytes[2 * PAGE_BYTES] = 1;
  file.syncData();
  assertEquals(disk.space.storesIntoHoles, 1);
  using second = storage.open("/second", { access: "write", create: "missing" });
  second.allocate(0, PAGE_BYTES);
  storage.unlink("/second");
  assertEquals(storage.space("/").freeBytes, 0);
  second.close();
  assertEquals(storage.space("/").freeBytes, PAGE_BYTES);
});
