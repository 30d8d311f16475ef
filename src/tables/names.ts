/**
 * Names of keys and tables, and of their files and directories. Pure text; knows no disk.
 *
 * Rules
 * 1. A key is any well-formed text without `/` and NUL, of 0 to 242 bytes in UTF-8. The empty key,
 *    `.`, `..`, `x.kv` and `a*b` are ordinary keys: the suffix keeps each of them a name of its own.
 * 2. A table name is one or more parts joined by `/`; the empty name is the root table. A part is
 *    not empty, not `.` or `..`, holds no NUL, and is short enough for its directory; a part before
 *    the last does not end in `.kv` (it would have the name of a value) and is not the name of the
 *    directory for temporary files. So no name leads out of the root.
 * 3. Different keys have different files, and different tables different directories.
 */

import { InvalidKeyError, InvalidTableError } from "./errors.ts";

/** Suffix of the file of a value, as in flockd. */
export const VALUE_SUFFIX = ".kv";
/** Suffix of the directory of a table, as in flockd. */
export const TABLE_SUFFIX = ".tbl";

/** Bytes of a name in one directory, on every file system that matters. */
export const FILE_NAME_BYTES_MAX = 255;
/** Digits that flockd appends to a value's name while it writes. */
const FOREIGN_DIGITS_MAX = 10;
/**
 * Greatest length of a key, in bytes of UTF-8: 242. With the suffix of a value, and the digits that flockd
 * appends while it writes, that fills a file name.
 */
export const KEY_BYTES_MAX: number = FILE_NAME_BYTES_MAX - VALUE_SUFFIX.length - FOREIGN_DIGITS_MAX;
/** Greatest length of a value that is read, in bytes: it is held in memory as a whole. */
export const VALUE_BYTES_MAX: number = 2 ** 30;
/** Longest table name with all its parts; leaves enough of PATH_MAX for the root's own path. */
export const TABLE_BYTES_MAX = 1024;

/**
 * Directory inside each table in which values are written before they get their name. By its suffix it
 * is neither a value nor a table, to this library and to flockd.
 */
export const TEMPORARY_DIRECTORY = ".countd-temporary";
/** Random hexadecimal digits that name a temporary file. */
export const TEMPORARY_NAME_DIGITS = 16;

/** Name that flockd gives to a value that it is writing. */
const FOREIGN_TEMPORARY_NAME = /\.kv[0-9]{1,10}$/;
const TEMPORARY_NAME = new RegExp(`^[0-9a-f]{${TEMPORARY_NAME_DIGITS}}$`);
const utf8 = new TextEncoder();

/**
 * Throw `InvalidKeyError` unless `key` is valid: well-formed Unicode without `/` and NUL, of 0 to 242
 * bytes in UTF-8. The empty key, `.` and `..` are ordinary keys. Every call makes this check first.
 */
export function checkKey(key: string): void {
  const problem = keyProblem(key);
  if (problem !== null) throw new InvalidKeyError(`Invalid key ${shown(key)}: ${problem}`);
}

/** Name of the file of a key inside its table's directory. Throws `InvalidKeyError`. */
export function valueFileName(key: string): string {
  checkKey(key);
  return key + VALUE_SUFFIX;
}

/** Key whose value a file of this name is, or null if it is not a value. */
export function keyOfFileName(name: string): string | null {
  if (!name.endsWith(VALUE_SUFFIX)) return null;
  const key = name.slice(0, -VALUE_SUFFIX.length);
  return keyProblem(key) === null ? key : null;
}

/** Path of a table's directory below the root; empty for the root table. Throws `InvalidTableError`. */
export function tableDirectory(table: string): string {
  const problem = tableProblem(table);
  if (problem !== null) throw new InvalidTableError(`Invalid table ${shown(table)}: ${problem}`);
  return table === "" ? "" : table + TABLE_SUFFIX;
}

/** Table whose directory a path below the root is, or null if it is not a table. */
export function tableOfDirectory(path: string): string | null {
  if (!path.endsWith(TABLE_SUFFIX)) return null;
  const table = path.slice(0, -TABLE_SUFFIX.length);
  return table === "" || tableProblem(table) !== null ? null : table;
}

/** Whether tables may be below a directory of this name. */
export function mayHoldTables(name: string): boolean {
  return partProblem(name, { last: false }) === null;
}

export function isTemporaryName(name: string): boolean {
  return TEMPORARY_NAME.test(name);
}

export function isForeignTemporaryName(name: string): boolean {
  return FOREIGN_TEMPORARY_NAME.test(name);
}

/** Name for a temporary file: 64 random bits, so that no two writers choose the same. */
export function newTemporaryName(): string {
  return crypto.getRandomValues(new Uint8Array(TEMPORARY_NAME_DIGITS / 2)).toHex();
}

function keyProblem(key: string): string | null {
  if (!key.isWellFormed()) return "it is not valid Unicode";
  if (key.includes("/")) return "a key has no slash; tables are for nesting";
  if (key.includes("\0")) return "a key has no NUL byte";
  const bytes = byteLength(key);
  if (bytes > KEY_BYTES_MAX) return `it has ${bytes} bytes, the limit is ${KEY_BYTES_MAX}`;
  return null;
}

function tableProblem(table: string): string | null {
  if (table === "") return null;
  if (!table.isWellFormed()) return "it is not valid Unicode";
  const bytes = byteLength(table);
  if (bytes > TABLE_BYTES_MAX) return `it has ${bytes} bytes, the limit is ${TABLE_BYTES_MAX}`;
  const parts = table.split("/");
  const last = parts.length - 1;
  const problems = parts.map((part, index) => partProblem(part, { last: index === last }));
  return problems.find((problem) => problem !== null) ?? null;
}

function partProblem(part: string, { last }: { readonly last: boolean }): string | null {
  if (part === "") return "no part of it may be empty";
  if (part === "." || part === "..") return `no part of it may be "${part}"`;
  if (part.includes("\0")) return "a table name has no NUL byte";
  const limit = FILE_NAME_BYTES_MAX - (last ? TABLE_SUFFIX.length : 0);
  const bytes = byteLength(part);
  if (bytes > limit) return `one part of it has ${bytes} bytes, the limit is ${limit}`;
  if (last) return null;
  if (part.endsWith(VALUE_SUFFIX)) return `a part before the last may not end in ${VALUE_SUFFIX}`;
  if (part === TEMPORARY_DIRECTORY) return `"${part}" holds temporary files`;
  return null;
}

/** Bytes in UTF-8. Names of ASCII characters alone need no encoding. */
function byteLength(text: string): number {
  // deno-lint-ignore no-control-regex -- every character of one byte, control characters too
  return /^[\x00-\x7f]*$/.test(text) ? text.length : utf8.encode(text).length;
}

/** A name for a message: quoted, escaped, and not longer than a line. */
function shown(name: string): string {
  return JSON.stringify(name.length > 60 ? name.slice(0, 60) + "…" : name);
}
