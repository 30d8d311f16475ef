/**
 * Folds, recycling and new generations at every point of an answer (Refresh, steps 1 to 3). None of them
 * changes what was accepted before, so the answer must be the same wherever they happen.
 */

import { assert, assertEquals } from "@std/assert";
import { systemClock } from "../../../src/base/clock.ts";
import { noEvents } from "../../../src/base/events.ts";
import type { Storage } from "../../../src/file/mod.ts";
import { Reader } from "../../../src/counters/view/mod.ts";
import { SimulatedDisk } from "../../support/simulated_disk.ts";
import { interruptedStorage, Interruption } from "./interrupted_storage.ts";
import { LivingDirectory } from "./living_directory.ts";
import { latin1Bytes, latin1Text, type PlainRow } from "./plain_base.ts";

const KEYS = Array.from({ length: 600 }, (_, index) => `key-${index}`);

function round(keyspace: string, step: number) {
  return KEYS.map((key, index) => ({ keyspace, key, increment: BigInt(1 + (index * step) % 7) }));
}

/** A directory with folded counters, and three sealed logs with the same keys. */
async function prepare(storage: Storage): Promise<LivingDirectory> {
  const living = await LivingDirectory.open("/data", { logSize: 2 ** 17, logs: 4, storage });
  await living.write(round("ks", 1));
  await living.seal();
  await living.fold();
  for (const step of [2, 3, 4]) {
    await living.write(round("ks", step));
    if (step === 3) await living.write([{ keyspace: "late", key: "k", increment: 1n }]);
    await living.seal();
  }
  return living;
}

type Answer = { rows: PlainRow[]; rank: number | undefined; list: [string, number | null][] };

async function ask(reader: Reader, what: "page" | "key" | "list"): Promise<Partial<Answer>> {
  const ks = latin1Bytes("ks");
  if (what === "page") {
    const { rows } = await reader.page(ks, { offset: 200, length: 300 });
    return { rows: rows.map(({ key, value }) => ({ key: latin1Text(key), value })) };
  }
  if (what === "key") return { rank: (await reader.key(ks, latin1Bytes("key-77")))?.rank };
  const list = await reader.keyspaces(new Uint8Array(0));
  return { list: list.map(({ name, counters }) => [latin1Text(name), counters]) };
}

/** What may happen in the middle of an answer, in one turn of the event loop. */
const happenings: Record<string, (living: LivingDirectory) => void> = {
  "one fold": (living) => living.foldOneNow(),
  "a fold, and its log in a new generation": (living) => {
    const slot = living.foldOneNow();
    if (slot !== null) living.claimNow(slot);
  },
  "three folds, so that the snapshot is gone": (living) => {
    for (let slot = living.foldOneNow(); slot !== null; slot = living.foldOneNow()) {
      living.claimNow(slot);
    }
  },
};

for (const [name, happen] of Object.entries(happenings)) {
  Deno.test(`An answer is the same with ${name} at any point of it`, async () => {
    for (const what of ["page", "key", "list"] as const) {
      for (const warm of [false, true]) {
        let points = 0;
        for (let isBeyond = false; !isBeyond; points++) {
          isBeyond = !(await answersSame(what, { warm, point: points + 1, happen }));
        }
        // A warm answer may come without a call.
        assert(points > (warm ? 0 : 1), "The answer has points to interrupt");
      }
    }
  });
}

/** False if the answer ended before the point was reached. */
async function answersSame(
  what: "page" | "key" | "list",
  { warm, point, happen }: {
    readonly warm: boolean;
    readonly point: number;
    readonly happen: (living: LivingDirectory) => void;
  },
): Promise<boolean> {
  const disk = new SimulatedDisk({ mappingReserveBytes: 2 ** 17 });
  await using living = await prepare(disk.process("writer"));
  const ranking = living.ranking("ks");
  const expected: Record<typeof what, Partial<Answer>> = {
    page: { rows: ranking.slice(200, 500) },
    key: { rank: ranking.findIndex(({ key }) => key === "key-77") },
    list: { list: [["ks", KEYS.length], ["late", 1]] },
  };
  const interruption = new Interruption();
  const storage = interruptedStorage(disk.process("reader"), interruption);
  using directory = living.openAgain(storage);
  using reader = new Reader(directory, { stale: false, clock: systemClock, events: noEvents });
  if (warm) assertEquals(await ask(reader, what), expected[what]);
  interruption.after(point, () => happen(living));
  assertEquals(await ask(reader, what), expected[what], `${what}, point ${point}`);
  const hasHappened = interruption.hasHappened;
  // And whatever happened, the next answer is right as well.
  assertEquals(await ask(reader, what), expected[what], `${what} after ${point}`);
  return hasHappened;
}
