/**
 * Answers requests, without sockets: requests come as bytes, replies go into a row buffer. All requests that
 * are there at one time are answered as of one refresh.
 */

import type { LoopSlice } from "../../net/mod.ts";
import { CountdError } from "../../base/errors.ts";
import type { Metric, Metrics } from "../../base/metrics.ts";
import { type OsError, troubleOf } from "../../file/mod.ts";
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
import {
  NEEDS_FOLD,
  NEEDS_TIME,
  type Overlay,
  type Reader,
  type RowBuffer,
  type RowCopy,
} from "../view/mod.ts";
import type { OutputQuota } from "./output_budget.ts";

/** What a list of keyspaces says for a damaged one, in place of its number of counters. */
const DAMAGED_COUNTERS = READ_ERROR_DAMAGED;

/**
 * Damage, a file of another format, one that cannot be opened, what the system refuses, and what cannot be
 * answered now: reported each time an answer meets it.
 */
export type AnswerFailure = CountdError | OsError;

/** Requests that came in together, and where their replies go. */
export interface Batch {
  readonly input: ReceiveBuffer;
  readonly rows: RowBuffer;
  readonly quota: OutputQuota;
  /** The connection's slice of the time of the event loop. */
  readonly slice: LoopSlice;
  /** The number of a refresh that was made after the requests came in; null if none was. */
  asOf: number | null;
  /** Rows of a long page that are being copied into `rows`: nothing of it may be sent yet. */
  copy: RowCopy | null;
}

/** What is left of a batch. "no capacity": its first request waits until other peers take their replies. */
export type Left = "nothing" | "more" | "no capacity";

/**
 * Whether a reply was built. False if others must be sent before it, or taken by their peers; "no time" if the
 * view needs a later turn of the event loop.
 */
type Built = boolean | "no time";

/** Builds a reply, or says that its rows are too many to be copied at once. */
type Question = (ranking: Overlay) => "built" | "too long";

/** A page with more rows is copied in steps. */
const ROWS_AT_ONCE = 2048;

/** Answers that are given before the clock is read: a reading costs a tenth of a small answer. */
const ANSWERS_UNTIMED = 32;

export class Answerer {
  readonly #reader: Reader;
  readonly #request: RequestCursor;
  readonly #onFailure: (error: AnswerFailure) => void;
  /** The last long page that was begun: only one is under way at a time. */
  #copy: RowCopy | null = null;
  readonly #answered: Metric;
  readonly #failed: Metric;

  constructor(
    reader: Reader,
    sizes: MessageSizes,
    { metrics, onFailure }: {
      readonly metrics: Metrics;
      readonly onFailure: (error: AnswerFailure) => void;
    },
  ) {
    this.#reader = reader;
    this.#request = new RequestCursor(sizes);
    this.#onFailure = onFailure;
    this.#answered = metrics.counter("countd_requests_total", "answered");
    this.#failed = metrics.counter("countd_requests_total", "failed");
  }

  /**
   * Answers whole requests of a batch until none is left, its time is used up, `bytesMax` are filled, or
   * the output budget has no capacity for another reply. Unless nothing is left, the caller sends the
   * replies and calls again. An answer that has to wait for a fold is awaited.
   */
  async answerSome(batch: Batch, bytesMax: number): Promise<Left> {
    const { input, rows: out, slice } = batch;
    slice.begin();
    try {
      let switches = this.#reader.switches;
      for (let answers = 1; out.length < bytesMax || batch.copy !== null; answers++) {
        const { bytes, start, end } = input;
        const next = this.#request.next(bytes, start, end);
        if (next < 0) return "nothing";
        const head = batch.copy === null ? out.extend(REPLY_HEAD_BYTES) : 0;
        try {
          batch.asOf ??= this.#reader.refresh();
          let isBuilt = this.#answer(bytes, batch, head);
          if (isBuilt instanceof Promise) {
            slice.end();
            isBuilt = await isBuilt.finally(() => slice.begin());
            // Requests may have come in since, and increments may have been accepted before them.
            batch.asOf = null;
          }
          if (isBuilt !== true) {
            if (batch.copy === null) out.truncate(head);
            return head > 0 || isBuilt === "no time" ? "more" : "no capacity";
          }
          this.#answered.value += 1;
        } catch (error) {
          this.#fail(error, out, head);
          batch.quota.hold(out.length);
        }
        input.consume(next);
        const switchesNow = this.#reader.switches;
        // The answer for another keyspace may have read all logs.
        const isTimed = switchesNow !== switches || answers % ANSWERS_UNTIMED === 0;
        switches = switchesNow;
        if (isTimed && slice.isUsedUp) return "more";
      }
      return "more";
    } finally {
      slice.end();
    }
  }

