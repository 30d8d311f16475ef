/** Forms that take long to decode do not hold the event loop. */

import { assert, assertEquals } from "@std/assert";
import { type Clock, systemClock } from "../../../src/base/clock.ts";
import { newHandler } from "../../../src/database/http/mod.ts";
import { withHandler } from "./support.ts";

const encoder = new TextEncoder();

// Story: a form of 16 MiB held the event loop, and all other requests, until it was decoded.
Deno.test("A long form is decoded in many turns, and other requests are answered in between", async () => {
  await withHandler(async ({ db }) => {
    let nowMs = 0;
    let turns = 0;
    const clock: Clock = {
      // Each look at the time ends a turn.
      nowMs: () => nowMs += 10,
      wallMs: () => nowMs,
      sleep: async (ms, signal) => {
        // The watch over the body does not end a turn.
        if (ms > 0) return await systemClock.sleep(ms, signal);
        turns++;
        const response = await handler(new Request("http://localhost/status"));
        assertEquals(response.status, 200);
        await response.body?.cancel();
      },
    };
    const handler = newHandler(db, { clock });
    const body = encoder.encode("value=" + "+".repeat(16 * 2 ** 20 - 6));
    const request = (key: string, type: string, part: Uint8Array<ArrayBuffer>) =>
      handler(
        new Request(`http://localhost/set/${key}`, {
          method: "POST",
          body: part,
          headers: { "content-type": type },
        }),
      );
    // The body itself comes in pieces, which take turns as well.
    assertEquals((await request("raw", "text/plain", body)).status, 200);
    const forRaw = turns;
    turns = 0;
    assertEquals((await request("form", "application/x-www-form-urlencoded", body)).status, 200);
    assert(turns >= forRaw + 20, `${turns} turns, ${forRaw} for a body that is not a form`);
    turns = 0;
    const head = '--b\r\nContent-Disposition: form-data; name="value"\r\n\r\n';
    const multipart = encoder.encode(`${head}${"x".repeat(15 * 2 ** 20)}\r\n--b--\r\n`);
    assertEquals((await request("part", "multipart/form-data; boundary=b", multipart)).status, 200);
    assert(turns >= forRaw + 20, `${turns} turns, ${forRaw} for a body that is not a form`);
    assert(forRaw >= 20, `${forRaw} turns`);
  });
});
