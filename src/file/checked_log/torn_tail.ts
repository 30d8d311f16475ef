/** A torn tail does not count. But it is kept aside, because bytes are never thrown away unseen. */

import { dirname } from "node:path/posix";
import { removeOnError, type Storage } from "../mod.ts";
import type { LogBytes } from "./frame.ts";

const STEP_BYTES = 65_536;

/**
 * Copies the bytes from `from` to `to` of a log durably into the file at `path`, which a start before may
 * have begun. Throws `OsError`, and leaves no new file, if that is not possible.
 */
export function keepTornTail(
  storage: Storage,
  path: string,
  log: LogBytes,
  { from, to }: { readonly from: number; readonly to: number },
): void {
  // The tail stays in its log, so every start on a full disk would leave one more copy.
  const made = storage.statusOrNull(path) === null ? [path] : [];
  removeOnError(storage, made, () => {
    using file = storage.open(path, { access: "write", create: "missing" });
    for (let offset = from; offset < to; offset += STEP_BYTES) {
      const length = Math.min(STEP_BYTES, to - offset);
      const start = log.at(offset, length);
      file.write(log.bytes.slice(start, start + length), offset - from);
    }
    file.sync();
    storage.syncDirectory(dirname(path));
  });
}

/** `stem` and the first number that is free: the path of one more torn tail. */
export function nextTornPath(storage: Storage, stem: string): string {
  let number = 1;
  while (storage.statusOrNull(`${stem}${number}`) !== null) number++;
  return `${stem}${number}`;
}
