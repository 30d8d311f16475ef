/** Tells a daemon that has a data directory open when it must end. */

import { OsError } from "../../file/mod.ts";
import type { DataDirectory } from "./directory.ts";

const CHECK_MS = 1000;

export class DirectoryWatch implements Disposable {
  readonly #unusable = new AbortController();
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(directory: DataDirectory) {
    this.#timer = setInterval(() => {
      try {
        directory.refuseUnusable();
      } catch (error) {
        // What else the system says of a name does not tell that it is lost.
        if (!(error instanceof OsError)) this.#unusable.abort(error);
      }
    }, CHECK_MS);
  }

  /** Fires when the directory is marked failed, removed or replaced. The reason is the error to end with. */
  get unusable(): AbortSignal {
    return this.#unusable.signal;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
