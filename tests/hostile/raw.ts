/** Connections and messages as programs in other languages would make them. */

import { hostname, type Port } from "./ports.ts";

export function text(value: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(value);
}

export function connect({ port }: Port): Promise<Deno.TcpConn> {
  return Deno.connect({ hostname, port });
}

export function httpGet(path: string): Uint8Array {
  return text(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
}

export function httpPost(path: string, type: string, body: Uint8Array): Uint8Array[] {
  const head = `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${type}\r\n` +
    `Content-Length: ${body.length}\r\n\r\n`;
  return [text(head), body];
}

/** Reads one HTTP answer with a known length; returns its status. */
export async function readHttpAnswer(connection: Deno.TcpConn): Promise<number> {
  let bytes = new Uint8Array(0);
  const buffer = new Uint8Array(65_536);
  while (true) {
    const count = await connection.read(buffer);
    if (count === null) throw new Error("The connection ended in an answer");
    const all = new Uint8Array(bytes.length + count);
    all.set(bytes);
    all.set(buffer.subarray(0, count), bytes.length);
    bytes = all;
    const received = new TextDecoder().decode(bytes);
    const end = received.indexOf("\r\n\r\n");
    if (end < 0) continue;
    const length = Number(/content-length: (\d+)/i.exec(received)?.[1] ?? "0");
    if (bytes.length >= end + 4 + length) return Number(received.split(" ", 2)[1]);
  }
}

/** Reads and drops until the end. */
export async function drop(connection: Deno.TcpConn): Promise<void> {
  const bytes = new Uint8Array(2 ** 20);
  while (await connection.read(bytes).catch(() => null) !== null);
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
