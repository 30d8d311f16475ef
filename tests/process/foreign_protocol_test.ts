/** Binary ports turn away HTTP and TLS, but never a client of countd. */

import { assert, assertEquals } from "@std/assert";
import { type CountdProcess, runCountd, startCountd } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { within } from "../support/wait.ts";
import {
  askPage,
  increment,
  pageRequest,
  rankRequest,
  receive,
  sendAll,
  sendIncrements,
} from "./plain_messages.ts";

const hostname = "127.0.0.1";
const ASK_MS = 10_000;

/** Runs `body` beside `countd serve`, and `countd check` at the end. */
async function withServe(
  options: readonly string[],
  body: (serve: CountdProcess, ports: { write: number; read: number }) => Promise<void>,
): Promise<void> {
  await withTemporaryDirectory(async (temporary) => {
    const data = `${temporary}/data`;
    const ports = ["--write-port", "0", "--read-port", "0"];
    await using serve = startCountd(["serve", "--data", data, ...ports, ...options]);
    await body(serve, {
      write: (await serve.listening("write")).port,
      read: (await serve.listening("read")).port,
    });
    assertEquals(await serve.stop(), 0);
    const { code, text, stderr } = await runCountd(["check", "--data", data]);
    assertEquals(code, 0, text + stderr);
  });
}

/** Sends `bytes`, and returns what the server sends before it closes the connection itself. */
async function answerTo(port: number, bytes: Uint8Array): Promise<string> {
  using connection = await Deno.connect({ hostname, port });
  await sendAll(connection, bytes).catch(() => {});
  return await within("the server to close", restOf(connection), { deadlineMs: ASK_MS });
}

async function restOf(connection: Deno.TcpConn): Promise<string> {
  const buffer = new Uint8Array(4096);
  let answer = "";
  while (true) {
    // The connection is reset if the server has not read everything.
    const count = await connection.read(buffer).catch(() => null);
    if (count === null) return answer;
    answer += new TextDecoder().decode(buffer.subarray(0, count));
  }
}

const text = (value: string) => new TextEncoder().encode(value);

Deno.test("Both ports turn away real clients of HTTP and TLS, and count nothing of them", async () => {
  await withServe([], async (serve, { write, read }) => {
    for (const port of [write, read]) {
      for (
        const [init, path] of [
          [{}, ""],
          // Long enough to be messages: once this made counters.
          [{ method: "POST", body: "x".repeat(5000) }, "set"],
          [{}, "x".repeat(2000)],
        ] as const
      ) {
        const signal = AbortSignal.timeout(ASK_MS);
        const error: Error = await fetch(`http://${hostname}:${port}/${path}`, { ...init, signal })
          .then(() => new Error("it was answered"), (error) => error);
        assertEquals(error.name, "TypeError", String(error));
      }
      const tls = Deno.connectTls({ hostname, port }).then((connection) => connection.handshake())
        .then(() => "a handshake", () => "refused");
      assertEquals(await within("the end of TLS", tls, { deadlineMs: ASK_MS }), "refused");
    }
    // At most one line a second, with the number of those left out.
    const pattern = /does not speak countd's protocol.*protocol=(?:HTTP|TLS)/;
    await serve.stderrLine(pattern);
    const lines = serve.stderrLines.filter((line) => pattern.test(line));
    assert(lines.length < 8, lines.join("\n"));
    using reader = await Deno.connect({ hostname, port: read });
    // The list of keyspaces.
    const list = rankRequest("", "");
    list[264] = 2;
    assertEquals(await askPage(reader, list), { total: 0n, rows: 0n });
  });
});

Deno.test("HTTP is recognised with any target, any segments and any name sizes", async () => {
  for (const widths of [[], ["--keyspace-size", "8", "--key-size", "8"]]) {
    await withServe(widths, async (_, { write, read }) => {
      for (const port of [write, read]) {
        for (
          const head of [
            "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            "OPTIONS * HTTP/1.0\r\n\r\n",
            "CONNECT example.org:443 HTTP/1.1\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            `GET /${"very/".repeat(2000)} HTTP/1.1\r\nHost: x\r\n\r\n`,
          ]
        ) assertEquals(await answerTo(port, text(head)), "", head);
        using connection = await Deno.connect({ hostname, port });
        connection.setNoDelay(true);
        // In pieces shorter than a message, it is recognised at the end of its first line.
        for (const piece of ["GE", "T ", "/a H", "TTP/1.1\r\n"]) {
          await sendAll(connection, text(piece));
        }
        const rest = within("the server to close", restOf(connection), { deadlineMs: ASK_MS });
        assertEquals(await rest, "");
      }
    });
  }
});

Deno.test("No message of countd is mistaken for HTTP or TLS, whatever its names and numbers are", async () => {
  await withServe([], async (_, { write, read }) => {
    const names = [
      "GET",
      "POST / HTTP/1.1",
      "GET /index.html HTTP/1.1",
      "\x16\x03\x01\x02\x05\x01",
    ];
    // Each is the first message of its connection.
    for (const name of names) {
      const bytes = increment(name, "GET / HTTP/1.1\r\n", 1n);
      assertEquals(await sendIncrements(write, [bytes]), 1n);
    }
    // Increments whose bytes are "GET / HT", "GET /abc", and the beginning of a TLS record.
    for (const first of ["GET / HT", "GET /abc", "\x16\x03\x01\x02\x00\x01\x00\x01"]) {
      const bytes = increment("numbers", "key", 1n);
      bytes.set(text(first));
      assertEquals(await sendIncrements(write, [bytes]), 1n);
    }
    for (const name of [...names, "numbers"]) {
      using connection = await Deno.connect({ hostname, port: read });
      assertEquals(await askPage(connection, pageRequest(name, 5)), { total: 1n, rows: 1n });
      using other = await Deno.connect({ hostname, port: read });
      await sendAll(other, rankRequest(name, "no such key"));
      assertEquals((await receive(other, 24)).getBigInt64(0, true), 1n);
    }
  });
});
