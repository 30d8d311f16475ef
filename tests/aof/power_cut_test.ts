/**
 * Power cuts on the simulated disk. The marks promise only this: bytes that were synced are there,
 * opening never finds less than the last checkpoint, and a file that it cannot read is an error.
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { Aof, ErrCorrupted, Geometry, RecoveryKind } from "../../src/aof/mod.ts";
import { FullCount } from "../support/full_count.ts";
import { Random, seedForTest } from "../support/random.ts";
import { cutKeepsData, randomCut } from "../support/simulated_cut.ts";
import { SimulatedCrash, SimulatedDisk } from "../support/simulated_disk.ts";
import { assertChecks, concat, dataOf, text, textOf } from "./support.ts";

const cuts = new FullCount("power cuts of a file");
const geometry = new Geometry({ create: true, sizeUpper: 65536, growthStep: 8192 });

function assertBegins(bytes: Uint8Array, expected: Uint8Array, length: number): void {
  for (let index = 0; index < length; index++) {
    if (bytes[index] !== expected[index]) {
      assertEquals(bytes[index], expected[index], `byte ${index}`);
    }
  }
}

Deno.test("After a power cut what was synced is there, and never less than the last checkpoint", () => {
  const random = new Random(seedForTest("power cut"));
  const left = { corrupted: 0, whole: 0, "in part": 0 };
  for (const _ of cuts.rounds(60, 2000)) left[leftByCut(random)]++;
  // Some cuts do damage, and some do not. About one in twenty leaves a file that is corrupted.
  const isEnough = () => cuts.isShort || (left.corrupted > 0 && left.whole > 0);
  for (let more = 0; more < 1200 && !isEnough(); more++) left[leftByCut(random)]++;
  assert(isEnough(), `${left.corrupted} corrupted, ${left.whole} whole`);
});

/** Writes at random, cuts the power, and looks at the file that is left. */
function leftByCut(random: Random): "corrupted" | "whole" | "in part" {
  const disk = new SimulatedDisk({ sizeBytes: 2 ** 20 });
  const storage = disk.process("writer");
  storage.makeDirectory("/d", 0o700);
  storage.syncDirectory("/");
  const aof = Aof.open(storage, "/d/log", { geometry });
  let written: Uint8Array = new Uint8Array();
  let synced = 0;
  let checkpoint = -1;
  aof.sync();
  for (let step = random.between(1, 25); step > 0; step--) {
    const kind = random.below(10);
    if (kind === 0) synced = aof.sync();
    else if (kind === 1) {
      checkpoint = aof.checkpoint();
      synced = aof.size;
      written = dataOf(aof);
    } else {
      const bytes = random.bytes(random.between(1, random.chance(0.3) ? 5000 : 50));
      if (aof.size + bytes.length + 8 > 65536) continue;
      aof.write(bytes);
      written = concat(written, bytes);
    }
  }
  const after = disk.powerCut(randomCut(random)).process("opener");
  try {
    using again = Aof.open(after, "/d/log");
    assert(again.size >= checkpoint, `${again.size} after a checkpoint at ${checkpoint}`);
    const { outcome } = again.recovery.result() ?? {};
    assert(outcome === RecoveryKind.Checkpoint || again.size >= synced);
    assertBegins(again.bytes, written, Math.min(synced, again.size));
    return again.size === written.length ? "whole" : "in part";
  } catch (error) {
    if (!(error instanceof ErrCorrupted)) throw error;
    assertEquals(checkpoint, -1, "a checkpoint is always found");
    using file = after.open("/d/log", { access: "read" });
    const bytes = new Uint8Array(synced);
    file.read(bytes, 0);
    assertBegins(bytes, written, synced);
    return "corrupted";
  }
}

Deno.test("A checkpoint mark is on disk only when the data before it is", () => {
  const random = new Random(seedForTest("checkpoint"));
  for (let run = 0; run < 30; run++) {
    const disk = new SimulatedDisk({ sizeBytes: 2 ** 20 });
    const storage = disk.process("writer");
    storage.makeDirectory("/d", 0o700);
    storage.syncDirectory("/");
    const aof = Aof.open(storage, "/d/log", { geometry });
    aof.sync();
    aof.write(new Uint8Array(20_000).fill(7));
    let syncs = 0;
    disk.observer = ({ kind, when }) => {
      if (kind !== "sync data" || when !== "before" || ++syncs < 2) return;
      // The mark's page is written, and any of the others.
      const cut = randomCut(random);
      throw disk.crash({ ...cut, sectors: (page) => page === 4 ? 255 : cut.sectors(page) });
    };
    const crash = assertThrows(() => aof.checkpoint(), SimulatedCrash);
    using again = Aof.open(crash.disk.process("opener"), "/d/log");
    assertBegins(again.bytes, new Uint8Array(20_000).fill(7), 20_000);
  }
});

// What happened: only the instance that had made a file synced its directory. That one ended before a
// sync. The next writer synced and called 7 bytes durable, and a power cut took the whole file.
for (const end of ["closed", "killed"] as const) {
  Deno.test(`A file whose maker was ${end} before a sync has its name after the next writer's sync`, () => {
    const disk = new SimulatedDisk();
    const maker = disk.process("maker");
    maker.makeDirectory("/d", 0o700);
    maker.syncDirectory("/");
    const made = Aof.open(maker, "/d/log", { geometry });
    made.write(text("one "));
    if (end === "closed") made.close();
    else maker.kill();
    const next = Aof.open(disk.process("next"), "/d/log", { geometry });
    next.write(text("two"));
    assertEquals(next.sync(), 7);
    const after = disk.powerCut(cutKeepsData).process("after");
    const again = Aof.open(after, "/d/log");
    assertEquals(textOf(dataOf(again)), "one two");
    assertChecks("/d/log", after);
  });
}
