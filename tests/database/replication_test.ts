/**
 * The log used for replication, as a leader would use it. There are three databases, and one follower
 * that missed some entries and has others. The leader commits what a majority has.
 */

import { assertEquals, assertRejects } from "@std/assert";
import { type DB, type Entry, init } from "../../src/database/mod.ts";
import { systemStorage } from "../../src/file/mod.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { databaseText, setOf } from "./model.ts";

/** Handles a leader's message as a follower: agrees on a prefix, takes the rest, commits. */
async function follow(
  node: DB,
  message: {
    readonly before: number;
    readonly termBefore: bigint;
    readonly entries: readonly Entry[];
    readonly committed: number;
  },
): Promise<boolean> {
  const { before, termBefore, entries, committed } = message;
  const { log } = node;
  if (log.length < before) return false;
  if (before > 0 && log.entries.at(before - 1)?.term !== termBefore) return false;
  const mine = log.entries.slice(before, before + entries.length);
  const same = entries.findIndex((entry, index) => mine[index]?.term !== entry.term);
  // What agrees stays; the first entry of another term ends what this node had.
  if (same >= 0) await log.replaceFrom(before + same, entries.slice(same));
  await log.commit(Math.min(committed, log.length));
  return true;
}

/** Brings a follower up to date: sends from further and further back until the follower agrees. */
async function bring(leader: DB, follower: DB): Promise<void> {
  const { log } = leader;
  for (let before = log.length; before >= 0; before--) {
    const message = {
      before,
      termBefore: log.entries.at(before - 1)?.term ?? 0n,
      entries: log.entries.slice(before),
      committed: log.committed,
    };
    if (await follow(follower, message)) return;
  }
  throw new Error("A follower did not agree on the empty log");
}

Deno.test("A leader and two followers agree through appendEntry, replaceFrom and commit", async () => {
  await withTemporaryDirectory(async (directory) => {
    const storage = systemStorage();
    const start = (name: string) =>
      init(`${directory}/${name}`, `${directory}/${name}.log`, { storage, sync: "always" });
    const nodes = [start("one"), start("two"), start("three")];
    let [one, two, three] = nodes as [DB, DB, DB];

    // Term 1: one leads; two has its entries, three saw only the first.
    for (const key of ["a", "b", "c"]) await one.log.appendEntry(setOf(key, "1", 1n));
    await bring(one, two);
    await three.log.appendEntry(setOf("a", "1", 1n));
    await one.log.commit(3);
    await bring(one, two);
    assertEquals(await two.read("c"), "1");

    // Term 2: three believed itself a leader, and took entries that no other node has.
    await three.log.appendEntries([setOf("b", "lost", 2n), setOf("x", "lost", 2n)]);
    await assertRejects(() => three.read("x"));

    // Term 3: two leads. A restart of it changes nothing.
    await two.close();
    two = start("two");
    await two.log.appendEntry(setOf("d", "3", 3n));
    await bring(two, three);
    await two.log.commit(4);
    await bring(two, one);
    await bring(two, three);

    for (const node of [one, two, three]) {
      assertEquals(databaseText(node), databaseText(two));
      assertEquals(await node.read("b"), "1");
      await assertRejects(() => node.read("x"));
    }
    for (const node of [one, two, three]) await node.close();
    one = start("one");
    assertEquals([one.log.length, one.log.committed, await one.read("d")], [4, 4, "3"]);
    await one.close();
  });
});
