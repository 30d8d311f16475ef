/** An entry of the log, with the members of the original: command (`SET`), key, value and term. */

import { UsageError } from "../../base/errors.ts";
import { ENTRY_BYTES_MAX } from "./layout.ts";
import { requireText, textBytesMax } from "./text.ts";

/** The one command that changes the map. Entries with another command stay in the log, without effect. */
export const SET_COMMAND = "SET";

/** An entry as the log holds it. */
export interface Entry {
  /** What the entry does when it is committed; only `SET` changes the map. */
  readonly command: string;
  /** Key in the map. */
  readonly key: string;
  /** Value that the key gets. */
  readonly value: string;
  /** Term of the leader that made the entry: signed 64 bits, exact. */
  readonly term: bigint;
}

/** An entry as a caller gives it. All text must be well-formed: no half of a surrogate pair. */
export interface EntryInput {
  /** What the entry does when it is committed; only `SET` changes the map. */
  readonly command: string;
  /** Key in the map. */
  readonly key: string;
  /** Value that the key gets. */
  readonly value: string;
  /** Term of the leader: signed 64 bits. A number must be a safe integer. */
  readonly term: bigint | number;
}

const TERM_MIN = -(2n ** 63n);
const TERM_MAX = 2n ** 63n - 1n;

/** Makes a term exact. Throws `UsageError` for a term that is not a whole number of 64 bits. */
export function requireTerm(term: bigint | number): bigint {
  if (typeof term === "number" && !Number.isSafeInteger(term)) {
    throw new UsageError(`Invalid term ${term}: give a bigint, because the number is not exact`);
  }
  const exact = BigInt(term);
  if (exact < TERM_MIN || exact > TERM_MAX) {
    throw new UsageError(`Invalid term ${exact}: a term has 64 bits`);
  }
  return exact;
}

/** Checks an entry. Throws `UsageError` if the log cannot hold it. */
export function requireEntry(input: EntryInput): Entry {
  const { command, key, value } = input;
  requireText(command, "command");
  requireText(key, "key");
  requireText(value, "value");
  if (textBytesMax(command) + textBytesMax(key) + textBytesMax(value) > 3 * ENTRY_BYTES_MAX) {
    throw new UsageError(`Invalid entry: it is longer than ${ENTRY_BYTES_MAX} bytes`);
  }
  return { command, key, value, term: requireTerm(input.term) };
}
