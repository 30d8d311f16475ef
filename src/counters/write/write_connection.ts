/**
 * One connection of the write port, from its first byte to the 16 bytes of totals.
 */

import { LoopSlice, type LoopTurn } from "../../net/mod.ts";
import { cutConnection } from "../../net/mod.ts";
import {
  encodeTotals,
  type ForeignProtocol,
  foreignProtocol,
  MessageSplitter,
} from "../wire/mod.ts";
import { AnswerQueue } from "./answer_queue.ts";
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
  readonly turn: LoopTurn;
  /** Called for a connection that is closed because it speaks another protocol. */
  reportForeign(protocol: ForeignProtocol): void;
}

export class WriteConnection {
  readonly #server: ConnectionEnvironment;
  readonly #connection: Deno.TcpConn;
  readonly #answers: AnswerQueue;
  readonly #slice: LoopSlice;
  #memory: Uint8Array<ArrayBuffer>;
  #splitter: MessageSplitter;
  #isReading = false;
  /** The first message is whole: later input is not checked for another protocol. */
  #hasBegun = false;
  #writingSinceMs: number | null = null;
  #accepted = 0n;
  #refused = 0n;
  /** Position behind this connection's last record. */
  #position = 0;
  #isDraining = false;
  /** Ends the read that waits for input. */
  #endRead: () => void = () => {};

  constructor(server: ConnectionEnvironment, connection: Deno.TcpConn) {
    this.#server = server;
    this.#connection = connection;
    this.#memory = server.receiveMemory.small();
    this.#splitter = new MessageSplitter(server.messageBytes, this.#memory);
    this.#answers = new AnswerQueue(server.writer, (bytes) => this.#send(bytes));
    this.#slice = new LoopSlice(server.writer.environment.clock, server.turn);
  }

  /** Since when the peer has taken nothing of its answers; null if nothing waits for it. */
  get writingSinceMs(): number | null {
    return this.#writingSinceMs;
  }

  /** Serves until the peer closes its sending side or disconnects, or `drain` is called. */
  async serve(): Promise<void> {
    try {
      if (await this.#readAll()) await this.#sendTotals();
    } finally {
      this.#server.receiveMemory.release(this.#memory, { isReadInto: this.#isReading });
      this.close();
    }
  }

  /** Ends the connection at once, even if answers wait for its peer. */
  close(): void {
    try {
      if (this.#writingSinceMs !== null) cutConnection(this.#connection);
      else this.#connection.close();
    } catch {
      // Closed already.
    }
  }

  /** Stops reading; what was read is answered, with the totals. */
  drain(): void {
    this.#isDraining = true;
    this.#endRead();
  }

  /** Null at the end of the input, or once the connection drains. */
  #read(target: Uint8Array): Promise<number | null> {
    return new Promise((resolve, reject) => {
      this.#endRead = () => resolve(null);
      this.#isReading = true;
      this.#connection.read(target).finally(() => this.#isReading = false).then(resolve, reject);
    });
  }

  /** Reads to the end; false if the peer speaks another protocol. */
  async #readAll(): Promise<boolean> {
    const { metrics } = this.#server;
    while (!this.#isDraining && !this.#answers.isBroken) {
      const target = this.#splitter.unused();
      let count: number | null;
      try {
        count = await this.#read(target);
      } catch {
        // Reset by the peer.
        return true;
      }
      if (count === null) {
        if (this.#splitter.partialBytes > 0 && !this.#isDraining) {
          this.#refused++;
          metrics.refusePartial();
        }
        return true;
      }
      this.#splitter.received(count);
      metrics.bytesIn.value += count;
      if (!this.#hasBegun && this.#isForeign()) return false;
      this.#slice.begin();
      await this.#accept();
      this.#slice.end();
      if (count === target.length) {
        await this.#slice.giveWay();
        this.#growBuffer();
      } else {
        this.#slice.reset();
      }
      await this.#answers.whenBelowBound();
    }
    return true;
  }

  /** Whether the first bytes, up to the first message, belong to another protocol. */
  #isForeign(): boolean {
    const { bytes, start, end, wholeEnd } = this.#splitter;
    this.#hasBegun = wholeEnd > start;
    const protocol = foreignProtocol(bytes, { start, end, isWhole: this.#hasBegun });
    if (protocol !== null) this.#server.reportForeign(protocol);
    return protocol !== null;
  }

  /** Appends all whole messages that are there, and waits for logs if it must. */
  async #accept(): Promise<void> {
    const { writer, filler, acknowledges } = this.#server;
    const splitter = this.#splitter;
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
      if (!hasCapacity) await writer.rotate();
    }
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

  async #send(bytes: Uint8Array): Promise<void> {
    const { metrics, writer } = this.#server;
    const { clock } = writer.environment;
    try {
      for (let sent = 0; sent < bytes.length;) {
        this.#writingSinceMs = clock.nowMs();
        sent += await this.#connection.write(sent === 0 ? bytes : bytes.subarray(sent));
      }
    } finally {
      this.#writingSinceMs = null;
    }
    metrics.bytesOut.value += bytes.length;
  }
}
