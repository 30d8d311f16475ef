/** One connection of the write port after a hello: batches in, answers out, until the peer ends its input. */

import type { TcpConnection } from "../../net/mod.ts";
import { HelloExchange, type HelloTerms, type KeyspaceGate, ReceiveBuffer } from "../wire/mod.ts";
import { AnswerQueue } from "./answer_queue.ts";
import { BatchIntake } from "./batch_intake.ts";
import type { BatchMemory, PieceHolder } from "./batch_memory.ts";
import { BatchPace } from "./batch_pace.ts";
import type { LogWriter } from "./log_writer.ts";
import { ReceiveMemory } from "./receive_memory.ts";
import type { WriteMetrics } from "./write_metrics.ts";

/**
 * Answers that may wait before no more batches are taken. One is as long as the shortest batch, so the input of
 * one read could make a mebibyte of them.
 */
const ANSWER_BYTES_MAX = 64 * 1024;

/** What all connections of a server share. */
interface BatchEnvironment {
  readonly writer: LogWriter;
  readonly terms: HelloTerms;
  /** Null admits all keyspaces. */
  readonly gate: KeyspaceGate | null;
  readonly metrics: WriteMetrics;
  readonly batchMemory: BatchMemory;
}

export class BatchConnection implements PieceHolder {
  /** Of the present batch. */
  readonly #inputPace = new BatchPace();
  readonly #server: BatchEnvironment;
  readonly #connection: TcpConnection;
  readonly #answers: AnswerQueue;
  /** Of the answers since the last read. */
  readonly #answerPace = new BatchPace();
  readonly #intake: BatchIntake;
  /** The piece that it keeps, and the one that it reads into. */
  readonly #small: Uint8Array<ArrayBuffer>;
  #memory: Uint8Array<ArrayBuffer>;
  #input: ReceiveBuffer;
  /** Position behind this connection's last record. */
  #position = 0;
  /** A batch was taken since it got its present piece. */
  #hasTaken = false;

