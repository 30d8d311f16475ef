/**
 * Splits a byte stream into messages: bytes come in any segmentation, whole messages are used in place. The
 * memory belongs to the caller, so that the next connection can use it again.
 *
 * Invariants:
 * 1. `start ≤ end ≤ capacity`; `bytes[start … end)` was received and not consumed.
 * 2. If only a part of a message is left, it is moved to offset 0. So every message begins at a multiple of
 *    its size, and on a word if the size is a multiple of four.
 */

import { assert } from "../../base/assert.ts";

/** Received bytes, and capacity for more. */
export class ReceiveBuffer {
  readonly bytes: Uint8Array<ArrayBuffer>;
  #start = 0;
  #end = 0;

  constructor(memory: Uint8Array<ArrayBuffer>) {
    this.bytes = memory;
  }

  /** The first byte that is not consumed. */
  get start(): number {
    return this.#start;
  }

  /** The end of the received bytes. */
  get end(): number {
    return this.#end;
  }

  get length(): number {
    return this.#end - this.#start;
  }

  /** Where to read the next bytes into. Empty if nothing can be received before `consume`. */
  unused(): Uint8Array<ArrayBuffer> {
    return this.bytes.subarray(this.#end);
  }

  /** Adds `count` bytes that were read into `unused()`. */
  received(count: number): void {
    assert(count >= 0 && this.#end + count <= this.bytes.length, "Received bytes fit the capacity");
    this.#end += count;
  }

  /** Consumes everything before `to`. */
  consume(to: number): void {
    assert(to >= this.#start && to <= this.#end, "Only received bytes are consumed");
    this.#start = to;
  }

  /** Moves the rest to the front. Call it only if the rest is short: less than a message. */
  moveToFront(): void {
    if (this.#start === 0) return;
    this.bytes.copyWithin(0, this.#start, this.#end);
    this.#end -= this.#start;
    this.#start = 0;
  }
}

/** A receive buffer for messages of one size. */
export class MessageSplitter extends ReceiveBuffer {
  readonly messageBytes: number;

  /** Uses as much of the memory as holds whole messages. At least one must fit. */
  constructor(messageBytes: number, memory: Uint8Array<ArrayBuffer>) {
    assert(memory.length >= messageBytes, "A receive buffer holds a message");
    super(memory.subarray(0, memory.length - memory.length % messageBytes));
    this.messageBytes = messageBytes;
  }

  /** End of the last whole message: `bytes[start … wholeEnd)` can be processed. */
  get wholeEnd(): number {
    return this.end - this.partialBytes;
  }

  /** Bytes of the partial message at the end. */
  get partialBytes(): number {
    return this.length % this.messageBytes;
  }

  /** As `consume` of `ReceiveBuffer`; then makes capacity for the rest of a partial message. */
  override consume(to: number): void {
    super.consume(to);
    if (this.length < this.messageBytes) this.moveToFront();
  }
}
