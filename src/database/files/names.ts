/** Whether the two files of an open database still have their names. */

import { CorruptError } from "../../base/errors.ts";
import { leadsTo, type Storage, type StoredFile } from "../../file/mod.ts";

/** Thrown if a file of an open database was removed, moved or replaced. The file itself is sound. */
export class LostNameError extends CorruptError {
  override readonly name = "LostNameError";
}

/** Throws `LostNameError` if the name of an open file does not lead to it any more. */
export function refuseLost(storage: Storage, file: StoredFile): void {
  const { path } = file;
  if (leadsTo(storage, path, file.status())) return;
  const what = storage.statusOrNull(path) === null ? "was removed or moved" : "was replaced";
  throw new LostNameError(`${path} ${what} while it was in use`, { path, offset: 0 });
}

/** How often the names of open files are compared with what is open. */
const NAMES_MS = 1000;

/** Calls `onLost` once if one of the files loses its name, which is looked at each second until it is disposed. */
export function watchNames(
  files: readonly { refuseLost(): void }[],
  onLost: (error: LostNameError) => void,
): Disposable {
  const stop = () => clearInterval(timer);
  const timer = setInterval(() => {
    try {
      for (const file of files) file.refuseLost();
    } catch (error) {
      // What else the system says of a name does not tell that it is lost.
      if (!(error instanceof LostNameError)) return;
      stop();
      onLost(error);
    }
  }, NAMES_MS);
  // It does not keep a process alive that forgets to close the database.
  Deno.unrefTimer(timer);
  return { [Symbol.dispose]: stop };
}
