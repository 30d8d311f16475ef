/** `countd log …`: read an append-only file or a commit log, and repair an append-only file. */

import { printablePath } from "../../base/printable.ts";
import { EXIT_CODES } from "../exit_codes.ts";
import { pathArgument } from "../kit/argument.ts";
import { flag, whole } from "../kit/option.ts";
import { decimal, wordsOf } from "../output.ts";
import { defineVerb, examplesOf, type VerbGroup } from "../verb.ts";

const fileArgument = pathArgument(
  "an append-only file, or a commit log of a data directory",
  "file",
);

const tail = defineVerb({
  name: "tail",
  summary: "print the contents of a log",
  details: [
    "Prints the bytes of an append-only file as they are, or a line `keyspace TAB key TAB increment` " +
    "for each record of a commit log. Locks and changes nothing.",
    "With --follow it also prints what is appended later, until the file is finished (a commit log: " +
    "sealed) or a signal comes. --follow refuses a file without FILE.size beside it, because the " +
    "length of its data is then unknown.",
  ],
  positionals: { file: fileArgument },
  options: { follow: flag("also print what is appended later") },
  examples: examplesOf({
    "countd log tail events.log --follow": "print events as they are appended",
    "countd log tail countd-data/logs/0000000000": "print the increments in a commit log",
  }),
  async run(context) {
    const { options, positionals, storage, stdout, clock } = context;
    const { describeSelf, followLog, readLog } = await import("../../admin/mod.ts");
    const self = describeSelf(storage);
    const sink = {
      data: (bytes: Uint8Array) => stdout.write(bytes),
      record: (keyspace: Uint8Array, key: Uint8Array, increment: bigint) =>
        stdout.row(keyspace, key, String(increment)),
      caughtUp: () => stdout.flush(),
    };
    if (options.follow) {
      const { signal } = context;
      await followLog(storage, positionals.file, { self, sink, clock, signal });
    } else {
      readLog(storage, positionals.file, { self, sink });
    }
  },
});

const inspect = defineVerb({
  name: "inspect",
  summary: "print the state of a log, its sizes, and whether it is whole",
  details: [
    "Prints the outcome of recovery (Empty, Tail, Checkpoint, Corrupted), sizes, marks and state; for " +
    "a commit log also generation, frames, records, the order of its claim, and when its first and its " +
    "last frame were written, in milliseconds since 1970. Changes nothing. Exits 6 if it is damaged.",
  ],
  positionals: { file: fileArgument },
  options: {},
  answersJson: true,
  examples: examplesOf({
    "countd log inspect events.log": "print sizes, state and recovery",
    "countd log inspect events.log --json": "the same as one JSON object",
  }),
  async run({ positionals, storage, stdout, json }) {
    const { describeSelf, inspectLog } = await import("../../admin/mod.ts");
    const inspection = inspectLog(storage, positionals.file, describeSelf(storage));
    if (json) stdout.json(inspection);
    else {
      for (const [name, value] of Object.entries(inspection)) {
        if (value === null) continue;
        stdout.write(wordsOf(name).padEnd(16));
        stdout.name(new TextEncoder().encode(String(value)));
        stdout.line("");
      }
    }
    return inspection.outcome === "Corrupted" ? EXIT_CODES.corruption : EXIT_CODES.ok;
  },
});

const repair = defineVerb({
  name: "repair",
  summary: "repair an append-only file that nothing tells the end of",
  details: [
    "After a power cut the mark at the end of an append-only file may be lost, although all bytes that were " +
    "synced are there. Such a file cannot be opened. The repair puts the mark behind the last byte that is " +
    "not 0 (or where FILE.size says), or where --size says. Bytes behind it are kept in FILE.torn-1. Bytes " +
    "that were appended after the last sync may be damaged. If the data may end in zeros, give --size: they " +
    "look like the free space behind the data, and are cut off without it.",
    "Leaves a sound file as it is. Refuses a commit log, which countd repair mends.",
  ],
  positionals: { file: pathArgument("an append-only file", "file") },
  options: {
    size: whole({
      summary: "where the data ends, in bytes",
      defaultText: "behind the last byte that is not 0",
      min: 0,
      fromEnvironment: false,
    }),
  },
  answersJson: true,
  examples: examplesOf({
    "countd log repair events.log": "make the file usable; zeros at its end are cut off",
    "countd log repair events.log --size 4096": "end it where the last whole event ends",
  }),
  async run({ options, positionals, storage, stdout, json }) {
    const { describeSelf, repairLog } = await import("../../admin/mod.ts");
    const self = describeSelf(storage);
    const { size, isRepaired, kept } = repairLog(storage, positionals.file, { self, ...options });
    if (json) stdout.json({ file: positionals.file, ...decimal({ size, isRepaired, kept }) });
    else {
      stdout.facts({ size, repaired: isRepaired });
      if (kept !== null) stdout.line(`kept\t${printablePath(kept)}`);
    }
  },
});

export const log: VerbGroup = {
  name: "log",
  summary: "read an append-only file or a commit log, or repair an append-only file",
  verbs: [tail, inspect, repair],
};
