/** A reader sees logs that were made since its last answer, by their live words or by their names. */

import { assertEquals } from "@std/assert";
import { systemClock } from "../../../src/base/clock.ts";
import { noEvents } from "../../../src/base/events.ts";
import { createSlot } from "../../../src/counters/commitlog/create_slot.ts";
import { listSlots, slotLock } from "../../../src/counters/commitlog/mod.ts";
import { Reader } from "../../../src/counters/view/mod.ts";
import { overridden } from "../../support/overridden.ts";
import { SimulatedDisk } from "../../support/simulated_disk.ts";
import { LivingDirectory } from "./living_directory.ts";
import { latin1Bytes } from "./plain_base.ts";

Deno.test("A log is seen with its first frame, also behind logs that were made and never claimed", async () => {
  const disk = new SimulatedDisk();
  const storage = disk.process("writer");
  await using living = await LivingDirectory.open("/data", { logs: 1, storage });
  using directory = living.openAgain(disk.process("reader"));
  using reader = new Reader(directory, { stale: false, clock: systemClock, events: noEvents });
  const value = () => reader.value(latin1Bytes("ks"), latin1Bytes("key"));
  assertEquals(await value(), null);

  // Another process holds all logs, and has made three more.
  using other = living.openAgain(disk.process("other"));
  const { slots } = listSlots(storage, living.path + "/logs");
  const next = slots.length;
  for (let made = next; made < next + 3; made++) await createSlot(other, made);
  for (let slot = 0; slot < next + 3; slot++) other.control.tryLock(slotLock(slot));
  await living.write([{ keyspace: "ks", key: "key", increment: 2n }]);
  assertEquals(listSlots(storage, living.path + "/logs").slots.length, next + 4);
  assertEquals(await value(), 2n);
});

Deno.test("A log is seen after a second behind any number of logs that were never claimed", async () => {
  // Story: each second only one more name was looked for.
  const disk = new SimulatedDisk();
  const storage = disk.process("writer");
  await using living = await LivingDirectory.open("/data", { logs: 1, storage });
  let aheadMs = 0;
  const clock = overridden(systemClock, { nowMs: () => systemClock.nowMs() + aheadMs });
  using directory = living.openAgain(disk.process("reader"));
  using reader = new Reader(directory, { stale: false, clock, events: noEvents });
  const value = () => reader.value(latin1Bytes("ks"), latin1Bytes("key"));
  assertEquals(await value(), null);

  using other = living.openAgain(disk.process("other"));
  const next = listSlots(storage, living.path + "/logs").slots.length;
  for (let made = next; made < next + 24; made++) await createSlot(other, made);
  for (let slot = 0; slot < next + 24; slot++) other.control.tryLock(slotLock(slot));
  await living.write([{ keyspace: "ks", key: "key", increment: 2n }]);
  aheadMs = 1000;
  assertEquals(await value(), 2n);
});
