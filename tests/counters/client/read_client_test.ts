/** The client of the read port beside servers that are none, and callers that do not wait. */

import { assertEquals, assertRejects } from "@std/assert";
import { ConnectError } from "../../../src/base/errors.ts";
import { ReadClient } from "../../../src/counters/client/mod.ts";
import { DEFAULT_SIZES } from "../../../src/counters/wire/mod.ts";
import { counters, withServer } from "../read/served_directory.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

// The story: a request sent to the write port is a piece of a message there, so the server waits for the
// rest, and the client waited for ever for a reply.
Deno.test("A server that says nothing is given up, and the message asks what port it is", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepted = listener.accept();
  const address = listener.addr as Deno.NetAddr;
  using client = await ReadClient.connect(address, DEFAULT_SIZES, { silenceMs: 100 });
  using _peer = await accepted;
  await assertRejects(() => client.value(bytes("ks"), bytes("k")), ConnectError, "the read port");
});

Deno.test("Questions that overlap are asked in turn, and each gets its own answer", async () => {
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
