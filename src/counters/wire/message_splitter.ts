/**
 * A byte stream cut into messages: bytes come in any segmentation, whole messages go out in place. The
 * memory is the caller's: a connection that ends can leave it to the next one.
 *
 * Invariants:
 * 1. `start ≤ end ≤ capacity`; `bytes[start … end)` is what came in and was not consumed.
 * 2. Whenever nothing but a piece of a message is left, it is moved to offset 0, so every message
 *    begins at a multiple of its own size from there: on a word where the size is a multiple of four.
 */

import { assert } from "../../base/assert.ts";

/** Bytes that came in, and room for more. */
export class ReceiveBuffer {
  readonly bytes: Uint8Array<ArrayBuffer>;
  #start = 0;
  #end = 0;

  constructor(memory: Uint8Array<ArrayBuffer>) {
    this.bytes = memory;
  }

  /** First byte that is not consumed. */
  get start(): number {
    return this.#start;
  }

  /** End of what came in. */
  get end(): number {
    return this.#end;
  }

  get length(): number {
    return this.#end - this.#start;
  }

  /** Where the next bytes are to be read into; empty when nothing can come in before `consume`. */
  room(): Uint8Array<ArrayBuffer> {
    return this.bytes.subarray(this.#end);
  }

  /** `count` bytes were read into `room()`. */
  received(count: number): void {
    assert(count >= 0 && this.#end + count <= this.bytes.length, "Received bytes fit the room");
    this.#end += count;
  }

  /** Everything before `to` is done with. */
  consume(to: number): void {
    assert(to >= this.#start && to <= this.#end, "Only what came in can be consumed");
    this.#start = to;
  }

  /** Moves what is left to the front. Cheap when it is less than a message; else wait. */
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

  /** Uses as much of the memory as holds whole messages: at least one must fit. */
  constructor(messageBytes: number, memory: Uint8Array<ArrayBuffer>) {
    assert(memory.length >= messageBytes, "A receive buffer holds a message");
    super(memory.subarray(0, memory.length - memory.length % messageBytes));
    this.messageBytes = messageBytes;
  }

  /** End of the last whole message: `bytes[start … wholeEnd)` can be handed on. */
  get wholeEnd(): number {
    return this.end - this.partialBytes;
  }

  /** Bytes of the message that has begun and not ended. */
  get partialBytes(): number {
    return this.length % this.messageBytes;
  }

  /** As `consume`, and makes room for the rest of a message that has begun. */
  override consume(to: number): void {
    super.consume(to);
    if (this.length < this.messageBytes) this.moveToFront();
  }
}
