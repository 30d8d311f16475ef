/** An entry of the log, as the original's: what to do (`SET`), with which key and value, in which term. */

import { UsageError } from "../../base/errors.ts";
import { ENTRY_BYTES_MAX } from "./layout.ts";
import { requireText, textBytesMax } from "./text.ts";

/** The one command that changes the map. Entries with others rest in the log and do nothing. */
export const SET_COMMAND = "SET";

export interface Entry {
  readonly command: string;
  readonly key: string;
  readonly value: string;
  /** Signed 64 bits, exact. */
  readonly term: bigint;
}

/** As callers may give it: a term that a number can hold exactly may be one. */
export interface EntryInput {
  readonly command: string;
  readonly key: string;
  readonly value: string;
  readonly term: bigint | number;
}

const TERM_MIN = -(2n ** 63n);
const TERM_MAX = 2n ** 63n - 1n;

/** Throws `UsageError` for a term that is not a whole number of 64 bits. */
export function requireTerm(term: bigint | number): bigint {
  if (typeof term === "number" && !Number.isSafeInteger(term)) {
    throw new UsageError(`Invalid term ${term}: give a bigint where a number is not exact`);
  }
  const exact = BigInt(term);
  if (exact < TERM_MIN || exact > TERM_MAX) {
    throw new UsageError(`Invalid term ${exact}: a term has 64 bits`);
  }
  return exact;
}

/** Throws `UsageError` for what a log cannot hold. */
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
