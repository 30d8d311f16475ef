/** Clients of a server that takes connections and says nothing. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { runCountd } from "../support/process.ts";

// One wait of 30 s for all three, because the limit is not an option.
Deno.test("Clients give up on a server that neither reads nor sends for 30 s", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const address = `127.0.0.1:${listener.addr.port}`;
  const connect = ["--connect", address];
  const ends = await Promise.all([
    runCountd(["incr", "pages", "/", ...connect]),
    // More than the buffers of the system hold, and never acknowledged.
    runCountd(["load", ...connect], { stdin: "pages\t/\n".repeat(60_000) }),
    runCountd(["get", "pages", "/", ...connect]),
  ]);
  for (const [index, { code, stderr, text }] of ends.entries()) {
    assertEquals([code, text], [4, ""], stderr);
    assertStringIncludes(stderr, index === 2 ? `${address} does not answer` : "for 30 s");
  }
  assertStringIncludes(
    ends[0]?.stderr ?? "",
    "of 1 messages none was answered, and it is not known which of the others count",
  );
});
