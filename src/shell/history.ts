/**
 * The lines that were typed, newest last, in a file that several shells share. A line that begins with
 * a blank, or repeats the line before, is not kept.
 *
 * The file (0600) is appended to and shortened under its `flock`, and only while its name still leads to
 * the locked file. If the history cannot be kept, the shell works without it.
 */

import { dirname } from "node:path/posix";
import { type Clock, systemClock } from "../base/clock.ts";
import {
  holdOrNull,
  makeDirectories,
  OsError,
  type Storage,
  type StoredFile,
} from "../file/mod.ts";

/** Lines that a shell loads. A file with twice as many is shortened to this number. */
export const HISTORY_LINES_MAX = 1000;
/** A longer line was probably pasted, and is not kept. */
const LINE_LENGTH_MAX = 64 * 1024;
/** Another shell holds the lock only while it writes one line. */
const LOCK_TRIES = 100;
const LOCK_PAUSE_MS = 2;

const utf8 = new TextEncoder();
const text = new TextDecoder();

/** Tells whether a line belongs in the history. */
export function isKept(line: string): boolean {
  return line.trim() !== "" && !line.startsWith(" ") && line.length <= LINE_LENGTH_MAX;
}

export class History {
  readonly lines: string[] = [];
  readonly #storage: Storage;
  /** Null if nothing is kept. */
  readonly #path: string | null;
  readonly #clock: Clock;

  constructor(storage: Storage, path: string | null, clock: Clock = systemClock) {
    this.#storage = storage;
    this.#path = path;
    this.#clock = clock;
  }

  /** Loads the lines of earlier shells. */
  async load(): Promise<void> {
    await this.#withFile((file) => {
      const all = readLines(file);
      this.lines.push(...all.slice(-HISTORY_LINES_MAX));
      if (all.length >= 2 * HISTORY_LINES_MAX) this.#rewrite(all.slice(-HISTORY_LINES_MAX));
    });
  }

  /** Adds a line, if it belongs in the history. */
  async add(line: string): Promise<void> {
    if (!isKept(line) || this.lines.at(-1) === line) return;
    this.lines.push(line);
    if (this.lines.length > HISTORY_LINES_MAX) this.lines.shift();
    await this.#withFile((file) => file.write(utf8.encode(line + "\n"), file.status().size));
  }

  /** Runs `work` with the locked file, which is made if missing. Ignores errors of the disk. */
  async #withFile(work: (file: StoredFile) => void): Promise<void> {
    if (this.#path === null) return;
    try {
      makeDirectories(this.#storage, dirname(this.#path), 0o700);
      for (let tries = 0; tries < LOCK_TRIES; tries++) {
        const file = this.#storage.open(this.#path, { access: "write", create: "missing" });
        using held = holdOrNull(this.#storage, file);
        if (held !== null) {
          if (file.status().kind !== "file") return;
          if (file.status().mode !== 0o600) file.chmod(0o600);
          return work(file);
        }
        await this.#clock.sleep(LOCK_PAUSE_MS);
      }
    } catch (error) {
      if (!(error instanceof OsError)) throw error;
    }
  }

  /** Replaces the file, whose lock is held, by a new one. */
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

/** Returns the path of the history: `$XDG_STATE_HOME/countd/history`, else below `~/.local/state`. */
export function historyPath(environment: (name: string) => string | undefined): string | null {
  const state = environment("XDG_STATE_HOME");
  if (state?.startsWith("/")) return `${state}/countd/history`;
  const home = environment("HOME");
  return home?.startsWith("/") ? `${home}/.local/state/countd/history` : null;
}
