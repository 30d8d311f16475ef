/**
 * The JSON files of the original (mmapd): the map as one object, the log as one array, both as Go's
 * encoder writes them. They are read by an open or an import, and written by `countd db export`.
 *
 * Nothing is guessed: content of any other shape throws `ShapeError`.
 */

import { CorruptError, FailedError } from "../../base/errors.ts";
import { endOfData, type StoredFile, TEXT_BYTES_MAX } from "../../file/mod.ts";
import { type Entry, requireTerm } from "../format/entry.ts";
import { textOrNull } from "../format/text.ts";

/** Says what is wrong with a text, and at which byte, or 0 if that is unknown. */
export class ShapeError extends Error {
  override readonly name = "ShapeError";
  constructor(message: string, readonly offset = 0) {
    super(message);
  }
}

/** Bytes behind the JSON text: the original pads its files with zeros, and never truncates them. */
const PADDING_BYTES: readonly number[] = [0x00, 0x20, 0x09, 0x0a, 0x0d];

/** The content without padding at its end; null if nothing is left. */
function contentOf(bytes: Uint8Array): string | null {
  let end = bytes.length;
  while (end > 0 && PADDING_BYTES.includes(bytes[end - 1] as number)) end--;
  if (end === 0) return null;
  const text = textOrNull(bytes.subarray(0, end));
  if (text === null) throw new ShapeError("it is not UTF-8 text");
  return text;
}

function parseJson(
  text: string,
  reviver?: (key: string, value: unknown, source: Source) => unknown,
) {
  try {
    return JSON.parse(text, reviver as Parameters<typeof JSON.parse>[1]);
  } catch (cause) {
    if (cause instanceof ShapeError) throw cause;
    const first = endOfFirstValue(text);
    throw first === null ? new ShapeError("it is not JSON") : new ShapeError(
      "there is more behind the JSON text, as the original leaves it after a shorter value",
      new TextEncoder().encode(text.slice(0, first)).length,
    );
  }
}

interface Source {
  readonly source?: string;
}

function requireWellFormed(text: string, what: string): string {
  if (text.isWellFormed()) return text;
  throw new ShapeError(`the ${what} holds half a surrogate pair`);
}

/** Reads the keys and values of a map file; an empty file has none. Throws `ShapeError`. */
export function parseOriginalMap(bytes: Uint8Array): [string, string][] {
  const text = contentOf(bytes);
  if (text === null) return [];
  const value: unknown = parseJson(text);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new ShapeError("it is not a JSON object");
  }
  return Object.entries(value).map(([key, member]) => {
    if (typeof member !== "string") {
      throw new ShapeError(`the value of key ${JSON.stringify(key)} is not a string`);
    }
    return [requireWellFormed(key, "key"), requireWellFormed(member, "value")];
  });
}

/**
 * Reads the entries of a log file. An empty file has none, and neither has `null`, which the original
 * writes. Throws `ShapeError`.
 */
export function parseOriginalLog(bytes: Uint8Array): Entry[] {
  const text = contentOf(bytes);
  if (text === null) return [];
  // The text of a number is the only exact form of a term past 2^53.
  const value: unknown = parseJson(text, (key, member, { source }) => {
    if (typeof member !== "number") return member;
    if (key !== "Term" || source === undefined || !/^-?[0-9]+$/.test(source)) {
      throw new ShapeError(`the number ${source ?? member} is not a term`);
    }
    return BigInt(source);
  });
  if (value === null) return [];
  if (!Array.isArray(value)) throw new ShapeError("it is not a JSON array");
  return value.map(entryOf);
}

/** Bytes or units of a text that are handled in one step. */
const STEP = 2 ** 20;

/** Where the text of a file ends, without the padding that follows, read from the end of its data. */
function endOfText(file: StoredFile): number {
  const bytes = new Uint8Array(STEP);
  let end = endOfData(file);
  while (end > 0) {
    const start = Math.max(0, end - STEP);
    const part = bytes.subarray(0, file.read(bytes.subarray(0, end - start), start));
    const last = part.findLastIndex((byte) => !PADDING_BYTES.includes(byte));
    if (last >= 0) return start + last + 1;
    end = start;
  }
  return 0;
}

/**
 * Reads a whole file with one of the parsers. Throws `CorruptError` for what it refuses, and `FailedError`
 * if the text is too long.
 */
export function parseFile<Result>(
  file: StoredFile,
  parser: (bytes: Uint8Array) => Result,
  verb: "open" | "import",
): Result {
  const { path } = file;
  const end = endOfText(file);
  if (end > TEXT_BYTES_MAX) {
    throw new FailedError(
      `Cannot ${verb} ${path}: its text has ${end} bytes, and at most ${TEXT_BYTES_MAX} can be read`,
    );
  }
  const bytes = new Uint8Array(end);
  try {
    return parser(bytes.subarray(0, file.read(bytes, 0)));
  } catch (cause) {
    if (!(cause instanceof ShapeError)) throw cause;
    const advice = verb === "open" ? "; nothing was changed; run countd db repair" : "";
    const message = `Cannot ${verb} ${path}: at byte ${cause.offset} ${cause.message}${advice}`;
    throw new CorruptError(message, { path, offset: cause.offset }, { cause });
  }
}

