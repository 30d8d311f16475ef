/**
 * Broken files: every byte of the control file and of a log flipped, files cut at many lengths, and a
 * data directory with any byte of any file changed. Nothing may crash or hang, a wrong count is never
 * shown, and every loss is reported.
 */

import { crc32 } from "node:zlib";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { CorruptError, CountdError } from "../../src/base/errors.ts";
import { NewerFormatError } from "../../src/base/format.ts";
import { checkDirectory, clearFailed, repair } from "../../src/admin/mod.ts";
import { DataDirectory, nameOfSlot } from "../../src/counters/commitlog/mod.ts";
import { controlLayout, HOLDERS_OFFSET } from "../../src/counters/commitlog/control_layout.ts";
import type { Storage } from "../../src/file/mod.ts";
import { FullCount } from "../support/full_count.ts";
import { Random, seedForTest } from "../support/random.ts";
import type { SimulatedDisk } from "../support/simulated_disk.ts";
import type { CounterOracle, SentBatch } from "./counter_oracle.ts";
import { DATA, LOG_BYTES, someHolder } from "./counter_subject.ts";
import { damageGround } from "./damaged_ground.ts";
import { keyspaceTotals } from "./keyspace_fold.ts";
import { foldOnce } from "./worker_fold.ts";

const options = { self: someHolder };
const controlBytes = new FullCount("bytes of the control file");
const logBytes = new FullCount("bytes of a sealed log");
const repairs = new FullCount("repairs of one byte");

function flip(storage: Storage, path: string, offset: number, mask = 0xff): void {
  const { mode } = storage.status(path);
  storage.chmod(path, 0o600);
  {
    using file = storage.open(path, { access: "write" });
    const byte = new Uint8Array(1);
    file.read(byte, offset);
    byte[0] = (byte[0] ?? 0) ^ mask;
    file.write(byte, offset);
  }
  storage.chmod(path, mode);
}

function cutAt(storage: Storage, path: string, size: number): void {
  const { mode } = storage.status(path);
  storage.chmod(path, 0o600);
  {
    using file = storage.open(path, { access: "write" });
    file.truncate(size);
  }
  storage.chmod(path, mode);
}

/** Runs the worker; true if it succeeded, false if it reported damage. Any other end is a failure. */
async function foldReports(storage: Storage): Promise<boolean> {
  try {
    using directory = DataDirectory.open(storage, DATA, options);
    await foldOnce(directory);
    return true;
  } catch (error) {
    if (error instanceof CountdError) return false;
    throw error;
  }
}

/** The oracle without a promise about some batches: each may be stored once, or not at all. */
function without(oracle: CounterOracle, batches: readonly SentBatch[]): CounterOracle {
  const copy = oracle.copy();
  for (const { number } of batches) copy.batches[number]!.acknowledged = false;
  return copy;
}

/** Every byte of the fields of `control` that are used, and some of the others. */
function isNormalOffset(offset: number): boolean {
  if (offset < 80 || (offset >= 504 && offset < 530)) return true;
  return offset % (offset < 4096 + 512 ? 13 : 509) === 0;
}

Deno.test("Every byte of the control file flipped: refused or harmless, and check reports it", async () => {
  const { disk, oracle } = await damageGround();
  const path = `${DATA}/control`;
  const offsets = Array.from({ length: HOLDERS_OFFSET }, (_, offset) => offset);
  for (const offset of controlBytes.choices(offsets, isNormalOffset)) {
    const copy = disk.twin();
    const storage = copy.process("test");
    flip(storage, path, offset);
    const folded = await foldReports(storage);
    if (folded) oracle.judge(keyspaceTotals(storage));
    let isSaid = false;
    try {
      isSaid = checkDirectory(storage, DATA, options).violations.length > 0;
    } catch (error) {
      // Another format version is not damage: the refusal names it.
      assert(error instanceof CountdError, String(error));
      isSaid = true;
    }
    assert(folded || isSaid, `byte ${offset}: refused, and check finds nothing`);
  }
});

