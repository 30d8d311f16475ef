/** Real clients over real sockets. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { type Clock, systemClock } from "../../../src/base/clock.ts";
import { FailedError } from "../../../src/base/errors.ts";
import { noEvents } from "../../../src/base/events.ts";
import { Metrics } from "../../../src/base/metrics.ts";
import { exportDatabase } from "../../../src/database/mod.ts";
import { systemStorage } from "../../../src/file/mod.ts";
import { newHandler, serveDatabase } from "../../../src/database/http/mod.ts";
import { Faults, faultyStorage } from "../../support/faulty_storage.ts";
import { overridden } from "../../support/overridden.ts";
import { DEADLINE_MS, waitUntil, within } from "../../support/wait.ts";
import { withHandler, withServer } from "./support.ts";

const encoder = new TextEncoder();

/** Sends a request as bytes, on a connection that the test closes. */
async function sendRaw(port: number, text: string): Promise<Deno.TcpConn> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  await connection.write(encoder.encode(text));
  return connection;
}

function post(key: string, body: string, announced = body.length): string {
  return `POST /set/${key} HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n` +
    `Content-Length: ${announced}\r\n\r\n${body}`;
}

Deno.test("Of a hundred concurrent clients that set one key the last one wins, and the log has 100 entries", async () => {
  await withServer(async ({ db, paths, url, get }) => {
    const acknowledged: string[] = [];
    await Promise.all(
      Array.from({ length: 100 }, async (_, index) => {
        const response = await fetch(`${url}/set/x`, { method: "POST", body: `value ${index}` });
        assertEquals([response.status, await response.text()], [200, `value ${index}`]);
        acknowledged.push(`value ${index}`);
      }),
    );
    const entries = [...db.log.entries];
    assertEquals(entries.length, 100);
    assertEquals(entries.map(({ value }) => value).sort(), acknowledged.sort());
    assertEquals(await get("x"), entries.at(-1)?.value);
    const out = `${paths.map}.out`;
    exportDatabase(db, systemStorage(), out);
    const map = JSON.parse(Deno.readTextFileSync(`${out}/db.json`));
    assertEquals(map, { x: entries.at(-1)?.value });
    const log = JSON.parse(Deno.readTextFileSync(`${out}/log.json`));
    assertEquals(log.length, 100);
  }, { sync: "always" });
});

Deno.test("A client reads its own last acknowledged set while other clients set their keys", async () => {
  await withServer(async ({ set, get }) => {
    const clients = Array.from({ length: 20 }, async (_, client) => {
      for (let round = 0; round < 10; round++) {
        await set(`k${client}`, `${round}`);
        assertEquals(await get(`k${client}`), `${round}`);
      }
    });
    await Promise.all(clients);
  });
});

Deno.test("Clients that go away before their reply leave the others unaffected", async () => {
  await withServer(async ({ db, port, set, get }) => {
    await set("x", "before");
    const gone: Deno.TcpConn[] = [];
    for (let index = 0; index < 30; index++) {
      // After the whole request, in the middle of the body, and in the middle of the head.
      const whole = post(`gone-${index}`, "v".repeat(1000));
      const text = [whole, whole.slice(0, 300), whole.slice(0, 20)][index % 3] as string;
      gone.push(await sendRaw(port, text));
    }
    for (const connection of gone) connection.close();
    // A client that asks for a large value and reads nothing of it.
    await set("large", "l".repeat(4 * 2 ** 20));
    const lazy = await sendRaw(port, "GET /get/large HTTP/1.1\r\nHost: localhost\r\n\r\n");
    for (let index = 0; index < 30; index++) {
      assertEquals(await set("x", `${index}`), `${index}`);
      assertEquals(await get("x"), `${index}`);
    }
    lazy.close();
    // A whole request may or may not be carried out; half a value is never stored.
    for (const entry of db.log.entries) {
      if (entry.key.startsWith("gone")) assertEquals(entry.value, "v".repeat(1000));
    }
    const { requestsWaiting } = db.status();
    assertEquals(requestsWaiting, 0);
  });
});

Deno.test("A client that hangs up in the middle of its body causes no event of the server", async () => {
  const said: string[] = [];
  await withServer(
    async ({ port, set }) => {
      const whole = post("gone", "v".repeat(1000));
      for (let index = 0; index < 5; index++) {
        const connection = await sendRaw(port, whole.slice(0, -500));
        await new Promise((resolve) => setTimeout(resolve, 20));
        connection.close();
      }
      await set("x", "1");
    },
    {},
    { report: (level, event) => void said.push(`${level} ${event}`) },
  );
  assertEquals(said, []);
});

