/** Bodies that are designed to cost more than their length, as raw requests to a real `countd db`. */

import { assert, assertEquals } from "@std/assert";
import { type CountdProcess, runCountd, startCountd } from "../../support/process.ts";
import { withTemporaryDirectory } from "../../support/temporary.ts";
import { within } from "../../support/wait.ts";

const MEBIBYTE = 2 ** 20;
const BODY_BYTES = 16 * MEBIBYTE;
/** Far more than needed, even on a slow machine, and far less than these bodies once took. */
const WAIT_MS = 10_000;

/** The runtime hands over every piece of a body, of a byte too, in a buffer of this size. */
const PIECE_BYTES = 64 * 1024;
const BODY_PIECES = 20_000;

const encoder = new TextEncoder();

async function withDatabase(
  body: (db: CountdProcess, port: number) => Promise<void>,
): Promise<void> {
  await withTemporaryDirectory(async (temporary) => {
    const paths = ["--db", `${temporary}/db.json`, "--log", `${temporary}/log`];
    await using db = startCountd(["db", ...paths, "--port", "0"]);
    await body(db, (await db.listening()).port);
    assertEquals(await db.stop(), 0);
    const out = `${temporary}/out`;
    const { code, stderr } = await runCountd(["db", "export", out, ...paths]);
    assertEquals(code, 0, stderr);
  });
}

async function sendAll(connection: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  for (let sent = 0; sent < bytes.length;) sent += await connection.write(bytes.subarray(sent));
}

/** The status of the answer to a POST of this body. */
async function statusOf(port: number, type: string, body: Uint8Array): Promise<number> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const head = `POST /set/x HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${type}\r\n` +
    `Content-Length: ${body.length}\r\nConnection: close\r\n\r\n`;
  await sendAll(connection, encoder.encode(head));
  await sendAll(connection, body);
  const text = await new Response(connection.readable).text();
  return Number(text.split(" ", 2)[1]);
}

/** `start` and then `unit`, repeated up to the largest body. */
function filled(unit: string, start = ""): Uint8Array {
  const repeated = unit.repeat(Math.floor((BODY_BYTES - start.length) / unit.length));
  return encoder.encode(start + repeated);
}

const FORM = "application/x-www-form-urlencoded";

/** A boundary that differs from a row of dashes in its last byte only. */
function dashes(length: number): string {
  return "-".repeat(length - 1) + "x";
}

Deno.test("The largest body of any form is answered soon, and so are other requests beside it", async () => {
  await withDatabase(async (_, port) => {
    const multipart = (boundary: string) => `multipart/form-data; boundary=${boundary}`;
    const part = (boundary: string) => `--${boundary}\r\nX: y\r\n\r\n`;
    for (
      const [what, type, body, expected] of [
        ["broken escapes", FORM, filled("%&"), 400],
        ["fields without a name", FORM, filled("&"), 400],
        ["one long name", FORM, filled("%76"), 400],
        ["spaces", FORM, filled("+", "value="), 200],
        ["a long boundary", multipart(dashes(1000)), filled("-", part(dashes(1000))), 400],
        ["almost the boundary", multipart(dashes(70)), filled("-", part(dashes(70))), 400],
        ["parts without content", multipart("b"), filled("--b\r\n\r\n\r\n"), 400],
        ["parts without a name", multipart("b"), filled(`${part("b")}\r\n`), 400],
        ["a long head", multipart("b"), filled("a\r\n", "--b\r\n"), 400],
      ] as const
    ) {
      const answer = askBeside(port, statusOf(port, type, body));
      const { result } = await within(what, answer, { deadlineMs: WAIT_MS });
      assertEquals(result, expected, what);
    }
  });
});

Deno.test("Two bodies that arrive byte by byte take the memory of their bytes, and others are answered", async () => {
  await withDatabase(async (db, port) => {
    const value = "x".repeat(BODY_PIECES);
    const body = encoder.encode("1\r\nx\r\n".repeat(value.length) + "0\r\n\r\n");
    const before = largestMemory(db.pid);
    const replies = Promise.all([0, 1].map(async () => {
      using connection = await Deno.connect({ hostname: "127.0.0.1", port });
      const head = "POST /set/x HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n" +
        "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
      await sendAll(connection, encoder.encode(head));
      await sendAll(connection, body);
      return await new Response(connection.readable).text();
    }));
    const { result, answers } = await askBeside(port, replies);
    for (const reply of result) {
      assert(reply.startsWith("HTTP/1.1 200"), reply.slice(0, 200));
      assert(reply.endsWith(`\r\n\r\n${value}`));
    }
    const grown = largestMemory(db.pid) - before;
    assert(
      grown < 2 * BODY_PIECES * PIECE_BYTES / 4,
      `${grown} bytes more for two bodies of ${value.length}`,
    );
    assert(answers >= 10, `${answers} other requests were answered`);
  });
});

/** Asks for `/status` repeatedly until `work` is done; `answers` counts the answers. */
async function askBeside<T>(
  port: number,
  work: Promise<T>,
): Promise<{ readonly result: T; readonly answers: number }> {
  let isDone = false;
  let answers = 0;
  const done = work.finally(() => isDone = true);
  while (!isDone) {
    const response = await fetch(`http://127.0.0.1:${port}/status`);
    assertEquals(response.status, 200);
    await response.body?.cancel();
    answers++;
  }
  return { result: await done, answers };
}

/** The peak of the resident memory of a process, in bytes. */
function largestMemory(pid: number): number {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}
