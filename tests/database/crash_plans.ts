/** Short sequences of calls that are crashed at every point. */

import type { Act, DatabasePlan } from "./crash_subject.ts";
import { Model, setOf } from "./model.ts";

export function writeAct(key: string, value: string): Act {
  return { call: "write", key, value };
}

const converted = new Model();
converted.map.set("kept", "<b>");
for (const value of ["one", "two"]) converted.take({ call: "write", key: "x", value });

const terms = [1n, 1n, 2n];

export const plans = {
  sets: {
    name: "sets on an existing database",
    prepared: [writeAct("x", "a long first value ".repeat(8))],
    acts: [writeAct("x", "short"), writeAct("y", "1")],
  },
  creation: { name: "the first open and a set", acts: [writeAct("x", "1")] },
  snapshots: {
    name: "sets and snapshots by turns",
    prepared: [writeAct("x", "1".repeat(3000)), { call: "snapshot" }],
    acts: [
      writeAct("x", "2".repeat(3000)),
      { call: "snapshot" },
      writeAct("y", "3".repeat(3000)),
      { call: "snapshot" },
      writeAct("x", "4"),
      { call: "snapshot" },
      { call: "snapshot" },
    ],
  },
  replacement: {
    name: "entries replaced and committed",
    prepared: [
      { call: "append", entries: terms.map((term, index) => setOf("abc"[index] ?? "", "1", term)) },
    ],
    acts: [
      {
        call: "set",
        entries: [setOf("a", "1", 1n), setOf("d", "4", 3n), setOf("e", "5".repeat(5000), 3n)],
      },
      { call: "commit", length: 2 },
    ],
  },
  conversion: {
    name: "files of the original and a set",
    files: {
      map: '{"kept":"\\u003cb\\u003e","x":"old"}',
      log: '[{"Command":"SET","Key":"x","Value":"one","Term":0},' +
        '{"Command":"SET","Key":"x","Value":"two","Term":0}]\0\0',
    },
    base: converted,
    acts: [writeAct("y", "3")],
  },
  flushes: {
    name: "sets that a flush made durable",
    sync: "os",
    prepared: [writeAct("x", "1")],
    acts: [writeAct("x", "2"), writeAct("y", "3"), { call: "reopen" }, writeAct("z", "4")],
  },
} satisfies Record<string, DatabasePlan>;