Deno.test("A hundred clients hang up while the disk works, and the next one is answered", async () => {
  await withServer(async ({ db, port, set }) => {
    for (let index = 0; index < 100; index++) {
      (await sendRaw(port, post("x", `${index}`))).close();
    }
    assertEquals(await within("an answer", set("y", "1")), "1");
    await waitUntil("the requests to end", () => db.status().requestsWaiting === 0);
  }, { sync: "always" });
});

Deno.test("Two POSTs on one connection, sent at once, are both stored and answered in order", async () => {
  await withServer(async ({ db, port, get }) => {
    const connection = await sendRaw(port, post("x", "first") + post("x", "second"));
    const bytes = new Uint8Array(64 * 1024);
    let length = 0;
    const answered = () => {
      const text = new TextDecoder().decode(bytes.subarray(0, length));
      return text.includes("first") && text.includes("second");
    };
    await within(
      "both answers",
      (async () => {
        while (!answered()) {
          const read = await connection.read(bytes.subarray(length));
          assert(read !== null, "the connection ended");
          length += read;
        }
      })(),
      { deadlineMs: DEADLINE_MS },
    );
    connection.close();
    const text = new TextDecoder().decode(bytes.subarray(0, length));
    assertEquals(text.match(/HTTP\/1\.1 200 OK/g)?.length, 2);
    assert(text.indexOf("first") < text.indexOf("second"));
    assertEquals(await get("x"), "second");
    assertEquals(db.log.length, 2);
  });
});

Deno.test("HEAD over a socket has the length and no body", async () => {
  await withServer(async ({ port, set }) => {
    await set("x", "hello");
    const connection = await sendRaw(
      port,
      "HEAD /get/x HTTP/1.1\r\nHost: localhost\r\n\r\nHEAD /get/none HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    );
    const text = await new Response(connection.readable).text();
    assertEquals(text.match(/HTTP\/1\.1 \d+/g), ["HTTP/1.1 200", "HTTP/1.1 404"]);
    assert(text.includes("content-length: 5"), text);
    assertEquals(text.includes("hello"), false);
  });
});

Deno.test("Keys such as .. are not changed on their way through a socket", async () => {
  await withServer(async ({ db, port }) => {
    for (const key of ["..", ".", "%2e%2e", "a%00b"]) {
      const connection = await sendRaw(
        port,
        post(key, "1").replace("Host: localhost", "Host: localhost\r\nConnection: close"),
      );
      const text = await new Response(connection.readable).text();
      assert(text.startsWith("HTTP/1.1 200"), text);
    }
    assertEquals([...db.entries()].map(([key]) => key), ["..", ".", "a\0b"]);
  });
});

Deno.test("A body that announces more than 16 MiB is refused before it is sent", async () => {
  await withServer(async ({ port, set }) => {
    const connection = await sendRaw(port, post("x", "", 16 * 2 ** 20 + 1));
    const bytes = new Uint8Array(1024);
    const length = await within("the refusal", connection.read(bytes));
    const text = new TextDecoder().decode(bytes.subarray(0, length ?? 0));
    assert(text.startsWith("HTTP/1.1 413"), text);
    connection.close();
    assertEquals(await set("x", "1"), "1");
  });
});

Deno.test("After 250 sets, 250 gets give the same values", async () => {
  await withServer(async ({ set, get }) => {
    for (let index = 0; index < 250; index++) {
      assertEquals(await set(`key ${index}`, `value ${index}`), `value ${index}`);
    }
    for (let index = 0; index < 250; index++) {
      assertEquals(await get(`key ${index}`), `value ${index}`);
    }
  });
});

Deno.test("Stopping waits for requests that have begun, but not for bodies that never end", async () => {
  await withHandler(async ({ db }) => {
    const sleeps: { ms: number; wake: () => void }[] = [];
    const clock: Clock = {
      nowMs: () => 0,
      wallMs: () => 0,
      sleep: (ms, signal) =>
        new Promise((resolve) => {
          sleeps.push({ ms, wake: resolve });
          signal?.addEventListener("abort", () => resolve());
        }),
    };
    const stop = new AbortController();
    const listening = Promise.withResolvers<number>();
    const served = serveDatabase(db, {
      hostname: "127.0.0.1",
      port: 0,
      signal: stop.signal,
      events: noEvents,
      clock,
      onListening: ({ port }) => listening.resolve(port),
    });
    const port = await listening.promise;
    const stuck = await sendRaw(port, post("stuck", "half", 100));
    await waitUntil("the body to be waited for", () => sleeps.some(({ ms }) => ms === 30_000));
    stop.abort();
    const patience = await waitUntil("the stop", () => sleeps.find(({ ms }) => ms === 5000));
    patience?.wake();
    const reply = new Uint8Array(4096);
    const length = await within("the refusal", stuck.read(reply));
    const text = new TextDecoder().decode(reply.subarray(0, length ?? 0));
    assert(text.startsWith("HTTP/1.1 408"), text);
    stuck.close();
    const last = await waitUntil("the last wait", () => sleeps.find(({ ms }) => ms === 1000));
    last?.wake();
    await within("the end", served);
    assertEquals(db.log.length, 0);
  });
});

// The story: the error of the runtime was passed on, so a misspelt --listen was reported as a bug in
// countd, with a stack.
Deno.test("An address that cannot be used and a port in use are reported with host and port", async () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = taken.addr;
  await withHandler(async ({ db }) => {
    const serve = (hostname: string, port: number) =>
      serveDatabase(db, {
        hostname,
        port,
        signal: new AbortController().signal,
        events: noEvents,
        onListening: () => {},
      });
    for (const hostname of ["nosuch.invalid", "192.0.2.1"]) {
      const text = `Cannot listen on ${hostname} port 0: `;
      await assertRejects(() => serve(hostname, 0), FailedError, text);
    }
    const text = `Port ${port} of 127.0.0.1 is in use: name another one with --port`;
    await assertRejects(() => serve("127.0.0.1", port), FailedError, text);
  });
});

