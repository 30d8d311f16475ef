/**
 * File names for keyspace names: injective, safe on every file system, readable if possible.
 *
 * Lower-case letters, digits, `-`, `_` and `.` (not at the beginning) are themselves. Every other byte is
 * `%` and two lower-case hexadecimal digits. If that is longer than `ENCODED_BYTES_MAX`, the file name is
 * `=` and the SHA-256 of the name. The file has the name inside, which is compared.
 *
 * Invariants: 1. different names have different file names, even if upper and lower case are the same; 2.
 * no file name begins with `.`, so `.`, `..`, hidden and temporary names are never keyspaces; 3. none holds
 * `/` or NUL or is longer than `ENCODED_BYTES_MAX`.
 */

import { createHash } from "node:crypto";
import { assert } from "../../base/assert.ts";

/** Leaves space for a prefix within the 255 bytes of common file systems. */
export const ENCODED_BYTES_MAX = 200;

const HASH_PREFIX = "=";

/** The file name of a keyspace. */
export function encodeKeyspaceName(name: Uint8Array): string {
  assert(name.length > 0, "A keyspace has a name");
  let encoded = "";
  for (const [index, byte] of name.entries()) {
    encoded += standsForItself(byte, index) ? String.fromCharCode(byte) : escaped(byte);
  }
  if (encoded.length <= ENCODED_BYTES_MAX) return encoded;
  return HASH_PREFIX + createHash("sha256").update(name).digest("hex");
}

/**
 * Decodes a file name to the name of the keyspace, or to "hashed" if only the file has it. Null if no
 * keyspace has this file name.
 */
export function decodeKeyspaceName(fileName: string): Uint8Array | "hashed" | null {
  if (/^=[0-9a-f]{64}$/.test(fileName)) return "hashed";
  if (fileName.length === 0 || fileName.length > ENCODED_BYTES_MAX) return null;
  const bytes: number[] = [];
  for (let at = 0; at < fileName.length; at++) {
    if (fileName[at] !== "%") {
      bytes.push(fileName.charCodeAt(at));
      continue;
    }
    const digits = fileName.slice(at + 1, at + 3);
    if (!/^[0-9a-f]{2}$/.test(digits)) return null;
    bytes.push(parseInt(digits, 16));
    at += 2;
  }
  const name = Uint8Array.from(bytes);
  // Accepts only what the encoder writes, so that a name has one spelling.
  return encodeKeyspaceName(name) === fileName ? name : null;
}

function standsForItself(byte: number, index: number): boolean {
  if (byte >= 0x61 && byte <= 0x7a) return true;
  if (byte >= 0x30 && byte <= 0x39) return true;
  if (byte === 0x2e) return index > 0;
  return byte === 0x2d || byte === 0x5f;
}

function escaped(byte: number): string {
  return "%" + byte.toString(16).padStart(2, "0");
}
