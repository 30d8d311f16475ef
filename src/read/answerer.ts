/**
 * From requests to replies: pure of sockets. Requests come as bytes, replies go into a row buffer, and all
 * requests that are there at one time are answered as of one look at the logs.
 */

import { BusyError, CorruptError } from "../base/errors.ts";
import type { Figure, Metrics } from "../base/metrics.ts";
import { OsError } from "../file/mod.ts";
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
} from "../wire/mod.ts";
import { TooManyChanges } from "./keyspace_view.ts";
import type { OutputShare } from "./output_budget.ts";
import type { Overlay } from "./overlay.ts";
import type { Reader } from "./reader.ts";
import type { RowBuffer } from "./row_buffer.ts";

/** What a list of keyspaces says in the place of the counters of a damaged one. */
const DAMAGED_COUNTERS = READ_ERROR_DAMAGED;

/** Where the replies of one connection go. */
export interface Output {
  readonly rows: RowBuffer;
  readonly share: OutputShare;
}

/** A reply cannot be built yet: others must be sent before it. Its request stands, to be asked again. */
class NotYet extends Error {
  override readonly name = "NotYet";
}

export class Answerer {
  readonly #reader: Reader;
  readonly #request: RequestCursor;
  readonly #onTrouble: (error: CorruptError | OsError) => void;
  readonly #answered: Figure;
  readonly #failed: Figure;

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
   * Answers whole requests of `input` until none is left, `output` holds `bytesMax`, or there is no room
   * for another reply. Returns true where requests may be left: when what is there is sent, and there is
   * room. What has to wait for a fold is awaited.
   */
  async answerSome(input: ReceiveBuffer, output: Output, bytesMax: number): Promise<boolean> {
    const { rows: out, share } = output;
    let hasLooked = false;
    while (out.length < bytesMax) {
      const { bytes, start, end } = input;
      const next = this.#request.next(bytes, start, end);
      if (next < 0) return false;
      if (!share.budget.hasRoom) return true;
      const head = out.extend(REPLY_HEAD_BYTES);
      try {
        if (!hasLooked) this.#reader.look();
        hasLooked = true;
        const waiting = this.#answer(bytes, output, head);
        if (waiting !== null) {
          await waiting;
          // Requests may have come in meanwhile, and increments been accepted before them.
          hasLooked = false;
        }
        this.#answered.value += 1;
      } catch (error) {
        if (error instanceof NotYet) {
          out.cut(head);
          return true;
        }
        this.#fail(error, out, head);
      }
      share.hold(out.length);
      input.consume(next);
    }
    return true;
  }

  /** Answers the request at hand; a promise where that takes longer. */
  #answer(bytes: Uint8Array, output: Output, head: number): Promise<void> | null {
    const request = this.#request;
    const out = output.rows;
    if (request.kind === "keyspaces") return this.#answerKeyspaces(bytes, output, head);
    if (request.kind === "invalid") {
      encodeReplyHead(out.view, head, { total: READ_ERROR_INVALID, rows: 0, bytes: 0 });
      return null;
    }
    const { keyspaceStart, keyspaceLength } = request;
    const name = bytes.subarray(keyspaceStart, keyspaceStart + keyspaceLength);
    const question = request.kind === "page"
      ? this.#pageQuestion(out, head)
      : this.#keyQuestion(out, head);
    try {
      this.#reader.ask(name, question);
      return null;
    } catch (error) {
      if (!(error instanceof TooManyChanges)) throw error;
      // What stands before it need not wait for the fold, nor keep room from others meanwhile.
      if (head > 0) throw new NotYet();
      return this.#reader.askAfterFold(name, (ranking) => {
        buildInRoom(output, () => question(ranking));
      });
    }
  }

  // A question holds its own copy of what was asked: while it waits, the cursor reads the requests of
  // other connections. The bytes of the request stay where they are until it is answered.

  #pageQuestion(out: RowBuffer, head: number): (ranking: Overlay) => void {
    const { offset } = this.#request;
    const length = Math.min(this.#request.length, REPLY_ROWS_MAX);
    const start = head + REPLY_HEAD_BYTES;
    return (ranking) => {
      out.cut(start);
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

  async #answerKeyspaces(bytes: Uint8Array, output: Output, head: number): Promise<void> {
    const { keyStart, keyLength } = this.#request;
    if (head > 0) throw new NotYet();
    const { total, rows } = await this.#reader.totals(bytes.slice(keyStart, keyStart + keyLength));
    const out = output.rows;
    buildInRoom(output, () => {
      for (const { name, counters } of rows) {
        const value = counters ?? DAMAGED_COUNTERS;
        const view = new DataView(name.buffer, name.byteOffset, name.byteLength);
        out.row(Math.floor(value / 2 ** 32), value | 0, view, 0, name.length);
      }
      const size = out.length - head - REPLY_HEAD_BYTES;
      encodeReplyHead(out.view, head, { total, rows: rows.length, bytes: size });
    });
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

/** Builds a reply that had to wait: others may have taken the room since. */
function buildInRoom({ rows, share }: Output, build: () => void): void {
  if (!share.budget.hasRoom) throw new NotYet();
  build();
  share.hold(rows.length);
}

/** The number that tells a client of an error; null for a bug, which ends the server. */
function errorCode(error: unknown): number | null {
  if (error instanceof CorruptError) return READ_ERROR_DAMAGED;
  if (error instanceof BusyError) return READ_ERROR_AGAIN;
  if (error instanceof OsError) return error.code === "EIO" ? READ_ERROR_DAMAGED : READ_ERROR_AGAIN;
  return null;
}
