/**
 * Splits a line of the shell into commands, and a command into words.
 *
 * Blanks separate words, `;` separates commands. In `"…"` a backslash begins an escape: `\"`, `\\`, `\n`,
 * `\r`, `\t`, `\0`, `\xNN`. In `'…'` all characters are literal, except that `\'` is a quote and `\\` a
 * backslash. Outside quotes a backslash is an ordinary character. Quoted and bare pieces without a blank
 * between them are one word: `a" b"` is `a b`.
 */

import { UsageError } from "../base/errors.ts";
import { printablePath, textOfName } from "../base/printable.ts";

/** Thrown if a line ends inside quotes. */
export class UnfinishedError extends UsageError {}

export interface Word {
  readonly bytes: Uint8Array;
  /** The position in the line, in UTF-16 units. */
  readonly start: number;
  readonly end: number;
}

const utf8 = new TextEncoder();
const SIMPLE_ESCAPES: Readonly<Record<string, number>> = {
  '"': 0x22,
  "'": 0x27,
  "\\": 0x5c,
  n: 0x0a,
  r: 0x0d,
  t: 0x09,
  "0": 0x00,
};

/** Parses the commands of a line; empty ones are left out. Throws `UsageError`, `UnfinishedError`. */
export function parseLine(line: string): Word[][] {
  return readCommands(line, readWord).commands.filter((words) => words.length > 0);
}

/** The start of the last word of a line, and the words of its command before it. */
export interface WordAtEnd {
  readonly before: readonly Word[];
  readonly start: number;
}

/** Finds the last word of a line, which may be unfinished, for completion. */
export function wordAtEnd(line: string): WordAtEnd {
  const { commands, end } = readCommands(line, (line, at) => {
    const word = tryReadWord(line, at);
    return word?.end === line.length ? null : word;
  });
  return { before: commands.at(-1) as Word[], start: end };
}

/** Reads the commands of a line, up to its end or to the word for which `read` returns null. */
function readCommands(
  line: string,
  read: (line: string, at: number) => Word | null,
): { readonly commands: readonly Word[][]; readonly end: number } {
  const commands: Word[][] = [[]];
  let at = 0;
  while (at < line.length) {
    const char = line[at] as string;
    if (isSeparator(char)) commands.push([]);
    if (isSeparator(char) || isBlank(char)) {
      at++;
      continue;
    }
    const word = read(line, at);
    if (word === null) break;
    commands.at(-1)?.push(word);
    at = word.end;
  }
  return { commands, end: at };
}

/**
 * Returns the text that completes `typed`, the beginning of a word, to the word `name`; null if the name
 * does not begin with what was typed.
 */
export function completeWord(typed: string, name: string): string | null {
  const quote = openQuote(typed);
  const word = tryReadWord(typed + (quote ?? ""), 0);
  // A half-typed escape has no meaning yet.
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
    const char = line[at] as string;
    if (isSeparator(char) || isBlank(char)) break;
    const read = char === '"' || char === "'" ? readQuoted : readChar;
    at = read(line, at, bytes);
  }
  return { bytes: Uint8Array.from(bytes), start, end: at };
}

/** Reads from the opening quote on; returns the position after the closing one. */
function readQuoted(line: string, start: number, bytes: number[]): number {
  const quote = line[start] as string;
  for (let at = start + 1; at < line.length;) {
    const char = line[at] as string;
    if (char === quote) return at + 1;
    const escapeLength = char === "\\" ? readEscape(line, at, { quote, bytes }) : 0;
    at = escapeLength > 0 ? at + escapeLength : readChar(line, at, bytes);
  }
  throw new UnfinishedError(`The quote at column ${start + 1} is not closed`);
}

/** Reads what a backslash in quotes means, and returns its length; 0 if the backslash is literal. */
function readEscape(
  line: string,
  at: number,
  { quote, bytes }: { readonly quote: string; readonly bytes: number[] },
): number {
  const escaped = line[at + 1] ?? "";
  if (escaped === "" || quote === "'" && escaped !== "'" && escaped !== "\\") return 0;
  const hex = /^\\x([0-9a-fA-F]{2})/.exec(line.slice(at, at + 4))?.[1];
  const value = hex === undefined ? SIMPLE_ESCAPES[escaped] : parseInt(hex, 16);
  if (value === undefined) {
    throw new UsageError(`Unknown escape \\${escaped}: write \\\\ for a backslash`);
  }
  bytes.push(value);
  return hex === undefined ? 2 : 4;
}

function readChar(line: string, at: number, bytes: number[]): number {
  const char = String.fromCodePoint(line.codePointAt(at) as number);
  bytes.push(...utf8.encode(char));
  return at + char.length;
}

/** Returns the quote that is still open at the end of a word, or null. */
function openQuote(typed: string): string | null {
  let open: string | null = null;
  for (let at = 0; at < typed.length; at++) {
    const char = typed[at] as string;
    if (open === null) {
      if (char === '"' || char === "'") open = char;
    } else if (char === "\\") {
      at++;
    } else if (char === open) {
      open = null;
    }
  }
  return open;
}

function isSeparator(char: string): boolean {
  return char === ";" || char === "\n";
}

function isBlank(char: string): boolean {
  return char === " " || char === "\t" || char === "\r";
}

function needsQuotes(text: string): boolean {
  return text === "" || /[ "';]/.test(text) || printablePath(text) !== text;
}

function escape(text: string, quote: string): string {
  if (quote === "'") return text.replace(/['\\]/g, "\\$&");
  const short = text.replace(/["\\]/g, "\\$&").replace(
    /[\n\r\t]/g,
    (char) => "\\" + ({ "\n": "n", "\r": "r" }[char] ?? "t"),
  );
  // As the bytes of the name: a terminal shows the line.
  return printablePath(short);
}
