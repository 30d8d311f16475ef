/** Tables on the simulated disk: which values a key may have after a crash. */

import { assert, assertEquals } from "@std/assert";
import { checkTables, KeyExistsError, KeyNotFoundError, TableRoot } from "../../src/tables/mod.ts";
import type { Random } from "../support/random.ts";
import type { SimulatedDisk } from "../support/simulated_disk.ts";
import type { Subject } from "./explore.ts";

const ROOT = "/data/tables";

/** What each key may hold: the acknowledged value, and those of calls that had not returned. */
export type TableOracle = Map<string, { known: string | null; maybe: (string | null)[] }>;

export type TableStep = readonly [
  call: "set" | "create" | "update" | "delete",
  table: string,
  key: string,
  value: string,
];

const encoder = new TextEncoder();
const decoder = new TextDecoder();

async function apply(root: TableRoot, step: TableStep): Promise<void> {
  const [call, name, key, value] = step;
  const table = root.table(name);
  if (call === "delete") return await table.delete(key);
  try {
    await table[call](key, encoder.encode(value));
  } catch (error) {
    const legal = call === "create" && error instanceof KeyExistsError ||
      call === "update" && error instanceof KeyNotFoundError;
    if (!legal) throw error;
  }
}

/** The value of a key after a call that returned. */
function effect(step: TableStep, before: string | null): string | null {
  const [call, , , value] = step;
  if (call === "delete") return null;
  if (call === "create" && before !== null) return before;
  if (call === "update" && before === null) return null;
  return value;
}

async function read(root: TableRoot, place: string): Promise<string | null> {
  const [name, key] = place.split("|") as [string, string];
  try {
    return decoder.decode(await root.table(name).get(key));
  } catch (error) {
    if (error instanceof KeyNotFoundError) return null;
    throw error;
  }
}

/** `steps` returns the calls of one life. */
export function tableSubject(
  name: string,
  steps: (random: Random | null) => readonly TableStep[],
  random: Random | null = null,
): Subject<TableOracle> {
  const open = (disk: SimulatedDisk, process: string) =>
    new TableRoot(disk.process(process), ROOT, { lockTimeoutMs: 1000 });
  return {
    name,
    newOracle: () => new Map(),
    copyOracle: (oracle) => structuredClone(oracle),
    signature: (oracle) => JSON.stringify([...oracle]),
    prepare(disk) {
      disk.process("prepare").makeDirectory("/data", 0o700);
    },
    async work(disk, oracle) {
      const root = open(disk, "work");
      for (const step of steps(random)) {
        const place = `${step[1]}|${step[2]}`;
        const entry = oracle.get(place) ?? { known: null, maybe: [] };
        oracle.set(place, entry);
        const after = effect(step, entry.known);
        entry.maybe = [after];
        await apply(root, step);
        oracle.set(place, { known: after, maybe: [] });
      }
    },
    async recover(disk, oracle) {
      const root = open(disk, "recover");
      for (const [place, entry] of oracle) {
        const found = await read(root, place);
        const allowed = [entry.known, ...entry.maybe];
        assert(
          allowed.includes(found),
          `${place} holds ${JSON.stringify(found)}, not one of ${JSON.stringify(allowed)}`,
        );
        // An interrupted call is done or not done; the next start decides which.
        if (found === null) {
          await root.table(place.split("|")[0] ?? "").delete(place.split("|")[1]!);
        } else await apply(root, ["set", ...place.split("|") as [string, string], found]);
        oracle.set(place, { known: found, maybe: [] });
      }
    },
    async verify(disk, oracle) {
      const storage = disk.process("verify");
      const root = new TableRoot(storage, ROOT, { lockTimeoutMs: 1000 });
      for (const [place, entry] of oracle) {
        assertEquals(await read(root, place), entry.known, place);
      }
      assertEquals(checkTables(storage, ROOT), []);
      // What that start decided is durable: no later power cut may change it.
      assertEquals(storage.descriptors, 0, "descriptors left open");
    },
  };
}

/** Any calls on a few keys of a few tables. */
export function randomTableSteps(random: Random | null): TableStep[] {
  if (random === null) return [];
  return Array.from({ length: random.between(1, 6) }, () => [
    random.pick(["set", "create", "update", "delete"] as const),
    random.pick(["", "t", "t/u"]),
    random.pick(["a", "b"]),
    String(random.next32()).repeat(random.pick([1, 1, 700])),
  ]);
}
