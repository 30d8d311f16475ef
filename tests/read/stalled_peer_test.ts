/** Peers of the read port that ask and take nothing. */

import { assertEquals } from "@std/assert";
import { type Clock, systemClock } from "../../src/base/clock.ts";
import { waitUntil, within } from "../support/wait.ts";
import { RequestSocket } from "./request_socket.ts";
import { counters, page, withServer } from "./served_directory.ts";

Deno.test("A peer that takes no replies is cut off after 30 s, and the others are served meanwhile", async () => {
  let nowMs = 0;
  const clock: Clock = { ...systemClock, nowMs: () => nowMs };
  await withServer(async (living, server, metrics) => {
    const all = counters("ks", 4000);
    await living.write(all);
    using stuck = await RequestSocket.connect(server.address);
    const many = new Uint8Array(272 * 400);
    for (let index = 0; index < 400; index++) many.set(page("ks", 0, 4000), index * 272);
    // Some 25 MB of replies, far more than the sockets hold.
    await stuck.send(many);
    using other = await RequestSocket.connect(server.address);
    await other.send(page("ks", 0, 1));
    assertEquals((await other.reply()).rows, 1);
    await waitUntil("the replies to stand still", async () => {
      const before = metrics.counter("countd_bytes_total", "out").value;
      await new Promise((resolve) => setTimeout(resolve, 50));
      return metrics.counter("countd_bytes_total", "out").value === before;
    });
    nowMs = 31_000;
    // Counting it is not enough: once the write to it waited on for as long as the peer lived, held its
    // place and its share of the output, and was counted anew each second.
    await waitUntil("the stuck one to be gone", () => {
      return metrics.gauge("countd_connections").value === 1;
    });
    nowMs = 62_000;
    await systemClock.sleep(1100);
    assertEquals(metrics.counter("countd_connections_total", "stalled").value, 1);
    await other.send(page("ks", 0, 1));
    assertEquals((await other.reply()).rows, 1);
  }, { clock });
});

Deno.test("A server stops although a peer takes no replies", async () => {
  await withServer(async (living, server, metrics) => {
    await living.write(counters("ks", 4000));
    using stuck = await RequestSocket.connect(server.address);
    for (let index = 0; index < 400; index++) await stuck.send(page("ks", 0, 4000));
    await waitUntil("the replies to stand still", async () => {
      const before = metrics.counter("countd_bytes_total", "out").value;
      await systemClock.sleep(100);
      return before > 0 && metrics.counter("countd_bytes_total", "out").value === before;
    });
    await within("the stop", server.stop(), { deadlineMs: 20_000 });
    assertEquals(metrics.gauge("countd_connections").value, 0);
  });
});
