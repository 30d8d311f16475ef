/** The cells of the matrix, and how one of them is tried. */

import { runningAsRoot } from "../support/ordinary_user.ts";
import { runProgram } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { daemons } from "./daemons.ts";
import { type Event, events } from "./events.ts";
import { type Kind, kinds } from "./kinds.ts";
import { unmountBelow } from "./mounted.ts";
import type { Outcome } from "./outcome.ts";
import type { Sample } from "./sample.ts";
import { Scene } from "./scene.ts";
import { type Verb, verbs } from "./verbs.ts";

export interface Cell {
  readonly kind: Kind;
  readonly event: Event;
  readonly verb: Verb;
  /** The event comes while the verb runs. */
  readonly isRunning: boolean;
}

/** A column of the table of a kind. */
export interface Column {
  readonly name: string;
  readonly verb: Verb;
  readonly isRunning: boolean;
}

/** The columns of a kind: a verb that keeps files open has two. */
export function columnsOf(kind: Kind): Column[] {
  const all = [...daemons, ...verbs].filter(({ name }) => kind.verbs.includes(name));
  return [
    ...all.map((verb) => ({ name: verb.name, verb, isRunning: false })),
    ...all.filter(({ isDaemon }) => isDaemon)
      .map((verb) => ({ name: `${verb.name}, running`, verb, isRunning: true })),
  ];
}

/** The rows of a kind. */
export function eventsOf(kind: Kind): readonly Event[] {
  return events.filter(({ isOfSize }) => !(isOfSize && kind.isDirectory));
}

export function allCells(): Cell[] {
  return kinds.flatMap((kind) =>
    eventsOf(kind).flatMap((event) =>
      columnsOf(kind).map(({ verb, isRunning }) => ({ kind, event, verb, isRunning }))
    )
  );
}

export function nameOf({ kind, event, verb, isRunning }: Cell): string {
  return `${kind.name} × ${event.name} × ${verb.name}${isRunning ? ", running" : ""}`;
}

/** The number of the signal that ends a process at a page that its file does not have. */
const SIGBUS = "SIGBUS";

/** True if a signal is allowed: a mapped file is truncated while it is open. */
export function maySignal({ kind, event, isRunning }: Cell, word: string): boolean {
  return word === `SIGNAL ${SIGBUS}` && isRunning && kind.isMapped === true &&
    event.name === "truncated";
}

/** What a cell needs and this machine does not have, else null. */
export async function missingFor({ event }: Cell): Promise<string | null> {
  if (event.needs === undefined) return null;
  if (!runningAsRoot()) return "left to root: file systems and tracing";
  if (event.needs === "root") return null;
  return await hasStrace() ? null : "not run: needs strace";
}

let strace: Promise<boolean> | undefined;

function hasStrace(): Promise<boolean> {
  strace ??= runProgram(["strace", "--version"]).then(({ code }) => code === 0, () => false);
  return strace;
}

/** Tries one cell in a directory of its own. */
export async function tryCell(cell: Cell, sample: Sample): Promise<Outcome> {
  return await withTemporaryDirectory(async (root) => {
    try {
      const { kind, event, isRunning, verb } = cell;
      const isInBackup = verb.isOfBackup === true;
      const scene = await Scene.make({ kind, event, sample, root, isRunning, isInBackup });
      const outcome = await verb.drive(scene);
      return maySignal(cell, outcome.word) ? { ...outcome, word: "may signal" } : outcome;
    } finally {
      await unmountBelow(root);
    }
  });
}
