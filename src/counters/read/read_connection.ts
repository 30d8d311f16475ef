/** One connection of the read port: requests in, replies out, in order, until the peer closes it. */

import type { TcpConnection } from "../../net/mod.ts";
import { FirstBytes, HelloExchange, type HelloTerms, ReceiveBuffer } from "../wire/mod.ts";
import type { RowBuffer, RowCopy } from "../view/mod.ts";
import type { Answerer, Left } from "./answerer.ts";
import { type OutputBudget, OutputQuota } from "./output_budget.ts";
import type { ReplyBuffers } from "./reply_buffers.ts";

/** Small for the many connections that ask little, large for the few that never stop. */
const INPUT_BYTES_SMALL = 8 * 1024;
const INPUT_BYTES_LARGE = 256 * 1024;
/** Replies that may wait for the peer before its next request is answered. */
const OUTPUT_BYTES_MAX = 1024 * 1024;

/** What the connections of a server share. */
export interface ConnectionEnvironment {
  readonly answerer: Answerer;
  readonly budget: OutputBudget;
  readonly buffers: ReplyBuffers;
  /** Size of the shortest request. */
  readonly requestBytes: number;
  readonly terms: HelloTerms;
}

export class ReadConnection {
  readonly #connection: TcpConnection;
  readonly #environment: ConnectionEnvironment;
  readonly #quota: OutputQuota;
  readonly #firstBytes: FirstBytes;
  #input = new ReceiveBuffer(new Uint8Array(INPUT_BYTES_SMALL));

  constructor(environment: ConnectionEnvironment, connection: TcpConnection) {
    this.#connection = connection;
    this.#environment = environment;
    this.#quota = new OutputQuota(environment.budget, () => connection.close());
    this.#firstBytes = new FirstBytes(environment.requestBytes);
  }

  /** Serves until the peer closes its sending side or disconnects, or the connection drains. */
  async serve(): Promise<void> {
    const connection = this.#connection;
    while (true) {
      const target = this.#input.unused();
      const count = await connection.read(target);
      if (count === null) {
        // What began like a hello is requests.
        if (!this.#firstBytes.isWhole) await this.#answerAll();
        return await connection.end();
      }
      this.#input.received(count);
      const hello = this.#firstBytes.hello(this.#input);
      if (hello === "part") continue;
      if (hello === "whole" && !await this.#introduce()) return await connection.end();
      const protocol = this.#firstBytes.foreignProtocol(this.#input);
      if (protocol !== null) return connection.reportForeign(protocol);
      connection.hasSpoken = this.#firstBytes.isWhole;
      await this.#answerAll();
      this.#prepareInput(count === target.length);
    }
  }

  /** Goes through the hello; false if requests do not follow. */
  async #introduce(): Promise<boolean> {
    const connection = this.#connection;
    const exchange = new HelloExchange(this.#environment.terms);
    connection.hasSpoken = await exchange.run(this.#input, {
      read: async () => {
        const count = await connection.read(this.#input.unused());
        if (count !== null) this.#input.received(count);
        return count !== null;
      },
      send: (bytes) => connection.send(bytes),
    });
    if (exchange.refusal !== "") connection.reportRefused(exchange.refusal);
    return connection.hasSpoken;
  }

  async #answerAll(): Promise<void> {
    const { buffers } = this.#environment;
    const rows = buffers.take();
    try {
      await this.#answerInto(rows);
    } finally {
      this.#quota.hold(0);
      buffers.giveBack(rows);
    }
  }

  async #answerInto(rows: RowBuffer): Promise<void> {
    const { answerer, budget } = this.#environment;
    const connection = this.#connection;
    const { slice } = connection;
    const batch = {
      input: this.#input,
      rows,
      quota: this.#quota,
      slice,
      asOf: null as number | null,
      copy: null as RowCopy | null,
    };
    let left: Left = "more";
    try {
      while (left !== "nothing" && !connection.isClosed) {
        left = await answerer.answerSome(batch, OUTPUT_BYTES_MAX);
        if (batch.copy === null) {
          this.#quota.sent();
          if (!await connection.send(rows.filled())) return connection.close();
          rows.reset();
          this.#quota.hold(0);
        }
        if (left === "no capacity") {
          // Checked in the turn in which the reply is built: `whenFreed` resolves for all at once.
          while (!budget.hasCapacity) await budget.whenFreed();
          batch.asOf = null;
        }
        if (left !== "nothing") await slice.giveWay();
      }
    } finally {
      // The connection was closed before the rows were copied: the buffer is not for them any more.
      batch.copy?.lose();
    }
  }

  /** Moves the partial request to the front of the buffer, which is made large if a read filled it. */
  #prepareInput(wasFull: boolean): void {
    this.#input.moveToFront();
    if (!wasFull || this.#input.bytes.length === INPUT_BYTES_LARGE) return;
    const larger = new ReceiveBuffer(new Uint8Array(INPUT_BYTES_LARGE));
    larger.unused().set(this.#input.bytes.subarray(0, this.#input.end));
    larger.received(this.#input.end);
    this.#input = larger;
  }
}
