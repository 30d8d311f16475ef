/**
 * A line of the shell as commands, and a command as words. Pure text in, bytes out.
 *
 * Blanks part words, `;` parts commands. In `"…"` a backslash begins an escape: `\"`, `\\`, `\n`, `\r`,
 * `\t`, `\0`, `\xNN`. In `'…'` everything stands for itself, but `\'` for a quote and `\\` for a
 * backslash. Outside quotes a backslash is an ordinary letter. Quoted and bare pieces that touch are one
 * word: `a" b"` is `a b`.
 */

import { UsageError } from "../base/errors.ts";
import { textOfName } from "../base/printable.ts";

/** A line that ends inside quotes. */
export class UnfinishedError extends UsageError {
  override readonly name = "UnfinishedError";
}

export interface Word {
  readonly bytes: Uint8Array;
  /** Where the word stands in the line, in UTF-16 units. */
  readonly start: number;
  readonly end: number;
}

const utf8 = new TextEncoder();
const simpleEscapes: Readonly<Record<string, number>> = {
  '"': 0x22,
  "'": 0x27,
  "\\": 0x5c,
  n: 0x0a,
  r: 0x0d,
  t: 0x09,
  "0": 0x00,
};

/** The commands of a line; empty ones are left out. Throws `UsageError`, `UnfinishedError`. */
export function parseLine(line: string): Word[][] {
  const commands: Word[][] = [];
  let words: Word[] = [];
  for (let at = 0; at <= line.length;) {
    const letter = line[at];
    if (letter === undefined || letter === ";" || letter === "\n") {
      if (words.length > 0) commands.push(words);
      words = [];
      at++;
    } else if (isBlank(letter)) {
      at++;
    } else {
      const word = readWord(line, at);
      words.push(word);
      at = word.end;
    }
  }
  return commands;
}

/** Where the word begins that ends with the line, and the words of its command before it. */
export interface WordAtEnd {
  readonly before: readonly Word[];
  readonly start: number;
}

/** For completion: the last word of a line may be unfinished. */
export function wordAtEnd(line: string): WordAtEnd {
  let before: Word[] = [];
  for (let at = 0; at < line.length;) {
    const letter = line[at] as string;
    if (letter === ";" || letter === "\n") {
      before = [];
      at++;
    } else if (isBlank(letter)) {
      at++;
    } else {
      const word = tryReadWord(line, at);
      if (word === null || word.end === line.length) return { before, start: at };
      before.push(word);
      at = word.end;
    }
  }
  return { before, start: line.length };
}

/**
 * Text for the end of a line that makes `typed`, the beginning of a word, into the word `name`; null
 * where the name does not begin with what was typed.
 */
export function completeWord(typed: string, name: string): string | null {
  const quote = openQuote(typed);
  const word = tryReadWord(typed + (quote ?? ""), 0);
  // An escape that is typed by half has no meaning yet.
  if (word === null) return null;
  const beginning = textOfName(word.bytes);
  if (beginning === null) return null;
  if (!name.startsWith(beginning)) return null;
  const rest = name.slice(beginning.length);
  if (quote !== null) return typed + escape(rest, quote) + quote;
  if (rest === "" && typed !== "") return typed;
  return typed + (needsQuotes(rest) ? `"${escape(rest, '"')}"` : rest);
}

function tryReadWord(line: string, start: number): Word | null {
  try {
    return readWord(line, start);
  } catch (error) {
    if (error instanceof UsageError) return null;
    throw error;
  }
}

function readWord(line: string, start: number): Word {
  const bytes: number[] = [];
  let at = start;
  while (at < line.length) {
    const letter = line[at] as string;
    if (letter === ";" || letter === "\n" || isBlank(letter)) break;
    if (letter === '"') at = readDoubleQuoted(line, at, bytes);
    else if (letter === "'") at = readSingleQuoted(line, at, bytes);
    else at = readLetter(line, at, bytes);
  }
  return { bytes: Uint8Array.from(bytes), start, end: at };
}

/** Reads from the opening quote on; returns the place after the closing one. */
function readDoubleQuoted(line: string, start: number, bytes: number[]): number {
  for (let at = start + 1; at < line.length;) {
    const letter = line[at] as string;
    if (letter === '"') return at + 1;
    if (letter !== "\\") {
      at = readLetter(line, at, bytes);
      continue;
    }
    const escaped = line[at + 1] ?? "";
    const hex = /^\\x([0-9a-fA-F]{2})/.exec(line.slice(at, at + 4));
    const simple = simpleEscapes[escaped];
    if (hex !== null) bytes.push(parseInt(hex[1] as string, 16));
    else if (simple !== undefined) bytes.push(simple);
    else if (escaped === "") break;
    else throw new UsageError(`Unknown escape \\${escaped}: write \\\\ for a backslash`);
    at += hex === null ? 2 : 4;
  }
  throw new UnfinishedError(`A quote that begins at column ${start + 1} does not end`);
}

function readSingleQuoted(line: string, start: number, bytes: number[]): number {
  for (let at = start + 1; at < line.length;) {
    const letter = line[at] as string;
    if (letter === "'") return at + 1;
    const escaped = line[at + 1];
    if (letter === "\\" && (escaped === "'" || escaped === "\\")) {
      bytes.push(escaped.charCodeAt(0));
      at += 2;
    } else {
      at = readLetter(line, at, bytes);
    }
  }
  throw new UnfinishedError(`A quote that begins at column ${start + 1} does not end`);
}

function readLetter(line: string, at: number, bytes: number[]): number {
  const letter = String.fromCodePoint(line.codePointAt(at) as number);
  bytes.push(...utf8.encode(letter));
  return at + letter.length;
}

/** The quote that is still open at the end of a word, or null. */
function openQuote(typed: string): string | null {
  let open: string | null = null;
  for (let at = 0; at < typed.length; at++) {
    const letter = typed[at] as string;
    if (open === null) {
      if (letter === '"' || letter === "'") open = letter;
    } else if (letter === "\\") {
      at++;
    } else if (letter === open) {
      open = null;
    }
  }
  return open;
}

function isBlank(letter: string): boolean {
  return letter === " " || letter === "\t" || letter === "\r";
}

function needsQuotes(text: string): boolean {
  // deno-lint-ignore no-control-regex -- control letters are what is looked for
  return text === "" || /[\x00-\x20"';\x7f]/.test(text);
}

function escape(text: string, quote: string): string {
  if (quote === "'") return text.replace(/['\\]/g, "\\$&");
  // deno-lint-ignore no-control-regex -- control letters are what is looked for
  return text.replace(/["\\]/g, "\\$&").replace(/[\x00-\x1f\x7f]/g, (letter) => {
    if (letter === "\n") return "\\n";
    if (letter === "\r") return "\\r";
    if (letter === "\t") return "\\t";
    return "\\x" + letter.charCodeAt(0).toString(16).padStart(2, "0");
  });
}
