/** How the first bytes of a connection are classified. */

import { assertEquals } from "@std/assert";
import { foreignProtocol } from "../../../src/counters/wire/mod.ts";

function protocolOf(text: string, isWhole: boolean): string | null {
  // The bytes before belong to something else.
  const bytes = Uint8Array.from(`##${text}`, (letter) => letter.charCodeAt(0));
  return foreignProtocol(bytes, { start: 2, end: bytes.length, isWhole });
}

Deno.test("A request line is HTTP at its end, and without one when the message is whole", () => {
  for (
    const line of ["GET / HTTP/1.1\r\n", "PRI * HTTP/2.0\r\n\r\nSM", "POST /\xff HTTP/1.0\r\nA: b"]
  ) {
    for (const isWhole of [false, true]) assertEquals(protocolOf(line, isWhole), "HTTP", line);
  }
  for (
    const start of ["GET /aaaaa", "GET /a HTT", "GET /a HTTP/1.1\r", `HEAD /${"a".repeat(600)}`]
  ) {
    assertEquals([protocolOf(start, false), protocolOf(start, true)], [null, "HTTP"], start);
  }
});

Deno.test("A line with a NUL, with another method or without a protocol is not HTTP", () => {
  for (
    const text of [
      "",
      "G",
      "GET\0\0\0\0\0",
      "GET /a\0\0",
      "GET /a HTTP/1.1\0\0",
      "GET /a b HTTP/1.1\r\n",
      "GET  HTTP/1.1\r\n",
      "get / HTTP/1.1\r\n",
      "COUNT / HTTP/1.1\r\n",
      "GET / HTTP/1.1\n\n",
      "GET / FTP/1.1\r\n",
    ]
  ) assertEquals(protocolOf(text, true), null, JSON.stringify(text));
});

Deno.test("A record with one ClientHello in it is TLS, and any other is not", () => {
  const hello = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
  assertEquals(protocolOf(hello, false), "TLS");
  assertEquals(protocolOf(hello.slice(0, -1), true), null);
  for (
    const [at, other] of [[0, "\x17"], [1, "\x02"], [2, "\x05"], [5, "\x02"], [8, "\xfd"], [
      9,
      "\0",
    ]]
  ) {
    const place = Number(at);
    const text = hello.slice(0, place) + other + hello.slice(place + 1);
    assertEquals(protocolOf(text, true), null, `byte ${place}`);
  }
});
