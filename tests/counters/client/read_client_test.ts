/** The client of the read port with servers of other protocols, and with calls that overlap. */

import { assertEquals, assertRejects } from "@std/assert";
import { ConnectError } from "../../../src/base/errors.ts";
import { ReadClient } from "../../../src/counters/client/mod.ts";
import { DEFAULT_SIZES } from "../../../src/counters/wire/mod.ts";
import { counters, withServer } from "../read/served_directory.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

// Story: a request sent to the write port is a part of a message there, so the server waits for the rest,
// and the client waited forever for a reply.
Deno.test("If a server is silent the client stops waiting, and its message asks what port it is", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepted = listener.accept();
  const address = listener.addr as Deno.NetAddr;
  using client = await ReadClient.connect(address, DEFAULT_SIZES, { silenceMs: 100 });
  using _peer = await accepted;
  await assertRejects(() => client.value(bytes("ks"), bytes("k")), ConnectError, "the read port");
});

Deno.test("Requests that overlap are sent one by one, and each gets its own reply", async () => {
  await withServer(async (living, { address }) => {
    await living.write(counters("ks", 50));
    const ranking = living.ranking("ks");
    using client = await ReadClient.connect(address, DEFAULT_SIZES);
    const [values, page, keyspaces, missing] = await Promise.all([
      Promise.all(ranking.map(({ key }) => client.value(bytes("ks"), bytes(key)))),
      client.page(bytes("ks"), { offset: 0, length: 10 }),
      client.keyspaces(bytes("")),
      client.value(bytes("ks"), bytes("none")),
    ]);
    assertEquals(values, ranking.map(({ value }) => value));
    assertEquals(page.rows.map(({ value }) => value), ranking.slice(0, 10).map((row) => row.value));
    assertEquals(keyspaces.map(({ counters }) => counters), [50]);
    assertEquals(missing, null);
  });
});
