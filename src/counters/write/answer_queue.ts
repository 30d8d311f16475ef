/**
 * The answers of one connection that are not sent yet, in order: those that wait for their position to be
 * durable, and the bytes that the socket has not taken. Bounded: beyond `bytesMax` nothing more is taken from
 * the connection.
 */

import { encodeAnswers } from "../wire/mod.ts";
import type { LogWriter } from "./log_writer.ts";

/** Answers to messages that may wait before the connection is no longer read. */
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
    /** Sends all of the bytes; false if the connection is closed. */
    readonly send: (bytes: Uint8Array) => Promise<boolean>,
    /** Bytes that may wait. */
    readonly bytesMax = PENDING_BYTES_MAX,
  ) {}

  /** True if the peer can no longer get answers: it is not read any more. */
  get isBroken(): boolean {
    return this.#isBroken;
  }

  /** Adds answers for `count` messages whose records end at `position`. */
  addAnswers(verdicts: Uint8Array, count: number, position: number): void {
    const target = new Uint8Array(count * 3);
    encodeAnswers(verdicts, { first: 0, count }, { target, offset: 0 });
    this.add(target, position);
  }

  /** Adds bytes that may be sent once `position` is durable. */
  add(bytes: Uint8Array, position: number): void {
    this.#groups.push({ position, bytes });
    this.#pendingBytes += bytes.length;
    if (this.#sending !== null || this.#isBroken) return;
    this.#sending = this.#sendAll();
    // `whenSent` rejects for its callers. Without one, the writer itself has reported the failure.
    this.#sending.catch(() => {});
  }

  /** More than the bound is waiting, and may still be sent. */
  get isAboveBound(): boolean {
    return this.#pendingBytes > this.bytesMax && !this.#isBroken;
  }

  /** Resolves when no more than the bound is waiting. */
  async whenBelowBound(): Promise<void> {
    while (this.isAboveBound) await this.#belowBound.promise;
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
      // Cleared in the same turn as the last check, so a later group starts a new round.
      this.#sending = null;
    }
  }

  /** Waits until the first group is durable, and sends it with all others that are durable by then. */
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
    // If the connection is closed, what its peer sent stays counted, and no answer can reach it.
    if (!await this.send(join(ready, bytes))) return this.#discard();
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
