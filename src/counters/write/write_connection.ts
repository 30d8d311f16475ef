/**
 * One connection of the write port, from its first byte to the 16 bytes of totals.
 */

import type { TcpConnection } from "../../net/mod.ts";
import {
  encodeTotals,
  FirstBytes,
  type HelloTerms,
  type KeyspaceGate,
  MessageSplitter,
} from "../wire/mod.ts";
import { AnswerQueue } from "./answer_queue.ts";
import { BatchConnection } from "./batch_connection.ts";
import type { BatchMemory } from "./batch_memory.ts";
import type { LogWriter } from "./log_writer.ts";
import type { MessageFiller } from "./message_filler.ts";
import type { ReceiveMemory } from "./receive_memory.ts";
import type { WriteMetrics } from "./write_metrics.ts";

/** What all connections of a server share. */
export interface ConnectionEnvironment {
  readonly writer: LogWriter;
  readonly filler: MessageFiller;
  readonly messageBytes: number;
  readonly acknowledges: boolean;
  readonly metrics: WriteMetrics;
  readonly receiveMemory: ReceiveMemory;
  readonly terms: HelloTerms;
  readonly gate: KeyspaceGate | null;
  readonly batchMemory: BatchMemory;
}

/** How the messages of a connection end. */
type End = "input over" | "foreign protocol" | "hello";

export class WriteConnection {
  readonly #server: ConnectionEnvironment;
  readonly #connection: TcpConnection;
  readonly #answers: AnswerQueue;
  readonly #firstBytes: FirstBytes;
  #memory: Uint8Array<ArrayBuffer>;
  #splitter: MessageSplitter;
  #accepted = 0n;
  #refused = 0n;
  /** Position behind this connection's last record. */
  #position = 0;

  constructor(server: ConnectionEnvironment, connection: TcpConnection) {
    this.#server = server;
    this.#connection = connection;
    this.#memory = server.receiveMemory.small();
    this.#splitter = new MessageSplitter(server.messageBytes, this.#memory);
    this.#firstBytes = new FirstBytes(server.messageBytes);
    this.#answers = new AnswerQueue(server.writer, (bytes) => connection.send(bytes));
  }

  /** Serves until the peer closes its sending side or disconnects, or the connection drains. */
  async serve(): Promise<void> {
    const connection = this.#connection;
    try {
      const end = await this.#readAll();
      if (end === "foreign protocol") return;
      if (end === "hello") return await this.#serveBatches();
      await this.#sendTotals();
      // Without answers a peer need not read, and learns of a stop by the reset alone. Each byte that is
      // taken until then is lost. The totals are 16 bytes, which fit into any window.
      if (this.#server.acknowledges) await connection.end();
    } finally {
      const { isReading } = connection;
      this.#server.receiveMemory.release(this.#memory, { isReadInto: isReading });
    }
  }

  async #serveBatches(): Promise<void> {
    const { bytes, start, end } = this.#splitter;
    const received = bytes.subarray(start, end);
    await new BatchConnection(this.#server, this.#connection, this.#memory, received).serve();
  }

  /** Reads messages until something else comes. */
  async #readAll(): Promise<End> {
    while (!this.#answers.isBroken) {
      const target = this.#splitter.unused();
      const count = await this.#connection.read(target);
      if (count === null) {
        // What began like a hello is messages.
        await this.#accept();
        if (this.#splitter.partialBytes > 0 && !this.#connection.isDraining) {
          this.#refused++;
          this.#server.metrics.refusePartial();
        }
        return "input over";
      }
      this.#splitter.received(count);
      const hello = this.#firstBytes.hello(this.#splitter);
      if (hello === "whole") return "hello";
      if (hello === "part") continue;
      const protocol = this.#firstBytes.foreignProtocol(this.#splitter);
      if (protocol !== null) {
        this.#connection.reportForeign(protocol);
        return "foreign protocol";
      }
      this.#connection.hasSpoken = this.#firstBytes.isWhole;
      await this.#accept();
      if (count === target.length) this.#growBuffer();
      await this.#answers.whenBelowBound();
    }
    return "input over";
  }

  /** Appends all whole messages that are there, and waits for logs if it must. */
  async #accept(): Promise<void> {
    const { writer, filler, acknowledges } = this.#server;
    const { slice } = this.#connection;
    const splitter = this.#splitter;
    slice.begin();
    while (splitter.wholeEnd > splitter.start) {
      const first = splitter.start;
      filler.begin(splitter.bytes, first, splitter.wholeEnd);
      filler.wantsVerdicts = acknowledges;
      const hasCapacity = writer.append(filler);
      const { accepted, refused } = filler;
      if (accepted + refused > 0) {
        splitter.consume(filler.next);
        this.#position = writer.position;
        this.#accepted += BigInt(accepted);
        this.#refused += BigInt(refused);
        this.#server.metrics.count(accepted, refused);
        if (acknowledges) {
          this.#answers.addAnswers(filler.verdicts, accepted + refused, this.#position);
        }
      }
      if (hasCapacity) continue;
      // While it waits for a log, the thread does the work of others.
      slice.end();
      await writer.rotate();
      // All that have waited would begin in one turn.
      await slice.giveWay();
      slice.begin();
    }
    slice.end();
  }

  #growBuffer(): void {
    const { messageBytes, receiveMemory } = this.#server;
    const memory = receiveMemory.largerThan(this.#memory);
    if (memory === null) return;
    const larger = new MessageSplitter(messageBytes, memory);
    const rest = this.#splitter.bytes.subarray(this.#splitter.start, this.#splitter.end);
    larger.unused().set(rest);
    larger.received(rest.length);
    this.#memory = memory;
    this.#splitter = larger;
  }

  /** Sends the numbers accepted and refused, after all answers, when all that was accepted is durable. */
  async #sendTotals(): Promise<void> {
    const totals = encodeTotals({ accepted: this.#accepted, refused: this.#refused });
    this.#answers.add(totals, this.#position);
    await this.#answers.whenSent();
  }
}
