/**
 * From requests to replies: pure of sockets. Requests come as bytes, replies go into a row buffer, and all
 * requests that are there at one time are answered as of one look at the logs.
 */

import type { LoopSlice } from "../../net/mod.ts";
import { BusyError, CorruptError } from "../../base/errors.ts";
import type { Metric, Metrics } from "../../base/metrics.ts";
import { OsError } from "../../file/mod.ts";
import {
  encodeReplyHead,
  type MessageSizes,
  RANK_BYTES,
  READ_ERROR_AGAIN,
  READ_ERROR_DAMAGED,
  READ_ERROR_INVALID,
  type ReceiveBuffer,
  REPLY_HEAD_BYTES,
  REPLY_ROWS_MAX,
  RequestCursor,
  rowBytes,
} from "../wire/mod.ts";
import { TooManyChanges } from "./keyspace_view.ts";
import type { OutputShare } from "./output_budget.ts";
import type { Overlay } from "./overlay.ts";
import type { Reader } from "./reader.ts";
import type { RowBuffer } from "./row_buffer.ts";

/** What a list of keyspaces says in the place of the counters of a damaged one. */
const DAMAGED_COUNTERS = READ_ERROR_DAMAGED;

/** Requests that came in together, and where their replies go. */
export interface Batch {
  readonly input: ReceiveBuffer;
  readonly rows: RowBuffer;
  readonly share: OutputShare;
  /** What the connection has of the time of the event loop. */
  readonly slice: LoopSlice;
  /** The logs were looked at after the requests came in. */
  hasLooked: boolean;
}

/** What a batch has left: "no room" when the first of its requests waits for other peers to take theirs. */
export type Left = "nothing" | "more" | "no room";

/** Answers that are given before the clock is read: that costs as much as a tenth of a small answer. */
const ANSWERS_UNTIMED = 32;

/** A reply cannot be built yet: others must be sent before it. Its request stands, to be asked again. */
class NotYet extends Error {
  override readonly name = "NotYet";
}

export class Answerer {
  readonly #reader: Reader;
  readonly #request: RequestCursor;
  readonly #onTrouble: (error: CorruptError | OsError) => void;
  readonly #answered: Metric;
  readonly #failed: Metric;

  constructor(
    reader: Reader,
    sizes: MessageSizes,
    { metrics, onTrouble }: {
      readonly metrics: Metrics;
      /** Told of damage, and of what the system refuses, each time an answer meets it. */
      readonly onTrouble: (error: CorruptError | OsError) => void;
    },
  ) {
    this.#reader = reader;
    this.#request = new RequestCursor(sizes);
    this.#onTrouble = onTrouble;
    this.#answered = metrics.counter("countd_requests_total", "answered");
    this.#failed = metrics.counter("countd_requests_total", "failed");
  }

  /**
   * Answers whole requests of a batch until none is left, its time is used up, `bytesMax` are filled, or
   * there is no room for another reply. Unless nothing is left: to be called again when what is there is
   * sent. What has to wait for a fold is awaited.
   */
  async answerSome(batch: Batch, bytesMax: number): Promise<Left> {
    const { input, rows: out, slice } = batch;
    slice.begin();
    try {
      let switches = this.#reader.switches;
      for (let answers = 1; out.length < bytesMax; answers++) {
        const { bytes, start, end } = input;
        const next = this.#request.next(bytes, start, end);
        if (next < 0) return "nothing";
        const head = out.extend(REPLY_HEAD_BYTES);
        try {
          if (!batch.hasLooked) this.#reader.look();
          batch.hasLooked = true;
          const waiting = this.#answer(bytes, batch, head);
          if (waiting !== null) {
            slice.end();
            await waiting;
            slice.begin();
            // Requests may have come in meanwhile, and increments been accepted before them.
            batch.hasLooked = false;
          }
          this.#answered.value += 1;
        } catch (error) {
          if (error instanceof NotYet) {
            out.cut(head);
            return head > 0 ? "more" : "no room";
          }
          this.#fail(error, out, head);
          batch.share.hold(out.length);
        }
        input.consume(next);
        const switchesNow = this.#reader.switches;
        // Another keyspace may have cost a walk of the logs.
        const isTimed = switchesNow !== switches || answers % ANSWERS_UNTIMED === 0;
        switches = switchesNow;
        if (isTimed && slice.isUsedUp) return "more";
      }
      return "more";
    } finally {
      slice.end();
    }
  }