Deno.test("A client that sends nothing for too long gets 408, and the others go on", async () => {
  await withHandler(async ({ db }) => {
    const idle = Promise.withResolvers<void>();
    const clock: Clock = {
      nowMs: () => 0,
      wallMs: () => 0,
      sleep: (ms, signal) =>
        new Promise((resolve) => {
          if (ms === 30_000) void idle.promise.then(resolve);
          signal?.addEventListener("abort", () => resolve());
        }),
    };
    const handler = newHandler(db, { clock });
    const silent = new ReadableStream<Uint8Array>({
      start: (sink) => sink.enqueue(encoder.encode("a")),
    });
    const waiting = handler(
      new Request("http://localhost/set/x", { method: "POST", body: silent }),
    );
    const other = await handler(
      new Request("http://localhost/set/y", { method: "POST", body: "1" }),
    );
    assertEquals(other.status, 200);
    idle.resolve();
    assertEquals((await within("the answer", waiting)).status, 408);
    assertEquals(db.log.length, 1);
  });
});

// Story: a proxy sends nothing to a server that is not ready, so the set that would have shown that there is
// space again never came.
Deno.test("A server that refused a set for want of space is ready again without another set", async () => {
  const faults = new Faults();
  await withHandler(async ({ db }) => {
    let skippedMs = 0;
    const clock = overridden<Clock>(systemClock, { nowMs: () => systemClock.nowMs() + skippedMs });
    const metrics = new Metrics();
    const stop = new AbortController();
    const listening = Promise.withResolvers<number>();
    const served = serveDatabase(db, {
      hostname: "127.0.0.1",
      port: 0,
      signal: stop.signal,
      events: noEvents,
      clock,
      metrics,
      onListening: ({ port }) => listening.resolve(port),
    });
    const url = `http://127.0.0.1:${await listening.promise}/set/x`;
    const set = async (body: string) => {
      const response = await fetch(url, { method: "POST", body });
      await response.body?.cancel();
      return response.status;
    };
    const large = "v".repeat(200_000);
    for (let round = 0; round < 2; round++) {
      faults.failFrom("allocate", 1, "ENOSPC");
      assertEquals(await set(large), 507);
      assertEquals(metrics.readiness.reasons(), ["disk full: sets are refused"]);
      faults.heal();
      if (round === 0) skippedMs += 5_000;
      else assertEquals(await set(large), 200);
      assertEquals(metrics.readiness.reasons(), []);
    }
    stop.abort();
    await served;
  }, { storage: faultyStorage(systemStorage(), faults) });
});
