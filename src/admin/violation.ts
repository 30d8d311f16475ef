/** A broken rule of a data directory, of any noun. */

import type { Violation as NounViolation } from "../counters/keyspace/mod.ts";

/** `backup` is the manifest of a backup. */
export type Noun = "backup" | "control" | "logs" | "keyspaces" | "tables" | "db";

/** `invariant` is the number in the README of the noun's room. `offset` in bytes. */
export interface Violation extends NounViolation {
  readonly noun: Noun;
}

export function ofNoun(noun: Noun, violations: readonly NounViolation[]): Violation[] {
  return violations.map(({ invariant, path, offset, message }) => ({
    noun,
    invariant,
    path,
    offset,
    message,
  }));
}