  /** Answers the request at hand; a promise where that takes longer. */
  #answer(bytes: Uint8Array, batch: Batch, head: number): Promise<void> | null {
    const request = this.#request;
    const out = batch.rows;
    if (request.kind === "keyspaces") return this.#answerKeyspaces(bytes, batch, head);
    if (request.kind === "invalid") {
      encodeReplyHead(out.view, head, { total: READ_ERROR_INVALID, rows: 0, bytes: 0 });
      hold(batch);
      return null;
    }
    const { keyspaceStart, keyspaceLength } = request;
    const name = bytes.subarray(keyspaceStart, keyspaceStart + keyspaceLength);
    const question = request.kind === "page"
      ? this.#pageQuestion(batch, head)
      : this.#keyQuestion(out, head);
    try {
      this.#reader.ask(name, question);
    } catch (error) {
      if (!(error instanceof TooManyChanges)) throw error;
      // What stands before it need not wait for the fold, nor keep room from others meanwhile.
      if (head > 0) throw new NotYet();
      return this.#reader.askAfterFold(name, (ranking) => {
        question(ranking);
        hold(batch);
      });
    }
    hold(batch);
    return null;
  }

  // A question holds its own copy of what was asked: while it waits, the cursor reads the requests of
  // other connections. The bytes of the request stay where they are until it is answered.

  #pageQuestion({ rows: out, share }: Batch, head: number): (ranking: Overlay) => void {
    const { offset } = this.#request;
    const lengthWanted = Math.min(this.#request.length, REPLY_ROWS_MAX);
    const start = head + REPLY_HEAD_BYTES;
    return (ranking) => {
      out.cut(start);
      const { allowance } = share;
      // One row more than can fit says as well as all of them that the reply is too large for now.
      const length = allowance === Infinity
        ? lengthWanted
        : Math.min(lengthWanted, Math.ceil((allowance - start) / rowBytes(0)) + 1);
      const rows = ranking.copyRows(offset, length, out);
      const total = ranking.total();
      encodeReplyHead(out.view, head, { total, rows, bytes: out.length - start });
    };
  }

  #keyQuestion(out: RowBuffer, head: number): (ranking: Overlay) => void {
    const { keyStart, keyLength, view } = this.#request;
    const keyEnd = keyStart + keyLength;
    const start = head + REPLY_HEAD_BYTES;
    return (ranking) => {
      out.cut(start);
      const total = ranking.total();
      const isThere = ranking.find(view, keyStart, keyEnd);
      if (isThere) {
        const rank = ranking.rankOfFound(view, keyStart, keyEnd);
        const at = out.extend(RANK_BYTES);
        out.view.setUint32(at, rank >>> 0, true);
        out.view.setUint32(at + 4, Math.floor(rank / 2 ** 32), true);
        out.row(ranking.foundHigh, ranking.foundLow, view, keyStart, keyEnd);
      }
      const rows = isThere ? 1 : 0;
      encodeReplyHead(out.view, head, { total, rows, bytes: out.length - start });
    };
  }

  async #answerKeyspaces(bytes: Uint8Array, batch: Batch, head: number): Promise<void> {
    const { keyStart, keyLength } = this.#request;
    if (head > 0) throw new NotYet();
    const { total, rows } = await this.#reader.totals(bytes.slice(keyStart, keyStart + keyLength));
    const out = batch.rows;
    for (const { name, counters } of rows) {
      const value = counters ?? DAMAGED_COUNTERS;
      const view = new DataView(name.buffer, name.byteOffset, name.byteLength);
      out.row(Math.floor(value / 2 ** 32), value | 0, view, 0, name.length);
    }
    const size = out.length - head - REPLY_HEAD_BYTES;
    encodeReplyHead(out.view, head, { total, rows: rows.length, bytes: size });
    hold(batch);
  }

  #fail(error: unknown, out: RowBuffer, head: number): void {
    const code = errorCode(error);
    if (code === null) throw error;
    if (error instanceof CorruptError || error instanceof OsError) this.#onTrouble(error);
    this.#failed.value += 1;
    out.cut(head + REPLY_HEAD_BYTES);
    encodeReplyHead(out.view, head, { total: code, rows: 0, bytes: 0 });
  }
}

/** Takes the room for what has just been built, or says that it has to be built again later. */
function hold({ rows, share }: Batch): void {
  if (rows.length > share.allowance) throw new NotYet();
  share.hold(rows.length);
}

/** The number that tells a client of an error; null for a bug, which ends the server. */
function errorCode(error: unknown): number | null {
  if (error instanceof CorruptError) return READ_ERROR_DAMAGED;
  if (error instanceof BusyError) return READ_ERROR_AGAIN;
  if (error instanceof OsError) return error.code === "EIO" ? READ_ERROR_DAMAGED : READ_ERROR_AGAIN;
  return null;
}
