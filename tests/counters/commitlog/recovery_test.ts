/** Recovery of logs that were not sealed, with every kind of torn tail and of damage. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { CorruptError } from "../../../src/base/errors.ts";
import {
  checkLogBytes,
  HeldLog,
  recoverHeld,
  scanLog,
  SealedLog,
} from "../../../src/counters/commitlog/mod.ts";
import { LogBytes } from "../../../src/file/checked_log/mod.ts";
import {
  batchOf,
  claim,
  poolOn,
  recordsOf,
  takeSealed,
  type TestDirectory,
  withDataDirectory,
} from "../../support/data_directory.ts";
import { heldBytes, pokeByte } from "../../support/held_bytes.ts";
import { Random, seedForTest } from "../../support/random.ts";

/** An active log with `frames` frames, synced after `synced` of them, left by a dead writer. */
async function deadLog(test: TestDirectory, frames: number, synced: number): Promise<number[]> {
  const writer = test.open();
  const pool = poolOn(writer, { logs: 2 });
  await pool.prepare();
  const active = await claim(pool);
  const ends = [active.tail];
  for (let frame = 0; frame < frames; frame++) {
    active.append(batchOf([["k", `key ${frame}`, BigInt(frame + 1)]]));
    ends.push(active.tail);
    if (frame + 1 === synced) await active.sync();
  }
  active.leaveForRecovery();
  return ends;
}

Deno.test("A log that is torn at any byte offset recovers to whole frames", async () => {
  await withDataDirectory(async (test) => {
    const ends = await deadLog(test, 4, 0);
    const held = HeldLog.take(test.directory, 0);
    assert(held !== null);
    const whole = heldBytes(held);
    const end = ends[4] ?? 0;
    for (let cut = 4096; cut <= end; cut++) {
      const torn = whole.slice();
      torn.fill(0xa5, cut); // zeros would look like the padding of the last key
      const scan = scanLog(new LogBytes(torn), { slot: 0, generation: 1n }, {
        length: torn.length,
      });
      assertEquals(scan.tail, ends.filter((one) => one <= cut).at(-1));
      assertEquals(scan.damage, null);
    }
    held.leaveForRecovery();
    poolOn(test.directory).recoverAll();
  });
});

Deno.test("A flipped bit anywhere in a frame ends the log there and never passes", async () => {
  await withDataDirectory(async (test) => {
    const ends = await deadLog(test, 2, 0);
    const held = HeldLog.take(test.directory, 0);
    assert(held !== null);
    const whole = heldBytes(held);
    for (let offset = ends[0] ?? 0; offset < (ends[1] ?? 0); offset++) {
      for (let bit = 0; bit < 8; bit++) {
        const flipped = whole.slice();
        flipped[offset] = (flipped[offset] ?? 0) ^ (1 << bit);
        const scan = scanLog(new LogBytes(flipped), { slot: 0, generation: 1n }, {
          length: flipped.length,
        });
        assertEquals(scan.tail, ends[0]);
        assertEquals(scan.lastFrameEnd, ends[2]);
      }
    }
    held.leaveForRecovery();
    poolOn(test.directory).recoverAll();
  });
});

Deno.test("Neither another slot nor another generation makes a frame pass", async () => {
  await withDataDirectory(async (test) => {
    await deadLog(test, 3, 0);
    const held = HeldLog.take(test.directory, 0);
    assert(held !== null);
    assertEquals(
      scanLog(held.log, { slot: 0, generation: 1n }, { length: held.log.size }).frames,
      3,
    );
    assertEquals(
      scanLog(held.log, { slot: 1, generation: 1n }, { length: held.log.size }).frames,
      0,
    );
    assertEquals(
      scanLog(held.log, { slot: 0, generation: 2n }, { length: held.log.size }).frames,
      0,
    );
    const moved = heldBytes(held);
    moved.copyWithin(4096 + 64, 4096, 8192);
    moved.fill(0, 4096, 4096 + 64);
    assertEquals(
      scanLog(new LogBytes(moved), { slot: 0, generation: 1n }, { length: moved.length })
        .lastFrameEnd,
      4096,
    );
    held.leaveForRecovery();
    poolOn(test.directory).recoverAll();
  });
});

