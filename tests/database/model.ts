/** A model of the database in plain lists: the oracle of the tests. */

import { assertEquals } from "@std/assert";
import type { DB, Entry } from "../../src/database/mod.ts";

export type Step =
  | { readonly call: "write"; readonly key: string; readonly value: string }
  | { readonly call: "append"; readonly entries: readonly Entry[] }
  | { readonly call: "set"; readonly entries: readonly Entry[] }
  | { readonly call: "commit"; readonly length: number };

export function setOf(key: string, value: string, term = 0n): Entry {
  return { command: "SET", key, value, term };
}

export class Model {
  entries: Entry[] = [];
  committed = 0;
  readonly map = new Map<string, string>();

  copy(): Model {
    const copy = new Model();
    copy.entries = [...this.entries];
    copy.committed = this.committed;
    for (const [key, value] of this.map) copy.map.set(key, value);
    return copy;
  }

  take(step: Step): void {
    switch (step.call) {
      case "write":
        this.entries.push(setOf(step.key, step.value, this.entries.at(-1)?.term ?? 0n));
        return this.#commit(this.entries.length);
      case "append":
        this.entries.push(...step.entries);
        return;
      case "set": {
        let same = 0;
        while (same < step.entries.length && isSame(this.entries[same], step.entries[same])) same++;
        this.entries = [...step.entries];
        this.committed = Math.min(this.committed, same);
        return;
      }
      case "commit":
        return this.#commit(step.length);
    }
  }

  #commit(length: number): void {
    for (const entry of this.entries.slice(this.committed, length)) {
      if (entry.command === "SET") this.map.set(entry.key, entry.value);
    }
    this.committed = Math.max(this.committed, length);
  }

  /** The whole state as one text, to compare two states. */
  toText(): string {
    return stateText(this.entries, this.committed, this.map);
  }
}

function isSame(left: Entry | undefined, right: Entry | undefined): boolean {
  return left !== undefined && right !== undefined && left.command === right.command &&
    left.key === right.key && left.value === right.value && left.term === right.term;
}

function stateText(
  entries: Iterable<Entry>,
  committed: number,
  pairs: Iterable<readonly [string, string]>,
): string {
  const lines = [...entries].map(({ command, key, value, term }) =>
    JSON.stringify([command, key, value, String(term)])
  );
  const map = [...pairs].map((pair) => JSON.stringify(pair)).sort();
  return [...lines, `committed ${committed}`, ...map].join("\n");
}

export function databaseText(db: DB): string {
  return stateText(db.log.entries, db.log.committed, db.entries());
}

export function assertIsModel(db: DB, model: Model): void {
  assertEquals(databaseText(db), model.toText());
}

/** Carries out a step on a database. */
export async function perform(db: DB, step: Step): Promise<void> {
  switch (step.call) {
    case "write":
      assertEquals(await db.write(step.key, step.value), step.value);
      return;
    case "append":
      await db.log.appendEntries(step.entries);
      return;
    case "set":
      await db.log.setEntries(step.entries);
      return;
    case "commit":
      await db.log.commit(step.length);
  }
}
