/** What the write port sends back, in any segmentation. */

import {
  ANSWER_BYTES,
  decodeAnswer,
  decodeTotals,
  ReceiveBuffer,
  TOTALS_BYTES,
  type WriteTotals,
} from "../wire/mod.ts";

/**
 * Reader of answers and totals: three bytes for each message if the server runs with `--ack`, and then 16
 * bytes of totals. Which bytes are the totals is known only at the end of the stream, so the last 16 are
 * always held back.
 */
export class AnswerReader {
  /** Messages that were answered `WIN` so far; 0 if the server is silent. */
  accepted = 0;
  /** Messages that were answered `NAY` so far; 0 if the server is silent. */
  refused = 0;

  readonly #buffer: ReceiveBuffer;
  #isBroken = false;

  constructor(capacityBytes: number) {
    this.#buffer = new ReceiveBuffer(new Uint8Array(Math.max(capacityBytes, 2 * TOTALS_BYTES)));
  }

  /** The memory to read the next bytes into; never empty. */
  capacity(): Uint8Array<ArrayBuffer> {
    return this.#buffer.unused();
  }

  /** Take `count` bytes that were read into `capacity()`. */
  received(count: number): void {
    const buffer = this.#buffer;
    buffer.received(count);
    let at = buffer.start;
    for (; buffer.end - at >= TOTALS_BYTES + ANSWER_BYTES; at += ANSWER_BYTES) {
      const answer = decodeAnswer(buffer.bytes, at);
      if (answer === 1) this.accepted++;
      else if (answer === 0) this.refused++;
      else this.#isBroken = true;
    }
    buffer.consume(at);
    buffer.moveToFront();
  }

  /** The answers so far, with those that are held back because they could be totals. */
  known(): { readonly accepted: number; readonly refused: number } {
    let { accepted, refused } = this;
    const { bytes, start, end } = this.#buffer;
    for (let at = start; end - at >= ANSWER_BYTES; at += ANSWER_BYTES) {
      const answer = decodeAnswer(bytes, at);
      if (answer === 1) accepted++;
      else if (answer === 0) refused++;
      else break;
    }
    return { accepted, refused };
  }

  /**
   * The totals, once the stream has ended; null if it ended without them. A stream that was cut in the
   * middle of an answer also leaves 16 bytes. So they must add up to the messages that were sent, and
   * agree with the answers if there were any.
   */
  end(sentMessages: number): WriteTotals | null {
    if (this.#isBroken || this.#buffer.length !== TOTALS_BYTES) return null;
    const totals = decodeTotals(this.#buffer.bytes, this.#buffer.start);
    if (totals.accepted + totals.refused !== BigInt(sentMessages)) return null;
    const isSilent = this.accepted + this.refused === 0;
    return isSilent || totals.accepted === BigInt(this.accepted) ? totals : null;
  }
}
