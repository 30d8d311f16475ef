/** The one HTTP server, with handlers that fail or do not end. */

import { assert, assertEquals } from "@std/assert";
import { type Clock, systemClock } from "../../src/base/clock.ts";
import { noEvents } from "../../src/base/events.ts";
import { serveHttp } from "../../src/net/mod.ts";
import { overridden } from "../support/overridden.ts";
import { within } from "../support/wait.ts";

const address = { hostname: "127.0.0.1", port: 0 };

Deno.test("An error of the handler is answered with 500, and reported without a stack", async () => {
  const said: unknown[] = [];
  const server = serveHttp({
    ...address,
    maxConnections: 10,
    clock: systemClock,
    events: { report: (level, event, fields) => void said.push([level, event, fields]) },
    handler: () => {
      throw new Error("broken");
    },
  });
  const response = await fetch(`http://127.0.0.1:${server.address.port}/`);
  assertEquals([response.status, await response.text()], [500, "Internal error\n"]);
  assertEquals(said, [["error", "request failed", { reason: "Error: broken" }]]);
  await within("the stop", server.stop());
});

Deno.test("A stop waits for an answer, then refuses what is late, and ends also if that does not help", async () => {
  for (const helps of [true, false]) {
    const sleeps: number[] = [];
    // Every pause of a stop is over at once.
    const clock: Clock = {
      ...systemClock,
      nowMs: () => systemClock.nowMs(),
      wallMs: () => systemClock.wallMs(),
      sleep(ms) {
        sleeps.push(ms);
        return systemClock.sleep(1);
      },
    };
    const asked = Promise.withResolvers<void>();
    const late = Promise.withResolvers<Response>();
    let isLate = false;
    const server = serveHttp({
      ...address,
      maxConnections: 10,
      clock,
      events: noEvents,
      handler: () => {
        asked.resolve();
        return late.promise;
      },
      onLate: () => {
        isLate = true;
        if (helps) late.resolve(new Response("late"));
      },
    });
    const answer = fetch(`http://127.0.0.1:${server.address.port}/`).then((one) => one.text());
    await asked.promise;
    await within("the stop", server.stop());
    assert(isLate);
    assertEquals(sleeps, [5000, 1000]);
    late.resolve(new Response("late"));
    assertEquals(await answer, "late");
  }
});

// Story: after an accept that failed the port is opened by a new server, and a stop shut down only the newest
// one. A request of the server before it was cut off in the middle, with the process.
Deno.test("A stop waits for requests that began before an accept failed", async () => {
  const realServe = Deno.serve;
  const failed = Promise.withResolvers<void>();
  const isReopened = Promise.withResolvers<void>();
  const servers: Deno.HttpServer<Deno.NetAddr>[] = [];
  // The first server is closed by the test, and says that an accept failed.
  Deno.serve = ((options: Deno.ServeTcpOptions & Deno.ServeInit<Deno.NetAddr>) => {
    const server = realServe(options);
    servers.push(server);
    if (servers.length > 1) isReopened.resolve();
    return servers.length > 1 ? server : overridden(server, { finished: failed.promise });
  }) as typeof Deno.serve;
  try {
    const asked = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<Response>();
    const handler = () => (asked.resolve(), answer.promise);
    const server = serveHttp({
      ...address,
      maxConnections: 10,
      clock: systemClock,
      events: noEvents,
      handler,
    });
    const text = fetch(`http://127.0.0.1:${server.address.port}/`).then((one) => one.text());
    await asked.promise;
    const closed = servers[0]!.shutdown();
    failed.reject(new Error("Too many open files"));
    await within("the new server", isReopened.promise);
    let isStopped = false;
    const stopped = server.stop().then(() => isStopped = true);
    await systemClock.sleep(100);
    assert(!isStopped, "the request has not been answered yet");
    answer.resolve(new Response("answered"));
    await within("the stop", stopped);
    assertEquals(await text, "answered");
    await closed;
  } finally {
    Deno.serve = realServe;
  }
});
