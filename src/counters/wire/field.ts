/**
 * A name field: the name's bytes, then NUL up to the width of the field. A name of the full width has
 * no NUL. Every byte after the first NUL must be NUL, so that a name has exactly one form.
 */

import { UsageError } from "../../base/errors.ts";

/** The result of `fieldNameLength` if a byte after the first NUL is not NUL. */
export const BROKEN_FIELD = -1;

/** Length in bytes of the name in `bytes[start … end)`, or `BROKEN_FIELD`. */
export function fieldNameLength(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && bytes[at] !== 0) at++;
  const length = at - start;
  while (at < end && bytes[at] === 0) at++;
  return at === end ? length : BROKEN_FIELD;
}

/**
 * As `fieldNameLength`, with `words` as a view of the same bytes. Most of a field is NUL, which words test
 * four bytes at a time. `end` is a multiple of four.
 */
export function fieldNameLengthInWords(
  bytes: Uint8Array,
  words: Int32Array,
  start: number,
  end: number,
): number {
  let at = start;
  while (at < end && bytes[at] !== 0) at++;
  const length = at - start;
  while ((at & 3) !== 0 && bytes[at] === 0) at++;
  if ((at & 3) !== 0) return BROKEN_FIELD;
  const last = end >>> 2;
  let bits = 0;
  for (let word = at >>> 2; word < last; word++) bits |= words[word]!;
  return bits === 0 ? length : BROKEN_FIELD;
}

/** Writes a name and its NULs over a whole field. The caller has checked the name. */
export function encodeField(
  target: Uint8Array,
  start: number,
  field: { readonly name: Uint8Array; readonly size: number },
): void {
  target.set(field.name, start);
  target.fill(0, start + field.name.length, start + field.size);
}

/** Throws `UsageError` unless the name fits a keyspace field of this width. */
export function checkKeyspaceName(name: Uint8Array, size: number): void {
  if (name.length === 0) throw new UsageError("A keyspace name cannot be empty");
  checkName("keyspace name", name, size);
}

/** Throws `UsageError` unless the key fits a key field of this width. An empty key is a key. */
export function checkKey(key: Uint8Array, size: number): void {
  checkName("key", key, size);
}

function checkName(what: string, name: Uint8Array, size: number): void {
  if (name.length > size) {
    throw new UsageError(`A ${what} of ${name.length} bytes is too long: at most ${size} fit`);
  }
  if (name.includes(0)) throw new UsageError(`A ${what} cannot hold a NUL byte`);
}