  /** Goes on behind `received`, which begins with the hello, in the small piece `memory` that this may use. */
  constructor(
    server: BatchEnvironment,
    connection: TcpConnection,
    memory: Uint8Array<ArrayBuffer>,
    received: Uint8Array,
  ) {
    this.#server = server;
    this.#connection = connection;
    this.#small = this.#memory = memory;
    memory.set(received);
    this.#input = new ReceiveBuffer(memory);
    this.#input.received(received.length);
    this.#answers = new AnswerQueue(
      server.writer,
      (bytes) => this.#send(bytes),
      ANSWER_BYTES_MAX,
    );
    this.#intake = new BatchIntake(server.terms, server.gate);
  }

  async serve(): Promise<void> {
    const connection = this.#connection;
    try {
      if (await this.#introduce()) await this.#takeAll();
      // The peer may take long to close.
      this.#releaseMemory();
      await this.#answers.whenSent();
      await connection.end();
    } finally {
      this.#releaseMemory();
    }
  }

  lateMs(nowMs: number): number {
    // Answers hold it up only above their bound.
    const pace = this.#answers.isAboveBound ? this.#answerPace : this.#inputPace;
    return pace.lateMs(nowMs);
  }

  close(): void {
    this.#connection.close();
  }

  /** Goes through the hello; false if batches do not follow. */
  async #introduce(): Promise<boolean> {
    const connection = this.#connection;
    const exchange = new HelloExchange(this.#server.terms);
    connection.hasSpoken = await exchange.run(this.#input, {
      read: () => this.#read(),
      send: (bytes) => connection.send(bytes),
    });
    if (exchange.refusal !== "") connection.reportRefused(exchange.refusal);
    return connection.hasSpoken;
  }

  /** Takes batches until the input ends, or one ends the connection. */
  async #takeAll(): Promise<void> {
    let wasFilled = false;
    while (!this.#answers.isBroken) {
      if (!await this.#takeWhole()) return;
      await this.#answers.whenBelowBound();
      await this.#fitMemory(wasFilled);
      const { length } = this.#input.unused();
      const before = this.#input.end;
      if (!await this.#read()) return;
      wasFilled = this.#input.end - before === length;
    }
  }

  /** Appends all whole batches that are there; false if one of them ends the connection. */
  async #takeWhole(): Promise<boolean> {
    const { writer, metrics } = this.#server;
    const { slice } = this.#connection;
    const intake = this.#intake;
    slice.begin();
    while (true) {
      intake.begin(this.#input);
      const hasCapacity = writer.append(intake);
      const { at, takenRecords } = intake.counts;
      const isStuck = !hasCapacity || at === this.#input.start;
      this.#input.consume(at);
      if (!isStuck) {
        this.#hasTaken = true;
        this.#inputPace.restart(this.#input.length);
      }
      if (takenRecords > 0) this.#position = writer.position;
      metrics.countBatches(intake.counts);
      const answers = intake.encodeAnswers();
      if (answers !== null) this.#answers.add(answers, this.#position);
      if (intake.stop === "input" || intake.stop === "ended") break;
      const { isAboveBound } = this.#answers;
      if (!isStuck && !isAboveBound && !slice.isUsedUp) continue;
      // While it waits for its peer, a log or its next turn, the thread does the work of others.
      slice.end();
      if (isAboveBound) await this.#answers.whenBelowBound();
      else await (isStuck ? writer.rotate() : slice.giveWay());
      slice.begin();
    }
    slice.end();
    return intake.stop !== "ended";
  }

  async #read(): Promise<boolean> {
    const { clock } = this.#server.batchMemory;
    this.#inputPace.begin(clock.nowMs());
    const count = await this.#connection.read(this.#input.unused());
    this.#inputPace.end(count ?? 0, clock.nowMs());
    if (count === null) return false;
    this.#answerPace.restart(0);
    this.#input.received(count);
    return true;
  }

  async #send(bytes: Uint8Array): Promise<boolean> {
    const { clock } = this.#server.batchMemory;
    this.#answerPace.begin(clock.nowMs());
    const isSent = await this.#connection.send(bytes);
    this.#answerPace.end(bytes.length, clock.nowMs());
    return isSent;
  }

  /** Makes capacity for the next batch; afterwards something can be read. */
  async #fitMemory(wasFilled: boolean): Promise<void> {
    const { batchMemory } = this.#server;
    const { wantedBytes } = this.#intake;
    const rest = this.#input.length;
    const mayShrink = batchMemory.isWanted && this.#hasTaken && rest <= this.#small.length &&
      ReceiveMemory.isLarge(this.#memory);
    if (this.#memory !== this.#small && (rest === 0 || mayShrink)) this.#useMemory(this.#small);
    // With nothing left, the next read shows whether a larger piece is of use.
    if (wantedBytes > this.#memory.length || wasFilled && rest > 0) {
      const larger = batchMemory.largerThan(this.#memory, wantedBytes, this);
      if (larger !== null) this.#useMemory(larger);
    }
    if (wantedBytes > this.#memory.length) {
      this.#useMemory(await batchMemory.large(this));
    }
    if (this.#input.start + wantedBytes > this.#memory.length) this.#input.moveToFront();
  }

  /** Gives a larger piece back; nothing is received afterwards. */
  #releaseMemory(): void {
    const memory = this.#memory;
    if (memory === this.#small) return;
    this.#memory = this.#small;
    this.#server.batchMemory.release(memory, { isReadInto: this.#connection.isReading });
  }

  #useMemory(memory: Uint8Array<ArrayBuffer>): void {
    const input = new ReceiveBuffer(memory);
    input.unused().set(this.#input.bytes.subarray(this.#input.start, this.#input.end));
    input.received(this.#input.length);
    if (this.#memory !== this.#small) {
      this.#server.batchMemory.release(this.#memory, { isReadInto: false });
    }
    this.#memory = memory;
    this.#input = input;
    this.#hasTaken = false;
    this.#inputPace.restart(input.length);
  }
}
