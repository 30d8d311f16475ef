/** Histories of eight processes on four keys, which would show a broken store. */

import { assert, assertEquals } from "@std/assert";
import { systemStorage } from "../../src/file/mod.ts";
import { checkTables } from "../../src/tables/mod.ts";
import { type Call, type CallKind, findContradiction } from "../support/linearizability.ts";
import { FullCount } from "../support/full_count.ts";
import { Random, seedForTest } from "../support/random.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { runClients } from "./clients.ts";
import { listValues } from "./support.ts";

const PROCESSES = 8;
const KEYS = ["a", "b", "c", "d"];
const calls = new FullCount("calls of tables", { weight: 3 });
const durableCalls = new FullCount("durable calls of tables");

/** A recorded history, with what the disk holds at the end as a last read of each key. */
async function record(
  seed: number,
  options: { calls: number; sync: "always" | "os" },
): Promise<Call[]> {
  return await withTemporaryDirectory(async (directory) => {
    const root = `${directory}/tables`;
    const results = await runClients(
      { directory, root, sync: options.sync },
      Array.from({ length: PROCESSES }, (_, process) => ({
        job: "mix" as const,
        seed: seed + process,
        count: options.calls / PROCESSES,
        keys: KEYS,
      })),
    );
    assertEquals(checkTables(systemStorage(), root), []);
    const files = listValues(root);
    assert(files.every((file) => KEYS.includes(file.slice(0, -3))), files.join());
    const last = KEYS.map((key): Call => {
      const present = files.includes(`${key}.kv`);
      return {
        process: PROCESSES,
        kind: "get",
        key,
        value: present ? Deno.readTextFileSync(`${root}/${key}.kv`) : null,
        outcome: present ? "ok" : "absent",
        start: 2 ** 40,
        end: 2 ** 40 + 1,
      };
    });
    return [...results.flat(), ...last];
  });
}

Deno.test(`Calls of ${PROCESSES} processes on ${KEYS.length} keys are linearizable`, async () => {
  const seed = seedForTest("linearizability of tables");
  for (const count of calls.sizes(8_000, 100_000)) await assertLinearizable(seed, count);
});

async function assertLinearizable(seed: number, count: number): Promise<void> {
  const history = await record(seed, { calls: count, sync: "os" });
  assertEquals(history.length, count + KEYS.length);
  const contradiction = findContradiction(history);
  assertEquals(contradiction, null);
  for (const outcome of ["ok", "absent", "exists"]) {
    assert(history.filter((call) => call.outcome === outcome).length > count / 100, outcome);
  }
  assert(history.every(({ outcome }) => outcome !== "unchanged"), "no call timed out");

  // The same history with one falsified answer is found to be impossible, whatever the falsehood.
  const random = new Random(seed);
  for (const falsify of [staleRead, secondCreate, lostDelete, resurrection]) {
    const { name } = falsify;
    const planted = falsify(history, random);
    assert(findContradiction(planted) !== null, `${name} was not caught`);
  }
}

Deno.test("Calls that wait for the disk are linearizable too", async () => {
  const seed = seedForTest("linearizability of durable tables");
  for (const calls of durableCalls.sizes(800, 10_000)) {
    const history = await record(seed, { calls, sync: "always" });
    assertEquals(findContradiction(history), null);
  }
});

function replaced(history: readonly Call[], call: Call, by: Partial<Call>): Call[] {
  return history.map((other) => other === call ? { ...call, ...by } : other);
}

/** A read gets the value that a write, long overwritten, had put there. */
function staleRead(history: readonly Call[], random: Random): Call[] {
  const read = random.pick(
    history.filter(({ kind, outcome, start }) =>
      kind === "get" && outcome === "ok" && start > history.length
    ),
  );
  const old = history.find(({ kind, key, end }) =>
    kind === "set" && key === read.key && end < read.start / 4
  ) as Call;
  return replaced(history, read, { value: old.value });
}

/** A create succeeds on a key that a read has just found, and that no call deletes in between. */
function secondCreate(history: readonly Call[], random: Random): Call[] {
  const { key, end } = random.pick(
    history.filter((call) =>
      call.kind === "get" && call.outcome === "ok" && isQuiet(history, call, ["delete"])
    ),
  );
  return [...history, addedAfter(end, { key, kind: "create", value: "x" })];
}

/** A delete has just succeeded, and a read finds a value that was written long before it. */
function lostDelete(history: readonly Call[], random: Random): Call[] {
  const { key, start } = random.pick(
    history.filter((call) =>
      call.kind === "get" && call.outcome === "ok" &&
      history.some(({ kind, value, end }) =>
        kind !== "get" && value === call.value && end < call.start - 1
      )
    ),
  );
  return [...history, addedAfter(start - 1, { key, kind: "delete", value: null })];
}

/** An update succeeds on a key that a read has just found absent, and that no call makes in between. */
function resurrection(history: readonly Call[], random: Random): Call[] {
  const { key, end } = random.pick(
    history.filter((call) =>
      call.kind === "get" && call.outcome === "absent" &&
      isQuiet(history, call, ["set", "create"])
    ),
  );
  return [...history, addedAfter(end, { key, kind: "update", value: "x" })];
}

/** Whether no call of these kinds on the same key overlaps the moment after a call. */
function isQuiet(history: readonly Call[], { key, start, end }: Call, kinds: CallKind[]): boolean {
  return !history.some((other) =>
    other.key === key && kinds.includes(other.kind) && other.outcome === "ok" &&
    other.start < end + 1 && other.end > start
  );
}

/** A call that succeeds between one ticket and the next. */
function addedAfter(ticket: number, call: Pick<Call, "key" | "kind" | "value">): Call {
  const times = { start: ticket + 0.25, end: ticket + 0.75 };
  return { ...call, ...times, process: PROCESSES, outcome: "ok" };
}
