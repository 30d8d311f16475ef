/** One increment by 1 of a 16-byte key in keyspace `bench`, as each server wants it. */

import { WriteMessageEncoder } from "../../src/counters/wire/mod.ts";
import { keyBytes } from "./key_stream.ts";

export function encodeKeyTemplate(
  server: "countd" | "redis",
): { readonly message: Uint8Array; readonly keyOffset: number } {
  const encoder = new TextEncoder();
  if (server === "redis") {
    const head = `*4\r\n$7\r\nZINCRBY\r\n$5\r\nbench\r\n$1\r\n1\r\n$${keyBytes}\r\n`;
    return {
      message: encoder.encode(`${head}${"x".repeat(keyBytes)}\r\n`),
      keyOffset: head.length,
    };
  }
  const messages = new WriteMessageEncoder({ keyspaceSize: 256, keySize: 256 });
  const message = new Uint8Array(messages.messageBytes);
  messages.encode(new DataView(message.buffer), 0, {
    keyspace: encoder.encode("bench"),
    key: encoder.encode("x".repeat(keyBytes)),
    increment: 1n,
  });
  return { message, keyOffset: 8 + 256 };
}
