/** Bytes as a text with one character for each, in the same order, for maps and sorts of names that are bytes. */

import { Buffer } from "node:buffer";

/** The text whose characters have these bytes as their codes. */
export function byteText({ buffer, byteOffset, length }: Uint8Array): string {
  // `String.fromCharCode(...bytes)` takes ten times as long: too long for thousands of names in one turn.
  return Buffer.from(buffer, byteOffset, length).toString("latin1");
}
