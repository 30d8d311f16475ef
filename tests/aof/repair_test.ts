/** Files that nothing tells the end of: what a power cut may leave after a sync. */

import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import {
  Aof,
  BusyError,
  ErrCorrupted,
  Geometry,
  MAGIC_CHECKPOINT,
  RecoveryKind,
  RefusedError,
  repairFile,
  UsageError,
} from "../../src/aof/mod.ts";
import { FullCount } from "../support/full_count.ts";
import { runCountd } from "../support/process.ts";
import { Random, seedForTest } from "../support/random.ts";
import { randomCut } from "../support/simulated_cut.ts";
import { SimulatedDisk } from "../support/simulated_disk.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import {
  assertChecks,
  concat,
  creating,
  dataOf,
  littleEndian,
  storage,
  tailMark,
  text,
  textOf,
  withFile,
} from "./support.ts";

const repairs = new FullCount("repairs after a power cut");
const geometry = new Geometry({ create: true, sizeUpper: 65536, growthStep: 8192 });
const checkpointMark = littleEndian(MAGIC_CHECKPOINT);

// Story: the next append had overwritten the mark of the synced end, and no verb made the file usable again.
Deno.test("Every file that a power cut leaves without an end is repaired, with all that was synced", () => {
  const random = new Random(seedForTest("repair"));
  for (const _ of repairs.rounds(8, 100)) {
    let tries = 1;
    while (!repairsAfterCut(random)) assert(tries++ < 1600, "no cut takes the end");
  }
});

/** Cuts the power of a writer, and repairs the file that is left. False if it needs no repair. */
function repairsAfterCut(random: Random): boolean {
  const disk = new SimulatedDisk({ sizeBytes: 2 ** 20 });
  const writer = disk.process("writer");
  const aof = Aof.open(writer, "/log", { geometry });
  let synced: Uint8Array = new Uint8Array();
  for (let step = random.between(2, 12); step > 0; step--) {
    if (random.chance(0.4)) {
      aof.sync();
      synced = dataOf(aof);
    } else aof.write(random.bytes(random.between(1, 4000)));
  }
  const after = disk.powerCut(randomCut(random)).process("opener");
  if (after.statusOrNull("/log") === null || opens(after)) return false;
  const { size, isRepaired, kept } = repairFile(after, "/log");
  assertEquals([isRepaired, kept], [true, null]);
  assertChecks("/log", after);
  using again = Aof.open(after, "/log");
  assertEquals(again.size, size);
  assert(size >= synced.length, `${size} of ${synced.length}`);
  assertEquals(dataOf(again).subarray(0, synced.length), synced);
  again.write(text("more"));
  return true;
}

function opens(on: Parameters<typeof Aof.open>[0]): boolean {
  try {
    using aof = Aof.open(on, "/log");
    return aof.recovery.result()?.outcome !== RecoveryKind.Corrupted;
  } catch (error) {
    if (error instanceof ErrCorrupted) return false;
    throw error;
  }
}

Deno.test("A repair ends the data where it is told, keeps the rest aside, and can be repeated", async () => {
  await withFile((path) => {
    Deno.writeFileSync(path, concat(text("whole.half"), new Uint8Array(100)));
    assertThrows(() => repairFile(storage, path, { size: 111 }), UsageError, "has 110 bytes");
    assertEquals(repairFile(storage, path, { size: 6 }), {
      size: 6,
      isRepaired: true,
      kept: `${path}.torn-1`,
    });
    assertEquals(Deno.readTextFileSync(`${path}.torn-1`), "half");
    assertEquals(repairFile(storage, path), { size: 6, isRepaired: false, kept: null });
    assertThrows(() => repairFile(storage, path, { size: 5 }), RefusedError, "is sound");
    using aof = Aof.open(storage, path, { geometry: creating() });
    assertEquals(textOf(dataOf(aof)), "whole.");
    assertThrows(() => repairFile(storage, path), BusyError);
  });
});

Deno.test("A repair finds data behind a checkpoint, zeros that were published, and space for its mark", async () => {
  await withFile((path) => {
    Deno.writeFileSync(path, concat(text("a"), checkpointMark, text("synced later")));
    assertEquals(repairFile(storage, path).size, 21);
    using aof = Aof.open(storage, path, { geometry: creating() });
    assert(textOf(dataOf(aof)).endsWith("synced later"));
  });
  await withFile((path) => {
    {
      using aof = Aof.open(storage, path, { geometry: creating(), shared: true });
      aof.write(concat(text("zeros follow"), new Uint8Array(8)));
    }
    using file = Deno.openSync(path, { write: true });
    file.seekSync(20, Deno.SeekMode.Start);
    file.writeSync(new Uint8Array(8));
    assertEquals(repairFile(storage, path).size, 20);
  });
});

Deno.test("countd log repair makes a file usable that inspect calls corrupted, and refuses a commit log", async () => {
  await withTemporaryDirectory(async (directory) => {
    const path = `${directory}/events.log`;
    Deno.writeFileSync(path, concat(text("one\ntwo\n"), new Uint8Array(50)));
    assertEquals((await runCountd(["log", "inspect", path])).code, 6);
    const repaired = await runCountd(["log", "repair", path]);
    assertEquals([repaired.code, repaired.text], [0, "size\t8\nrepaired\tyes\n"], repaired.stderr);
    assertEquals((await runCountd(["log", "tail", path])).text, "one\ntwo\n");
    const again = await runCountd(["log", "repair", path, "--size", "4", "--json"]);
    assertEquals(again.code, 5, again.text);
    Deno.writeFileSync(path, concat(text("one\ntwo\nthr"), tailMark, text("e")));
    const cut = await runCountd(["log", "repair", path, "--size", "8", "--json"]);
    assertEquals(JSON.parse(cut.text), {
      file: path,
      size: "8",
      isRepaired: true,
      kept: `${path}.torn-1`,
    });
    const data = `${directory}/data`;
    assertEquals((await runCountd(["kv", "set", "a", "b", "--data", data])).code, 0);
    assertEquals((await runCountd(["log", "repair", `${data}/logs/0000000000`])).code, 3);
    Deno.writeFileSync(`${data}/logs/0000000000`, new Uint8Array(65536));
    const refused = await runCountd(["log", "repair", `${data}/logs/0000000000`]);
    assertEquals(refused.code, 5, refused.stderr);
    assertStringIncludes(refused.stderr, "is a commit log: run countd repair");
    Deno.removeSync(`${data}/logs/0000000000`);
  });
});
