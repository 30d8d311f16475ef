/** Races of real processes: each round one key, the processes in lock step. */

import { assert, assertEquals } from "@std/assert";
import { systemStorage } from "../../src/file/mod.ts";
import { checkTables } from "../../src/tables/mod.ts";
import type { Call } from "../support/linearizability.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { valueText } from "./client.ts";
import { type Clients, runClients } from "./clients.ts";
import { listValues } from "./support.ts";
import { FullCount } from "../support/full_count.ts";

/** Makes something for each round of a race, which has a key of its own. */
type Rounds = <T>(make: (key: string, round: number) => T) => T[];

/** A test of 300 rounds, and of 3,000 in its full count. */
function testOfRounds(name: string, body: (rounds: Rounds) => Promise<void>): void {
  const count = new FullCount(name);
  Deno.test(name, async () => {
    for (const length of count.sizes(300, 3000)) {
      await body((make) => Array.from({ length }, (_, round) => make(`k${round}`, round)));
    }
  });
}

async function withClients(body: (clients: Clients) => Promise<void>): Promise<void> {
  await withTemporaryDirectory(async (directory) => {
    const root = `${directory}/tables`;
    await body({ directory, root });
    assertEquals(checkTables(systemStorage(), root), []);
  });
}

/** Puts a value under every key of the rounds, without going through the code under test. */
function putAll(root: string, value: string, rounds: Rounds): void {
  Deno.mkdirSync(root, { mode: 0o700 });
  rounds((key) => Deno.writeTextFileSync(`${root}/${key}.kv`, value, { mode: 0o600 }));
}

/** How often the rounds are repeated if the machine was too busy for a single race in them. */
const TRIES = 20;

/**
 * Run the rounds on a fresh root, and again if none of them was a race. How many are depends on how busy
 * the machine is. None in all tries would mean that the test races nothing.
 */
async function withRaces(
  body: (clients: Clients) => Promise<readonly [Call[], Call[]]>,
): Promise<void> {
  for (let tries = 0; tries < TRIES; tries++) {
    let raced = 0;
    await withClients(async (clients) => {
      raced = overlapping(...await body(clients));
    });
    if (raced > 0) return;
  }
  throw new Error(`No round was a race in ${TRIES} tries`);
}

/** Rounds in which each call began before the other ended. */
function overlapping(one: readonly Call[], other: readonly Call[]): number {
  const raced = one.filter((call, round) => {
    const rival = other[round] as Call;
    return call.start < rival.end && rival.start < call.end;
  }).length;
  console.log(`${raced} of ${one.length} rounds overlapped`);
  return raced;
}

testOfRounds("Of two creates of one key exactly one succeeds", async (rounds) => {
  await withRaces(async (clients) => {
    const creates = (name: string) => ({
      job: "script" as const,
      inLockStep: true,
      calls: rounds((key) => ({ kind: "create" as const, key, value: valueText(`${name}${key}`) })),
    });
    const [one, other] = await runClients(clients, [creates("a"), creates("b")]) as [
      Call[],
      Call[],
    ];
    rounds((key, round) => {
      const outcomes = [one[round]?.outcome, other[round]?.outcome];
      assertEquals(outcomes.toSorted(), ["exists", "ok"], key);
      const winner = outcomes[0] === "ok" ? "a" : "b";
      assertEquals(
        Deno.readTextFileSync(`${clients.root}/${key}.kv`),
        valueText(`${winner}${key}`),
      );
    });
    return [one, other];
  });
});

testOfRounds("Every read during a race of sets is one whole value", async (rounds) => {
  await withClients(async (clients) => {
    const writers = Array.from({ length: 8 }, (_, writer) => ({
      job: "script" as const,
      inLockStep: false,
      calls: Array.from({ length: Math.ceil(rounds(() => null).length / 8) }, (_, count) => ({
        kind: "set" as const,
        key: "k",
        value: valueText(`${writer}-${count}-${writer}`, 4096),
      })),
    }));
    const reader = {
      job: "script" as const,
      inLockStep: false,
      calls: rounds(() => ({ kind: "get" as const, key: "k" })),
    };
    // Readers may end before the first of the racing sets, so there is a value before all of them.
    const first = { kind: "set" as const, key: "k", value: valueText("first", 4096) };
    await runClients(clients, [{ job: "script", inLockStep: false, calls: [first] }]);
    const sets = [first, ...writers.flatMap(({ calls }) => calls)];
    const written = new Set(sets.map(({ value }) => value));
    const results = await runClients(clients, [...writers, reader, reader]);
    for (const read of [...results[8] as Call[], ...results[9] as Call[]]) {
      assert(written.has(read.value as string), `a read found ${read.value?.slice(0, 60)}`);
    }
    assert(results.flat().every(({ outcome }) => outcome !== "unchanged"), "no call timed out");
    assertEquals(listValues(clients.root), ["k.kv"]);
  });
});

testOfRounds(
  "A get during the first set finds nothing or the value, never an empty one",
  async (rounds) => {
    await withClients(async (clients) => {
      const [, reads] = await runClients(clients, [
        {
          job: "script",
          inLockStep: true,
          calls: rounds((key) => ({ kind: "set", key, value: valueText(key) })),
        },
        {
          job: "script",
          inLockStep: true,
          calls: rounds((key) => ({ kind: "get", key })),
        },
      ]) as [Call[], Call[]];
      for (const { key, value, outcome } of reads) {
        assert(outcome === "absent" || value === valueText(key), `${key} was ${value}`);
      }
      rounds((key) =>
        assertEquals(Deno.readTextFileSync(`${clients.root}/${key}.kv`), valueText(key))
      );
    });
  },
);

testOfRounds("After a get during a delete the key is absent", async (rounds) => {
  await withRaces(async (clients) => {
    putAll(clients.root, "value", rounds);
    const [reads, deletes] = await runClients(clients, [
      {
        job: "script",
        inLockStep: true,
        calls: rounds((key) => ({ kind: "get", key })),
      },
      {
        job: "script",
        inLockStep: true,
        calls: rounds((key) => ({ kind: "delete", key })),
      },
    ]) as [Call[], Call[]];
    for (const { value, outcome } of reads) assert(outcome === "absent" || value === "value");
    assert(deletes.every(({ outcome }) => outcome === "ok"));
    assertEquals(listValues(clients.root), []);
    return [reads, deletes];
  });
});

testOfRounds("An update during a delete never brings the key back", async (rounds) => {
  await withRaces(async (clients) => {
    putAll(clients.root, "value", rounds);
    const [updates, deletes] = await runClients(clients, [
      {
        job: "script",
        inLockStep: true,
        calls: rounds((key) => ({ kind: "update", key, value: "newer" })),
      },
      {
        job: "script",
        inLockStep: true,
        calls: rounds((key) => ({ kind: "delete", key })),
      },
    ]) as [Call[], Call[]];
    assert(updates.every(({ outcome }) => outcome === "ok" || outcome === "absent"));
    assert(deletes.every(({ outcome }) => outcome === "ok"));
    // An update that succeeded came before the delete, so the key is gone either way.
    assertEquals(listValues(clients.root), []);
    return [updates, deletes];
  });
});