// Repair once refused with "use the countd that made it" after one bit of the format number had flipped.
// The checksum distinguishes a damaged number from a file of another countd.
Deno.test("A flipped format number is damage and repaired, another format is refused by name", async () => {
  const { disk, oracle } = await damageGround();
  const path = `${DATA}/control`;
  for (let bit = 0; bit < 32; bit++) {
    const storage = disk.twin().process("test");
    flip(storage, path, 8 + (bit >> 3), 1 << (bit & 7));
    assertEquals(checkDirectory(storage, DATA, options).violations[0]?.noun, "control");
    assertEquals(repair(storage, DATA, { ...options, out: null }).remaining, []);
    assert(await foldReports(storage));
    oracle.judge(keyspaceTotals(storage));
  }
  const storage = disk.twin().process("test");
  const other = disk.files().get(path)!.live.slice(0, controlLayout.checksum.offset + 4);
  const view = new DataView(other.buffer);
  view.setUint32(controlLayout.version.offset, 3, true);
  const { offset } = controlLayout.checksum;
  view.setUint32(offset, crc32(other.subarray(0, offset)), true);
  {
    using file = storage.open(path, { access: "write" });
    file.write(other, 0);
  }
  const repairs = () => repair(storage, DATA, { ...options, out: null });
  assertThrows(repairs, NewerFormatError, "has format 3");
});

Deno.test("A control file cut at any length is refused or harmless", async () => {
  const { disk, oracle } = await damageGround();
  for (
    const size of [0, 1, 8, 59, 60, 511, 512, 527, 4095, 4096, 4608, 8191, 28_671, 28_672, 29_000]
  ) {
    const storage = disk.twin().process("test");
    cutAt(storage, `${DATA}/control`, size);
    if (await foldReports(storage)) oracle.judge(keyspaceTotals(storage));
    else assert(checkDirectory(storage, DATA, options).violations.length > 0, `size ${size}`);
  }
});

Deno.test("Every byte of a sealed log flipped: its batches are counted, or missed and reported", async () => {
  const { disk, oracle, waiting } = await damageGround(2);
  const path = `${DATA}/logs/${nameOfSlot(0)}`;
  const own = waiting.slice(0, 2);
  const places: number[] = [];
  for (let offset = 0; offset < 1100; offset++) places.push(offset);
  for (let offset = 4096; offset < 4096 + 1600; offset++) places.push(offset);
  let damaged = 0;
  for (const offset of logBytes.choices(places, (offset) => offset % 5 === 0)) {
    const storage = disk.twin().process("test");
    flip(storage, path, offset);
    const found = checkDirectory(storage, DATA, options).violations;
    const folded = await foldReports(storage);
    if (!folded) damaged++;
    try {
      if (folded) oracle.judge(keyspaceTotals(storage));
      else without(oracle, own).judge(keyspaceTotals(storage));
      assert(folded || found.length > 0, "the worker refuses what check finds sound");
    } catch (cause) {
      throw new Error(`byte ${offset}: ${(cause as Error).message}`, { cause });
    }
  }
  assert(logBytes.isShort || damaged > 100, `${damaged} flips did damage`);
});

Deno.test("A log of any other length is left alone and reported, and the others are folded", async () => {
  const { disk, oracle, waiting } = await damageGround(2);
  const path = `${DATA}/logs/${nameOfSlot(1)}`;
  for (const size of [0, 1, 512, 4095, 4096, 4200, LOG_BYTES - 1, LOG_BYTES + 1]) {
    const storage = disk.twin().process("test");
    cutAt(storage, path, size);
    assert(checkDirectory(storage, DATA, options).violations.length > 0);
    assertEquals(await foldReports(storage), false, `size ${size}`);
    without(oracle, waiting.slice(2)).judge(keyspaceTotals(storage));
  }
});

