/** A torn tail does not count. But it is kept aside, because bytes are never thrown away unseen. */

import { dirname } from "node:path/posix";
import { removeOnError, type Storage } from "../mod.ts";

/**
 * Copies a torn tail durably into a new file: `stem` and the first number that is free. Returns its path.
 * Throws `OsError`, and leaves no file, if that is not possible.
 */
export function keepTornTail(storage: Storage, stem: string, bytes: Uint8Array): string {
  for (let number = 1;; number++) {
    const path = `${stem}${number}`;
    if (storage.statusOrNull(path) !== null) continue;
    using file = storage.open(path, { access: "write", create: "exclusive" });
    // The tail stays in its log, so every start on a full disk would leave one more copy.
    removeOnError(storage, [path], () => {
      file.write(bytes.slice(), 0);
      file.sync();
      storage.syncDirectory(dirname(path));
    });
    return path;
  }
}
