/**
 * Bounds the number of keyspaces, because each costs a file: names of strangers must not fill the disk with them.
 * A writer counts the keyspaces that it finds in the directory, from time to time, and those that it has let in
 * since. What other writers let in shows at the next look, so the bound is approximate between them.
 */

import { byteText } from "../../base/byte_text.ts";
import { mapKey } from "../../base/map_key.ts";
import { inTurns } from "../../base/steps.ts";
import type { DataDirectory } from "../commitlog/mod.ts";
import { KeyspaceListing } from "../keyspace/mod.ts";
import type { KeyspaceGate } from "../wire/mod.ts";
import type { Environment } from "./log_writer_options.ts";
import { RareEvents } from "../../base/rare_events.ts";

/** Time to the next look at the directory, at least; and at least this many times what the last one took. */
const LOOK_AGAIN_MS = 10_000;
const LOOK_AGAIN_FACTOR = 50;
const TURN_MS = 4;
/** A start waits no longer than this for the first look. */
const FIRST_LOOK_MS = 500;

export class KeyspaceLimit implements KeyspaceGate {
  readonly #max: number;
  readonly #environment: Environment;
  readonly #events: RareEvents;
  readonly #listing: KeyspaceListing;
  /** With one character for each byte, in order, as of the last look. */
  #stored: readonly string[] = [];
  /** The `mapKey` of each name that was let in and is in no file yet. */
  readonly #added = new Set<string>();
  #isLooking = false;
  #looksFromMs = 0;

  constructor({ storage, paths }: DataDirectory, max: number, environment: Environment) {
    const { clock, events } = environment;
    this.#max = max;
    this.#environment = environment;
    this.#events = new RareEvents(events, clock);
    this.#listing = new KeyspaceListing(storage, paths.keyspaces, clock);
  }

  /** Looks at the directory for the first time. A long look goes on beside the caller's work. */
  async prepare(): Promise<void> {
    const looked = new AbortController();
    const look = this.#look().finally(() => looked.abort());
    await Promise.race([look, this.#environment.clock.sleep(FIRST_LOOK_MS, looked.signal)]);
  }

  get #count(): number {
    return this.#stored.length + this.#added.size;
  }

  admits(name: Uint8Array): boolean {
    return this.firstRefused([name], []) < 0;
  }

  firstRefused(names: readonly Uint8Array[], admitted: string[]): number {
    // What is refused was not admitted in part: that would take as long once more.
    const added = new Set<string>();
    const freeCount = this.#max - this.#count;
    for (const [index, name] of names.entries()) {
      const text = byteText(name);
      const key = mapKey(text);
      if (this.#added.has(key) || added.has(key) || this.#isStored(text)) continue;
      if (added.size >= freeCount) {
        this.#lookAgain();
        this.#events.report("warn", "increments of new keyspaces are refused: too many keyspaces", {
          keyspaces: this.#count + added.size,
          max_keyspaces: this.#max,
        });
        return index;
      }
      added.add(key);
    }
    if (added.size > 0) this.#lookAgain();
    for (const key of added) {
      this.#added.add(key);
      admitted.push(key);
    }
    return -1;
  }

  withdraw(admitted: readonly string[]): void {
    for (const key of admitted) this.#added.delete(key);
  }

  #lookAgain(): void {
    if (this.#environment.clock.nowMs() >= this.#looksFromMs) this.#look();
  }

  #isStored(text: string): boolean {
    const sorted = this.#stored;
    let low = 0;
    let high = sorted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (sorted[middle]! < text) low = middle + 1;
      else high = middle;
    }
    return sorted[low] === text;
  }

  async #look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    const { clock } = this.#environment;
    const startMs = clock.nowMs();
    try {
      this.#stored = await inTurns(this.#listing.refreshed(), { clock, turnMs: TURN_MS });
      for (const text of this.#stored) this.#added.delete(mapKey(text));
    } catch (error) {
      // A directory that cannot be read has no bound: the worker reports it, and must not be hindered.
      this.#events.report("warn", "cannot count the keyspaces", { reason: String(error) });
    } finally {
      const tookMs = clock.nowMs() - startMs;
      this.#looksFromMs = clock.nowMs() + Math.max(LOOK_AGAIN_MS, LOOK_AGAIN_FACTOR * tookMs);
      this.#isLooking = false;
    }
  }
}