Deno.test("A torn tail is truncated and kept beside the log, and a second recovery changes nothing", async () => {
  await withDataDirectory(async (test) => {
    const ends = await deadLog(test, 4, 2);
    let held = HeldLog.take(test.directory, 0);
    assert(held !== null);
    const torn = (ends[2] ?? 0) + 20; // in the third frame, which no sync covered
    pokeByte(held, torn, (heldBytes(held)[torn] ?? 0) ^ 1);
    const cutBytes = heldBytes(held).slice(ends[2], ends[4]);
    const recovery = recoverHeld(held);
    assertEquals(recovery.isCorrupt, false);
    assertEquals(recovery.keptRecords, 2);
    assertEquals(recovery.tornBytes, cutBytes.length);
    assert(recovery.tornPath !== null);
    using aside = test.storage.open(recovery.tornPath, { access: "read" });
    const kept = new Uint8Array(cutBytes.length);
    aside.read(kept, 0);
    assertEquals(kept, cutBytes);

    held = HeldLog.take(test.directory, 0);
    assert(held !== null);
    const again = recoverHeld(held);
    assertEquals([again.state, again.wasActive], ["sealed", false]);
    const log = takeSealed(test.directory, 0);
    assertEquals(recordsOf(log), ["k key 0 1", "k key 1 2"]);
    log.release();
  });
});

Deno.test("Damage below the durable length is corruption: reported, quarantined, never folded", async () => {
  await withDataDirectory(async (test) => {
    // The fourth frame was written after a sync and carries that durable length, which covers the first
    // three.
    const ends = await deadLog(test, 4, 3);
    const held = HeldLog.take(test.directory, 0);
    assert(held !== null);
    const damaged = (ends[1] ?? 0) + 20;
    pokeByte(held, damaged, (heldBytes(held)[damaged] ?? 0) ^ 1);
    const recovery = recoverHeld(held);
    assertEquals(recovery.isCorrupt, true);
    const taken = SealedLog.take(test.directory, 0);
    assert(taken.kind === "sealed");
    const error = assertThrows(() => taken.log.verify(), CorruptError, "is damaged at byte");
    assertEquals(error.where.offset, ends[1]);
    const found = checkLogBytes("log", 0, { log: taken.log.held.log, isHeld: false });
    assertEquals(found.map((one) => [one.invariant, one.offset]), [[5, ends[1]]]);
    taken.log.release();
  }, { checks: false });
});

Deno.test("Random damage behind the durable length never costs a durable record", async () => {
  const random = new Random(seedForTest("random damage"));
  for (let round = 0; round < 40; round++) {
    await withDataDirectory(async (test) => {
      const frames = random.between(2, 12);
      const synced = random.between(1, frames);
      const ends = await deadLog(test, frames, synced);
      const held = HeldLog.take(test.directory, 0);
      assert(held !== null);
      const from = ends[synced] ?? 0;
      for (let hits = random.between(1, 5); hits > 0; hits--) {
        pokeByte(held, from + random.below(held.log.size - from), random.below(256));
      }
      const recovery = recoverHeld(held);
      assertEquals(recovery.isCorrupt, false);
      const log = takeSealed(test.directory, 0);
      assert(recordsOf(log).length >= synced);
      assertEquals(recordsOf(log)[synced - 1], `k key ${synced - 1} ${synced}`);
      log.release();
    });
  }
});

Deno.test("A log that was claimed and never written is free again", async () => {
  await withDataDirectory(async (test) => {
    await deadLog(test, 0, 0);
    poolOn(test.directory).recoverAll();
    assertEquals(test.storage.status(`${test.data}/logs/0000000000`).mode, 0o400);
  });
});

Deno.test("A log without a valid header is left alone and reported", async () => {
  await withDataDirectory(async (test) => {
    await deadLog(test, 1, 1);
    const held = HeldLog.take(test.directory, 0);
    assert(held !== null);
    held.file.write(new Uint8Array(1024), 0);
    held.release(null);
    const again = HeldLog.take(test.directory, 0);
    assert(again !== null);
    const before = heldBytes(again);
    assertThrows(() => recoverHeld(again), CorruptError, "lost its header");
    using file = test.storage.open(`${test.data}/logs/0000000000`, { access: "read" });
    const after = new Uint8Array(before.length);
    file.read(after, 0);
    assertEquals(after, before);
    assertEquals(
      checkLogBytes("log", 0, { log: new LogBytes(after), isHeld: false }).map((one) =>
        one.invariant
      ),
      [3],
    );
  }, { checks: false });
});
