/** The embedded engine, as a program that imports `@countd/countd/counters` sees it. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { CorruptError, UsageError } from "../../src/base/errors.ts";
import { Counters } from "../../src/counters/mod.ts";
import { checkData } from "../support/check_data.ts";
import { runCountd } from "../support/process.ts";
import { Random, seedForTest } from "../support/random.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";

const texts = (rows: readonly { name: string; value: bigint }[]) =>
  rows.map(({ name, value }) => `${value} ${name}`);

Deno.test("Increments of a program are seen by its next read, before and after a fold", async () => {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    {
      await using counters = await Counters.open(data);
      await counters.increment("visits", "/about", 2);
      await counters.batch([
        { keyspace: "visits", key: "/" },
        { keyspace: "visits", key: "/", by: 40n },
        { keyspace: "votes", key: new Uint8Array([0xff]), by: -1 },
        { keyspace: "visits", key: "/never", by: 0 },
      ]);
      for (const isFolded of [false, true]) {
        if (isFolded) await counters.fold();
        assertEquals(texts(await counters.top("visits")), ["41 /", "2 /about"]);
        assertEquals(texts(await counters.top("visits", { offset: 1, length: 1 })), ["2 /about"]);
        assertEquals(await counters.get("visits", "/"), 41n);
        assertEquals(await counters.get("visits", "/never"), null);
        assertEquals(await counters.rank("visits", "/about"), 1);
        assertEquals((await counters.top("votes"))[0]?.key, new Uint8Array([0xff]));
        assertEquals(await counters.top("unknown"), []);
      }
      await counters.increment("visits", "/about", 50);
      assertEquals(await counters.rank("visits", "/about"), 0);
    }
    const { text } = await runCountd(["top", "visits", "--data", data]);
    assertEquals(text, "52\t/about\n41\t/\n");
    checkData(data);
  });
});

Deno.test("A batch of many keyspaces and keys crosses frames and logs, and each counts once", async () => {
  await withTemporaryDirectory(async (directory) => {
    const random = new Random(seedForTest("the embedded engine"));
    const sums = new Map<string, bigint>();
    await using counters = await Counters.open(directory, { logSize: 65_536, sync: "os" });
    for (let round = 0; round < 4; round++) {
      const increments = Array.from({ length: 9000 }, () => {
        const keyspace = `k${random.below(300)}`;
        const by = BigInt(random.below(1000)) - 300n;
        if (by !== 0n) sums.set(keyspace, (sums.get(keyspace) ?? 0n) + by);
        return { keyspace, key: "a key of some length", by };
      });
      await Promise.all([
        counters.batch(increments.slice(0, 10)),
        counters.batch(increments.slice(10)),
      ]);
      if (round % 2 === 1) await counters.fold();
    }
    for (const [keyspace, sum] of [...sums].slice(0, 300)) {
      assertEquals(await counters.get(keyspace, "a key of some length"), sum);
    }
    await counters.fold();
    checkData(directory, { labels: false });
  });
});

Deno.test("Names and counts that cannot be are refused before anything is written", async () => {
  await withTemporaryDirectory(async (directory) => {
    const counters = await Counters.open(directory);
    for (
      const [keyspace, key, by] of [
        ["", "a", 1],
        ["k".repeat(257), "a", 1],
        ["k", "a\0", 1],
        ["k", "a", 1.5],
        ["k", "a", 2n ** 63n],
        ["k", "a", NaN],
      ] as const
    ) {
      const increments = [{ keyspace: "k", key: "good" }, { keyspace, key, by }];
      await assertRejects(() => counters.batch(increments), UsageError);
    }
    assertEquals(await counters.top("k"), []);
    await counters[Symbol.asyncDispose]();
    await counters[Symbol.asyncDispose]();
    await assertRejects(() => counters.get("k", "good"), UsageError, "closed");
  });
});

Deno.test("A batch that waits for a free log goes on when the same program folds", async () => {
  await withTemporaryDirectory(async (directory) => {
    const backlog = { logSize: 65_536, backlogBytes: 8 * 65_536, sync: "os" } as const;
    await using counters = await Counters.open(directory, backlog);
    const increments = Array.from({ length: 40_000 }, (_, index) => {
      return { keyspace: "k", key: `a key of some length ${index % 7}` };
    });
    let isAccepted = false;
    const accepted = counters.batch(increments).then(() => isAccepted = true);
    while (!isAccepted) await counters.fold();
    await accepted;
    let sum = 0n;
    for (const { value } of await counters.top("k")) sum += value;
    assertEquals(sum, 40_000n);
    await counters.fold();
    checkData(directory, { labels: false });
  });
});

Deno.test("A program that starts on a full backlog can fold it, and its increments go on", async () => {
  await withTemporaryDirectory(async (directory) => {
    const backlog = { logSize: 65_536, backlogBytes: 8 * 65_536, sync: "os" } as const;
    const increments = Array.from({ length: 40_000 }, () => ({ keyspace: "k", key: "a long key" }));
    {
      await using counters = await Counters.open(directory, backlog);
      const batch = counters.batch(increments);
      await Promise.race([batch, new Promise((resolve) => setTimeout(resolve, 500))]);
      batch.catch(() => {});
    }
    await using counters = await Counters.open(directory, backlog);
    const before = await counters.get("k", "a long key") ?? 0n;
    assert(before > 0n && before < 40_000n, `${before} fill the backlog`);
    const accepted = counters.increment("k", "a long key");
    await counters.fold();
    await accepted;
    assertEquals(await counters.get("k", "a long key"), before + 1n);
    await counters.fold();
    checkData(directory, { labels: false });
  });
});

Deno.test("A damaged log makes every question of a program a CorruptError", async () => {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    {
      await using counters = await Counters.open(data, { logSize: 65_536, sync: "always" });
      for (const key of ["/first", "/second"]) await counters.increment("visits", key);
    }
    const log = `${data}/logs/0000000000`;
    Deno.chmodSync(log, 0o600);
    const bytes = Deno.readFileSync(log);
    const at = new TextDecoder("latin1").decode(bytes).indexOf("/first");
    assert(at > 0);
    bytes[at]! ^= 1;
    Deno.writeFileSync(log, bytes);
    await using counters = await Counters.open(data);
    await assertRejects(() => counters.get("visits", "/second"), CorruptError, log);
    await assertRejects(() => counters.rank("visits", "/second"), CorruptError, log);
    await assertRejects(() => counters.top("visits"), CorruptError, log);
    await assertRejects(() => counters.top("unknown"), CorruptError, log);
  });
});