const MEMBERS = ["Command", "Key", "Value", "Term"];

function entryOf(value: unknown, index: number): Entry {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new ShapeError(`entry ${index} is not a JSON object`);
  }
  const fields = new Map<string, unknown>(Object.entries(value));
  for (const name of fields.keys()) {
    if (!MEMBERS.includes(name)) {
      throw new ShapeError(`entry ${index} has an unknown member ${JSON.stringify(name)}`);
    }
  }
  const text = (name: string): string => {
    const field = fields.get(name);
    if (typeof field !== "string") {
      throw new ShapeError(`${name} of entry ${index} is not a string`);
    }
    return requireWellFormed(field, name);
  };
  const term = fields.get("Term");
  if (typeof term !== "bigint") throw new ShapeError(`Term of entry ${index} is not a number`);
  try {
    return {
      command: text("Command"),
      key: text("Key"),
      value: text("Value"),
      term: requireTerm(term),
    };
  } catch (cause) {
    if (cause instanceof ShapeError) throw cause;
    throw new ShapeError(`Term of entry ${index} is out of range`);
  }
}

/** Index after the first complete JSON object, array or `null`; null if there is none. */
export function endOfFirstValue(text: string): number | null {
  const start = text.search(/[^\s]/);
  if (start < 0) return null;
  if (text.startsWith("null", start)) return start + 4;
  if (!"{[".includes(text[start] as string)) return null;
  let depth = 0;
  let isInString = false;
  for (let index = start; index < text.length; index++) {
    const character = text[index];
    if (isInString) {
      if (character === "\\") index++;
      else if (character === '"') isInString = false;
    } else if (character === '"') isInString = true;
    else if (character === "{" || character === "[") depth++;
    else if (character === "}" || character === "]") {
      depth--;
      if (depth === 0) return index + 1;
    }
  }
  return null;
}

/** The characters that Go's encoder escapes: quotes, controls, and those that could end a script. */
// deno-lint-ignore no-control-regex -- the controls are what is looked for
const ESCAPED = /[\u0000-\u001f"\\<>&\u2028\u2029]/;
// deno-lint-ignore no-control-regex -- the controls are what is looked for
const ESCAPED_ALL = /[\u0000-\u001f"\\<>&\u2028\u2029]/g;
const shortEscapes: Readonly<Record<string, string>> = {
  '"': '\\"',
  "\\": "\\\\",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
};

/** A JSON string as Go's encoder writes it. */
export function goString(text: string): string {
  if (!ESCAPED.test(text)) return `"${text}"`;
  let content = "";
  // The runtime dies of too many replacements in one call.
  for (let start = 0; start < text.length; start += STEP) {
    content += text.slice(start, start + STEP).replace(
      ESCAPED_ALL,
      (character) =>
        shortEscapes[character] ?? "\\u" + character.charCodeAt(0).toString(16).padStart(4, "0"),
    );
  }
  return `"${content}"`;
}

/** One entry as an element of the original's JSON array, for example in a reply to `/log`. */
export function goEntry(entry: Entry): string {
  return `{"Command":${goString(entry.command)},"Key":${goString(entry.key)},"Value":${
    goString(entry.value)
  },"Term":${entry.term}}`;
}

/** Yields the text of the original's log file, in pieces. */
export function* originalLog(entries: Iterable<Entry>): Generator<string> {
  let isFirst = true;
  yield "[";
  for (const entry of entries) {
    yield (isFirst ? "" : ",") + goEntry(entry);
    isFirst = false;
  }
  yield "]";
}

/** Yields the text of the original's map file, in pieces. Keys are in the order of their bytes. */
export function* originalMap(values: Iterable<readonly [string, string]>): Generator<string> {
  const sorted = [...values].sort(([left], [right]) => compareBytes(left, right));
  let isFirst = true;
  yield "{";
  for (const [key, value] of sorted) {
    yield `${isFirst ? "" : ","}${goString(key)}:${goString(value)}`;
    isFirst = false;
  }
  yield "}";
}

/** Compares by UTF-8 bytes, which is the order of code points and not that of UTF-16 units. */
export function compareBytes(left: string, right: string): number {
  const length = Math.min(left.length, right.length);
  for (let index = 0; index < length; index++) {
    const one = left.charCodeAt(index);
    const other = right.charCodeAt(index);
    if (one === other) continue;
    return rank(one) - rank(other);
  }
  return left.length - right.length;
}

/** Raises surrogates above all other units, because they encode greater code points. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}