Deno.test("Repair of a directory with any one byte changed loses at most the frame that has it", async () => {
  const random = new Random(seedForTest("repair"));
  const { disk, oracle, waiting } = await damageGround(3);
  const files = [...disk.files()].filter(([, inode]) => inode.size > 0);
  let repaired = 0;
  for (const _ of repairs.rounds(250, 4000)) {
    const [path, inode] = random.pick(files);
    const isLog = path.startsWith(`${DATA}/logs/`);
    const limit = isLog ? 4096 + 2400 : inode.size;
    const offset = random.below(limit);
    const copy = disk.twin();
    const storage = copy.process("test");
    flip(storage, path, offset, 1 << random.below(8));
    const before = imageOf(copy, DATA);
    const report = repair(storage, DATA, { ...options, out: "/repaired" });
    const story = `${path} at ${offset}: ${JSON.stringify(report.actions)}`;
    assertEquals(report.remaining, [], story);
    assertEquals(imageOf(copy, DATA), before, `the original was touched: ${story}`);
    if (report.actions.length > 0) repaired++;
    storage.rename(DATA, "/original");
    storage.rename("/repaired", DATA);
    // A changed byte in the failed mark damages the mark: it is cleared like every failed mark.
    clearFailed(storage, DATA, options);
    assert(await foldReports(storage), story);
    // A changed byte in a frame loses its batch; the other batches of the log are saved.
    const expected = isLog && report.actions.length > 0 ? without(oracle, waiting) : oracle;
    const totals = keyspaceTotals(storage);
    try {
      expected.judge(totals);
      const present = waiting.filter((batch) =>
        [...totals.get("one")?.keys() ?? []].some((key) => key.startsWith(`batch-${batch.number}-`))
      );
      assert(present.length >= waiting.length - 1, `${present.length} of ${waiting.length} saved`);
    } catch (cause) {
      throw new Error(`${story}: ${(cause as Error).message}`, { cause });
    }
  }
  assert(repairs.isShort || repaired > 25, `only ${repaired} repairs`);
});

function imageOf(disk: SimulatedDisk, below: string): string[] {
  return [...disk.files()].filter(([path]) => path.startsWith(`${below}/`))
    .filter(([path]) => path !== `${below}/control`)
    .map(([path, { mode, live, size }]) => `${path} ${mode} ${crc32(live.subarray(0, size))}`)
    .sort();
}

Deno.test("Repair in place keeps the original of everything that it replaces", async () => {
  const { disk } = await damageGround(3);
  const storage = disk.process("test");
  const log = `${DATA}/logs/${nameOfSlot(0)}`;
  const keyspace = `${DATA}/keyspaces/one`;
  flip(storage, log, 4300);
  for (const offset of [16 * 1024 + 100, 20 * 1024 + 100]) flip(storage, keyspace, offset);
  const originals = [log, keyspace].map((path) => disk.files().get(path)?.live.slice());
  const report = repair(storage, DATA, { ...options, out: null });
  assertEquals(report.remaining, []);
  for (const [index, path] of [log, keyspace].entries()) {
    const action = report.actions.find((each) => each.path === path);
    if (action === undefined) continue;
    assertEquals(disk.files().get(action.saved ?? "")?.live, originals[index], path);
  }
  assert(report.actions.length > 0);
  const again = repair(storage, DATA, { ...options, out: null });
  assertEquals(again.actions, []);
});

Deno.test("Repair makes a lost control file anew", async () => {
  const { disk, oracle } = await damageGround(3);
  const storage = disk.process("test");
  storage.unlink(`${DATA}/control`);
  assert(checkDirectory(storage, DATA, options).violations[0]?.noun === "control");
  const report = repair(storage, DATA, { ...options, out: null });
  assertEquals(report.remaining, []);
  assert(await foldReports(storage));
  oracle.judge(keyspaceTotals(storage));
});

Deno.test("Repair with a daemon at work is refused", async () => {
  const { disk } = await damageGround(1);
  using directory = DataDirectory.open(disk.process("daemon"), DATA, options);
  directory.joinDaemons();
  let refusal: unknown = null;
  try {
    repair(disk.process("test"), DATA, { ...options, out: null });
  } catch (error) {
    refusal = error;
  }
  assert(refusal instanceof CountdError && refusal.kind === "try-again", String(refusal));
  assert(!(refusal instanceof CorruptError));
});
