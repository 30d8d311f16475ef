/**
 * The names of all keyspaces in byte order, kept from one question to the next. While the directory does not
 * change, a question costs one `stat`. If it has changed, its names are read again, but only new ones are decoded
 * and sorted.
 */

import { byteText } from "../../base/byte_text.ts";
import type { Clock } from "../../base/clock.ts";
import { mapKey } from "../../base/map_key.ts";
import { mergeSorted, sortInSteps } from "../../base/sort_steps.ts";
import type { Steps } from "../../base/steps.ts";
import { type FileStatus, isSameFile, type Storage } from "../../file/mod.ts";
import { keyspaceHead } from "./head.ts";
import { decodeKeyspaceName } from "./name.ts";

/** Names that are read before others get their turn. */
const STEP_NAMES = 256;
/**
 * Time stamps of some file systems are whole seconds. A directory that was changed so short before a look may be
 * changed again within the same stamp.
 */
const STAMP_MS = 2000;

export class KeyspaceListing {
  readonly #storage: Storage;
  readonly #directory: string;
  readonly #clock: Clock;
  /** By file name: the name, with one character for each byte. */
  #names = new Map<string, string>();
  #sorted: readonly string[] = [];
  /** The directory as it was before the last look; null if a change after it may not show. */
  #seen: FileStatus | null = null;

  constructor(storage: Storage, directory: string, clock: Clock) {
    this.#storage = storage;
    this.#directory = directory;
    this.#clock = clock;
  }

  /**
   * The names now, with one character for each byte, in order. A missing directory has none. Throws
   * `CorruptError`, `NewerFormatError` and `OldFormatError` for a file that hides its name. Not to be called
   * again before it has ended.
   */
  *refreshed(): Steps<readonly string[]> {
    const status = this.#storage.statusOrNull(this.#directory);
    const seen = this.#seen;
    const isSame = status !== null && seen !== null && isSameFile(status, seen) &&
      status.modifiedMs === seen.modifiedMs;
    if (isSame) return this.#sorted;
    this.#seen = null;
    const isSettled = status !== null && this.#clock.wallMs() - status.modifiedMs > STAMP_MS;
    const names = new Map<string, string>();
    const added: string[] = [];
    let count = 0;
    for (const fileName of status === null ? [] : this.#storage.walkDirectory(this.#directory)) {
      if (++count % STEP_NAMES === 0) yield;
      const key = mapKey(fileName);
      const known = this.#names.get(key);
      const name = known ?? this.#nameOf(fileName);
      if (name === null) continue;
      names.set(key, name);
      if (known === undefined) added.push(name);
    }
    let kept = this.#sorted;
    if (names.size !== kept.length + added.length) {
      const all = new Set(names.values());
      kept = kept.filter((name) => all.has(name));
    }
    this.#sorted = yield* mergeSorted(kept, yield* sortInSteps(added));
    this.#names = names;
    if (isSettled) this.#seen = status;
    return this.#sorted;
  }

  /** Null for a file that is not a keyspace. */
  #nameOf(fileName: string): string | null {
    const name = decodeKeyspaceName(fileName);
    if (name === null) return null;
    if (name !== "hashed") return byteText(name);
    const head = keyspaceHead(this.#storage, `${this.#directory}/${fileName}`);
    return head === null ? null : byteText(head.name);
  }
}
