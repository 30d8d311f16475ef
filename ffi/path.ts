/** A path as C wants it: UTF-8 bytes and a closing NUL. */

import { OsError } from "./errno.ts";

const encoder = new TextEncoder();

/** Throws `OsError` EINVAL for a path that C would cut short (NUL) or that is no proper text. */
export function cString(path: string, syscall: string): Uint8Array<ArrayBuffer> {
  if (path.includes("\0") || !path.isWellFormed()) {
    throw new OsError(syscall, JSON.stringify(path), "EINVAL");
  }
  return encoder.encode(path + "\0");
}
