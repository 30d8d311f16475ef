/**
 * What one connection still has to be told, in order: answers that wait for their position to be durable,
 * and the bytes that the socket has not taken yet. Bounded: past `PENDING_BYTES_MAX` the connection is read
 * no further.
 */

import { encodeAnswers } from "../wire/mod.ts";
import type { LogWriter } from "./log_writer.ts";

/** Output that one connection may leave waiting. */
export const PENDING_BYTES_MAX = 2 ** 20;

interface Group {
  readonly position: number;
  readonly bytes: Uint8Array;
}

export class AnswerQueue {
  readonly #groups: Group[] = [];
  #pendingBytes = 0;
  #sending: Promise<void> | null = null;
  #isBroken = false;
  #belowBound = Promise.withResolvers<void>();

  constructor(
    readonly writer: LogWriter,
    /** Sends all of the bytes; rejects where the peer is gone or stuck. */
    readonly send: (bytes: Uint8Array) => Promise<void>,
  ) {}

  /** True where the peer no longer takes answers: there is no point in reading on. */
  get isBroken(): boolean {
    return this.#isBroken;
  }

  /** Answers for `count` messages whose records end at `position`. */
  addAnswers(verdicts: Uint8Array, count: number, position: number): void {
    const target = new Uint8Array(count * 3);
    encodeAnswers(verdicts, { first: 0, count }, { target, offset: 0 });
    this.add(target, position);
  }

  /** Bytes that may be sent once `position` is durable. */
  add(bytes: Uint8Array, position: number): void {
    this.#groups.push({ position, bytes });
    this.#pendingBytes += bytes.length;
    if (this.#sending !== null || this.#isBroken) return;
    this.#sending = this.#sendAll();
    // Who waits in `whenSent` is told of a failure; where nobody does, the writer itself has told.
    this.#sending.catch(() => {});
  }

  /** Resolves when less than the bound is waiting. */
  async whenBelowBound(): Promise<void> {
    while (this.#pendingBytes > PENDING_BYTES_MAX && !this.#isBroken) {
      await this.#belowBound.promise;
    }
  }

  /** Resolves when everything is sent, or cannot be. Rejects when a sync failed. */
  async whenSent(): Promise<void> {
    while (this.#sending !== null) await this.#sending;
  }

  async #sendAll(): Promise<void> {
    try {
      // The first turn ends before anything is awaited, so that `add` has stored this promise.
      await Promise.resolve();
      while (this.#groups[0] !== undefined && !this.#isBroken) {
        await this.#sendReady(this.#groups[0]);
      }
    } finally {
      // In the same turn as the last look: a group that comes later begins a round of its own.
      this.#sending = null;
    }
  }

  /** Waits for the first group and sends it with all that are durable by then. */
  async #sendReady(first: Group): Promise<void> {
    try {
      await this.writer.whenDurable(first.position);
    } catch (error) {
      this.#discard();
      throw error;
    }
    const durable = this.writer.options.sync === "os" ? Infinity : this.writer.durablePosition;
    let count = 0;
    let bytes = 0;
    for (const group of this.#groups) {
      if (group.position > durable) break;
      count++;
      bytes += group.bytes.length;
    }
    const ready = this.#groups.splice(0, count);
    try {
      await this.send(join(ready, bytes));
    } catch {
      // The peer went away: what it sent stays counted, nobody is there to be told.
      return this.#discard();
    }
    this.#pendingBytes -= bytes;
    this.#wakeReader();
  }

  #discard(): void {
    this.#isBroken = true;
    this.#groups.length = 0;
    this.#wakeReader();
  }

  #wakeReader(): void {
    this.#belowBound.resolve();
    this.#belowBound = Promise.withResolvers();
  }
}

function join(groups: readonly Group[], length: number): Uint8Array {
  if (groups.length === 1 && groups[0] !== undefined) return groups[0].bytes;
  const all = new Uint8Array(length);
  let offset = 0;
  for (const { bytes } of groups) {
    all.set(bytes, offset);
    offset += bytes.length;
  }
  return all;
}
