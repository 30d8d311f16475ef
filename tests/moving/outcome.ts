/** What becomes of a verb, in words of the table. */

import type { Ended } from "../support/process.ts";
import type { Event } from "./events.ts";
import type { Kind } from "./kinds.ts";

/** The words of the table. Those in capitals are faults. */
export const LEGEND: readonly (readonly [word: string, meaning: string])[] = [
  ["goes on", "the verb does its work, with exit code 0, and its answers are right"],
  ["named", "goes on with the rest; the file is named on stderr, in its report or its answer"],
  ["waits", "says why, keeps its connections, answers nothing; ends when it is asked to"],
  ["older", "goes on with what the file holds now: nothing shows that it held something else"],
  ["exit N", "refused or ended with this code, and a sentence that names the file or the cause"],
  ["SIGNAL", "ended by a signal"],
  ["STACK", "prints a stack trace, or calls itself a bug"],
  ["HANG", "does not end within 30 s, or not when it is asked to"],
  ["WRONG", "exit code 0, and the answer is not what is stored"],
  ["LOST", "what was answered, copied or stored before is gone, and check does not say so"],
  ["UNSEEN", "check or inspect reports nothing, although the file is not what it was"],
  ["MUTE N", "ends with this code, or waits, and no sentence names the file or the cause"],
  ["FAT", "a copy takes more than 128 MiB of disk: holes were written as zeros"],
];

export interface Outcome {
  readonly word: string;
  /** What the verb said; shown for faults. */
  readonly said: string;
}

export function isFault(word: string): boolean {
  return /^[A-Z]{3,}/.test(word);
}

/** The subject of a cell, as far as words are to be compared. */
export interface Subject {
  readonly kind: Kind;
  readonly event: Event;
}

/** True if a sentence names the file or what happened to it. */
export function isNamed({ kind, event }: Subject, said: string): boolean {
  return kind.words.test(said) || event.words?.test(said) === true;
}

const STACK = /^\s+at .*(?:file:|ext:|https?:|\.ts:\d)|A bug in countd|panicked at|Uncaught/m;

/** The fault of a process that any verb may have, else null. */
export function commonFault(ended: Ended | null): string | null {
  if (ended === null) return "HANG";
  // 128 + number: a shell or a tracer passes a signal on so.
  if (ended.signal !== null || ended.code > 128) return `SIGNAL ${ended.signal ?? ended.code}`;
  return STACK.test(ended.stderr) ? "STACK" : null;
}

export type Answers = "right" | "older" | "wrong";

/** What a verb wrote to stderr, without the lines that sum up every run. */
function remarksOf(ended: Ended): string {
  return ended.stderr.split("\n").filter((line) => !/^(?:checked |repaired: )/.test(line)).join(
    "\n",
  );
}

/**
 * The outcome of a verb that ends by itself. `answers` compares what it printed and made with the truth;
 * `report` is the part of stdout that tells about the state of files.
 */
export function ofEnded(
  subject: Subject,
  ended: Ended | null,
  { answers, report = "" }: { answers: Answers; report?: string },
): Outcome {
  const said = ended === null ? "" : `${ended.stderr}\n${ended.text.slice(0, 2000)}`.trim();
  const word = (): string => {
    const fault = commonFault(ended);
    if (fault !== null || ended === null) return fault ?? "HANG";
    if (ended.code !== 0) {
      return isNamed(subject, said) ? `exit ${ended.code}` : `MUTE ${ended.code}`;
    }
    if (answers === "older") return "older";
    if (isNamed(subject, `${remarksOf(ended)}\n${report}`)) return "named";
    return answers === "right" ? "goes on" : "WRONG";
  };
  return { word: word(), said };
}