  /**
   * Answers the current request, or promises to if that takes longer. Not true if the reply cannot be built
   * yet: its request stays in the buffer.
   */
  #answer(bytes: Uint8Array, batch: Batch, head: number): Built | Promise<Built> {
    const request = this.#request;
    const out = batch.rows;
    if (request.kind === "keyspaces") return this.#answerKeyspaces(bytes, batch, head);
    if (request.kind === "invalid") {
      encodeReplyHead(out.view, head, { total: READ_ERROR_INVALID, rows: 0, bytes: 0 });
      return reserve(batch);
    }
    const { keyspaceStart, keyspaceLength } = request;
    const name = bytes.subarray(keyspaceStart, keyspaceStart + keyspaceLength);
    if (batch.copy !== null) {
      const built = this.#goOn(batch.copy, batch, head);
      if (built !== "lost") return built;
    }
    const isPage = request.kind === "page";
    const question = isPage ? this.#pageQuestion(batch, head) : this.#keyQuestion(out, head);
    const asked = this.#reader.ask(name, question, { limit: batch.slice, asOf: batch.asOf ?? 0 });
    if (asked === NEEDS_TIME) return "no time";
    if (asked === "too long") return this.#beginLong(name, batch, head);
    if (asked === "built") return reserve(batch);
    // The replies before this one must neither wait for the fold nor use up the output budget.
    if (head > 0) return false;
    const whole = isPage ? this.#pageQuestion(batch, head, { rowsMax: Infinity }) : question;
    return this.#reader.askAfterFold(name, (ranking) => {
      whole(ranking);
      return reserve(batch);
    });
  }

  /** Begins to copy the rows of a long page, if no other one is under way; the replies before it go first. */
  #beginLong(name: Uint8Array, batch: Batch, head: number): Built {
    if (head > 0) return false;
    const { rows: out, quota, slice: limit } = batch;
    if (this.#copy !== null && !this.#copy.advance(limit)) return "no time";
    const { offset, length } = this.#request;
    out.truncate(head + REPLY_HEAD_BYTES);
    const range = { offset, length: Math.min(length, REPLY_ROWS_MAX) };
    const copy = this.#reader.copy(name, range, {
      limit,
      asOf: batch.asOf ?? 0,
      out,
      onGrown: () => quota.hold(out.length),
    });
    // The next try begins with the question, as if this one had not been made.
    if (copy === NEEDS_TIME || copy === NEEDS_FOLD) return "no time";
    this.#copy = batch.copy = copy;
    const built = this.#goOn(copy, batch, head);
    return built === "lost" ? "no time" : built;
  }

  #goOn(copy: RowCopy, batch: Batch, head: number): Built | "lost" {
    if (!copy.advance(batch.slice)) return "no time";
    batch.copy = null;
    const { rows: out } = batch;
    const start = head + REPLY_HEAD_BYTES;
    if (!copy.isLost) {
      const { total, rows } = copy;
      encodeReplyHead(out.view, head, { total, rows, bytes: out.length - start });
      return true;
    }
    out.truncate(start);
    if (copy.failure !== null) throw copy.failure;
    return "lost";
  }

  // A question keeps its own copy of the numbers of its request: while it waits, the cursor reads the
  // requests of other connections. The bytes of the request stay in place until it is answered.

  #pageQuestion(
    { rows: out, quota }: Batch,
    head: number,
    { rowsMax = ROWS_AT_ONCE } = {},
  ): Question {
    const { offset } = this.#request;
    const lengthWanted = Math.min(this.#request.length, REPLY_ROWS_MAX);
    const start = head + REPLY_HEAD_BYTES;
    return (ranking) => {
      out.truncate(start);
      const { allowance } = quota;
      const total = ranking.total();
      if (allowance === Infinity && Math.min(lengthWanted, total - offset) > rowsMax) {
        return "too long";
      }
      // One row more than can fit is enough to find that the reply is too large for now.
      const length = allowance === Infinity
        ? lengthWanted
        : Math.min(lengthWanted, Math.ceil((allowance - start) / rowBytes(0)) + 1);
      const rows = ranking.copyRows(offset, length, out);
      encodeReplyHead(out.view, head, { total, rows, bytes: out.length - start });
      return "built";
    };
  }

  #keyQuestion(out: RowBuffer, head: number): Question {
    const { keyStart, keyLength, view } = this.#request;
    const keyEnd = keyStart + keyLength;
    const start = head + REPLY_HEAD_BYTES;
    return (ranking) => {
      out.truncate(start);
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
      return "built";
    };
  }

  async #answerKeyspaces(bytes: Uint8Array, batch: Batch, head: number): Promise<boolean> {
    const { keyStart, keyLength } = this.#request;
    if (head > 0) return false;
    const { total, rows } = await this.#reader.totals(bytes.slice(keyStart, keyStart + keyLength));
    const out = batch.rows;
    for (const { name, counters } of rows) {
      const value = counters ?? DAMAGED_COUNTERS;
      const view = new DataView(name.buffer, name.byteOffset, name.byteLength);
      out.row(Math.floor(value / 2 ** 32), value | 0, view, 0, name.length);
    }
    const size = out.length - head - REPLY_HEAD_BYTES;
    encodeReplyHead(out.view, head, { total, rows: rows.length, bytes: size });
    return reserve(batch);
  }

  #fail(error: unknown, out: RowBuffer, head: number): void {
    const code = errorCode(error);
    if (code === null) throw error;
    this.#onFailure(error as AnswerFailure);
    this.#failed.value += 1;
    out.truncate(head + REPLY_HEAD_BYTES);
    encodeReplyHead(out.view, head, { total: code, rows: 0, bytes: 0 });
  }
}

/** Takes output budget for the reply that was just built; false if it has to be built again later. */
function reserve({ rows, quota }: Batch): boolean {
  if (rows.length > quota.allowance) return false;
  quota.hold(rows.length);
  return true;
}

/** The code that a client gets for an error; null for a bug, which ends the server. */
function errorCode(error: unknown): number | null {
  if (error instanceof CountdError) {
    return error.kind === "try-again" ? READ_ERROR_AGAIN : READ_ERROR_DAMAGED;
  }
  const trouble = troubleOf(error);
  if (trouble === null) return null;
  return trouble === "passing" || trouble === "missing" ? READ_ERROR_AGAIN : READ_ERROR_DAMAGED;
}
