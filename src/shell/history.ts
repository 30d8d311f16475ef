/**
 * The lines that were typed, newest last, kept in a file that several shells share. A line that begins
 * with a blank is not kept, nor one that repeats the line before.
 *
 * The file (0600) holds a line each. Appending and shortening are done under its `flock`, and only
 * while the name still leads to the locked file. A history that cannot be kept is no error.
 */

import { type Clock, systemClock } from "../base/clock.ts";
import {
  directoryOf,
  leadsTo,
  makeDirectories,
  OsError,
  type Storage,
  type StoredFile,
} from "../file/mod.ts";

/** Lines that a shell begins with. The file is cut down to them when it has twice as many. */
export const HISTORY_LINES_MAX = 1000;
/** A line longer than this was pasted, and is not worth keeping. */
const LINE_LENGTH_MAX = 64 * 1024;
/** Others hold the lock for as long as one line takes to write. */
const LOCK_TRIES = 100;
const LOCK_PAUSE_MS = 2;

const utf8 = new TextEncoder();
const text = new TextDecoder();

/** True for a line that is worth keeping. */
export function isKept(line: string): boolean {
  return line.trim() !== "" && !line.startsWith(" ") && line.length <= LINE_LENGTH_MAX;
}

export class History {
  readonly lines: string[] = [];
  readonly #storage: Storage;
  /** Null where nothing is kept. */
  readonly #path: string | null;
  readonly #clock: Clock;

  constructor(storage: Storage, path: string | null, clock: Clock = systemClock) {
    this.#storage = storage;
    this.#path = path;
    this.#clock = clock;
  }

  /** Takes in what earlier shells left. */
  async load(): Promise<void> {
    await this.#withFile((file) => {
      const all = readLines(file);
      this.lines.push(...all.slice(-HISTORY_LINES_MAX));
      if (all.length >= 2 * HISTORY_LINES_MAX) this.#rewrite(all.slice(-HISTORY_LINES_MAX));
    });
  }

  /** Remembers a line that is worth it. */
  async add(line: string): Promise<void> {
    if (!isKept(line) || this.lines.at(-1) === line) return;
    this.lines.push(line);
    if (this.lines.length > HISTORY_LINES_MAX) this.lines.shift();
    await this.#withFile((file) => file.write(utf8.encode(line + "\n"), file.status().size));
  }

  /** Runs `work` with the file, made where it is missing and locked. Errors of the disk are passed over. */
  async #withFile(work: (file: StoredFile) => void): Promise<void> {
    if (this.#path === null) return;
    try {
      makeDirectories(this.#storage, directoryOf(this.#path), 0o700);
      for (let tries = 0; tries < LOCK_TRIES; tries++) {
        using file = this.#storage.open(this.#path, { access: "write", create: "missing" });
        if (file.tryFlock("exclusive") && leadsTo(this.#storage, this.#path, file.status())) {
          if (file.status().kind !== "file") return;
          if (file.status().mode !== 0o600) file.chmod(0o600);
          return work(file);
        }
        file.close();
        await this.#clock.sleep(LOCK_PAUSE_MS);
      }
    } catch (error) {
      if (!(error instanceof OsError)) throw error;
    }
  }

  /** A new file in the place of the old one, whose lock is held. */
  #rewrite(lines: readonly string[]): void {
    const path = this.#path as string;
    const temporary = `${path}.new`;
    if (this.#storage.statusOrNull(temporary) !== null) this.#storage.unlink(temporary);
    using file = this.#storage.open(temporary, { access: "write", create: "exclusive" });
    file.write(utf8.encode(lines.map((line) => line + "\n").join("")), 0);
    this.#storage.rename(temporary, path);
  }
}

function readLines(file: StoredFile): string[] {
  const bytes = new Uint8Array(file.status().size);
  const length = file.read(bytes, 0);
  return text.decode(bytes.subarray(0, length)).split("\n").filter(isKept);
}

/** Where the history is kept: `$XDG_STATE_HOME/countd/history`, else below `~/.local/state`. */
export function historyPath(environment: (name: string) => string | undefined): string | null {
  const state = environment("XDG_STATE_HOME");
  if (state?.startsWith("/")) return `${state}/countd/history`;
  const home = environment("HOME");
  return home?.startsWith("/") ? `${home}/.local/state/countd/history` : null;
}
