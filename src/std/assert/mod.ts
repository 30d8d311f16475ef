/** `@std/assert` from npm, and one assertion of our own around its `assertEquals`. */

import { Buffer } from "node:buffer";
// @ts-types="./mod.d.ts"
import { assertEquals as stdAssertEquals, AssertionError } from "deno-std/assert/mod.js";

export {
  assert,
  assertInstanceOf,
  AssertionError,
  assertMatch,
  assertNotEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
  // @ts-types="./mod.d.ts"
} from "deno-std/assert/mod.js";

/** Byte arrays up to this length, together, are compared and shown line by line. */
const BYTES_SHOWN_MAX = 256;

/**
 * Deep equality. Long byte arrays are compared at once, and told by their first difference: shown line
 * by line, a mebibyte takes minutes.
 */
export function assertEquals<T>(actual: T, expected: T, msg?: string): void {
  if (
    !(actual instanceof Uint8Array && expected instanceof Uint8Array) ||
    actual.length + expected.length <= BYTES_SHOWN_MAX
  ) {
    stdAssertEquals(actual, expected, msg);
    return;
  }
  if (Buffer.compare(actual, expected) === 0) return;
  let at = 0;
  while (at < actual.length && actual[at] === expected[at]) at++;
  const around = (bytes: Uint8Array) => Deno.inspect(bytes.slice(Math.max(0, at - 8), at + 24));
  throw new AssertionError(
    `Values are not equal${msg ? `: ${msg}` : "."}\n` +
      `${actual.length} and ${expected.length} bytes, different from offset ${at} on; ` +
      `around it:\n${around(actual)}\n${around(expected)}`,
  );
}
