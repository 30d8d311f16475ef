/** A client of the write port. */

import { assert } from "../../base/assert.ts";
import { ConnectError } from "../../base/errors.ts";
import { type MessageSizes, WriteMessageEncoder, type WriteTotals } from "../wire/mod.ts";
import { AnswerReader } from "./answer_reader.ts";
import { Connection, FRESH_MS, type Patience, type ServerAddress } from "./connection.ts";
import { showSeconds } from "./silence.ts";

const SEND_BYTES = 256 * 1024;
const ANSWERS_BYTES = 64 * 1024;

/**
 * A connection to the write port of a server. Increments are gathered and sent in large pieces; `finish`
 * ends the connection and tells how many of them count. The first piece may be a long time in coming: it is
 * then sent on a new connection, because a server ends one that sends nothing.
 *
 * Every call that waits for the server throws `ConnectError` if the server goes away, or takes and sends
 * nothing for too long. Which of the increments count is then not known.
 */
export class WriteClient implements Disposable {
  readonly #connection: Connection;
  readonly #encoder: WriteMessageEncoder;
  #answers = new AnswerReader(ANSWERS_BYTES);
  #answersEnd: Promise<void>;
  readonly #pending: Uint8Array<ArrayBuffer>;
  readonly #view: DataView<ArrayBuffer>;
  #pendingBytes = 0;
  /** The send that is under way: the memory is filled again only after all of it is sent. */
  #sending: Promise<void> | null = null;
  #sentMessages = 0;
  /** Sent messages, and those of the send that is under way. */
  #begunMessages = 0;
  #readError: unknown;
  /** The server has ended its sending side. */
  #isEnded = false;

  private constructor(connection: Connection, sizes: MessageSizes) {
    this.#connection = connection;
    this.#encoder = new WriteMessageEncoder(sizes);
    const messageBytes = this.#encoder.messageBytes;
    this.#pending = new Uint8Array(Math.floor(SEND_BYTES / messageBytes) * messageBytes);
    this.#view = new DataView(this.#pending.buffer);
    this.#answersEnd = this.#readAnswers();
  }

  /**
   * Connect to the write port of a server. `sizes` are those of its data directory. Throws
   * `ConnectError` if no server listens.
   */
  static async connect(
    address: ServerAddress,
    sizes: MessageSizes,
    patience: Patience = {},
  ): Promise<WriteClient> {
    return new WriteClient(await Connection.open(address, patience), sizes);
  }

  /** Throws `UsageError` for names that no message of these sizes can carry: too long, or with a NUL. */
  static check(keyspace: Uint8Array, key: Uint8Array, sizes: MessageSizes): void {
    new WriteMessageEncoder(sizes).check(keyspace, key);
  }

  /** Messages that were sent to the server so far. */
  get sentMessages(): number {
    return this.#sentMessages;
  }

  /** Messages that the server has answered so far; 0 if it runs without `--ack`. */
  get answeredMessages(): number {
    return this.#answers.accepted + this.#answers.refused;
  }

  /**
   * Add `increment`, a signed 64-bit integer, to one counter. It is sent by a later call, at the latest
   * by `finish`. Calls may overlap. Throws `UsageError` for a name that no message can carry.
   */
  async increment(keyspace: Uint8Array, key: Uint8Array, increment: bigint): Promise<void> {
    this.#encoder.check(keyspace, key);
    while (this.#sending !== null || this.#pendingBytes === this.#pending.length) {
      await (this.#sending ?? this.flush());
    }
    const message = { keyspace, key, increment };
    this.#pendingBytes = this.#encoder.encode(this.#view, this.#pendingBytes, message);
  }

  /**
   * The memory that is left for whole messages, for a caller that encodes them itself, as `LineEncoder`
   * does. `took` is called after it with the bytes that were written. Not to be used during a `flush`.
   */
  capacity(): Uint8Array<ArrayBuffer> {
    return this.#pending.subarray(this.#pendingBytes);
  }

  /** Take so many bytes of whole messages that were encoded into `capacity()`. */
  added(messageBytes: number): void {
    this.#pendingBytes += messageBytes;
    assert(this.#pendingBytes <= this.#pending.length, "Encoded messages fit the capacity");
    assert(this.#pendingBytes % this.#encoder.messageBytes === 0, "Messages are whole");
  }

  /** Send what was gathered. Calls may overlap with each other and with those of `increment`. */
  async flush(): Promise<void> {
    while (this.#sending !== null) await this.#sending;
    if (this.#pendingBytes === 0) return;
    this.#sending = this.#send().finally(() => this.#sending = null);
    await this.#sending;
  }

  async #send(): Promise<void> {
    const bytes = this.#pending.subarray(0, this.#pendingBytes);
    this.#pendingBytes = 0;
    await this.#renewUnused();
    const messages = bytes.length / this.#encoder.messageBytes;
    this.#begunMessages += messages;
    // The server stops: it only drops what is sent now.
    if (this.#isEnded) throw this.#connection.lost(this.#readError);
    await this.#inTime(this.#connection.send(bytes));
    this.#sentMessages += messages;
  }

  /**
   * Send the rest, closes the sending side and waits until the server has made everything durable, as
   * its `--sync` says. Resolves to the numbers of accepted and refused messages. Throws `ConnectError` if
   * the connection ends without them.
   */
  async finish(): Promise<WriteTotals> {
    await this.flush();
    await this.#renewUnused();
    await this.#connection.endSending();
    await this.#inTime(this.#answersEnd);
    const totals = this.#answers.end(this.#sentMessages);
    if (totals === null) {
      throw new ConnectError(
        `${this.#connection.server} ended the connection without its totals: it is not known which ` +
          `of the ${this.#sentMessages} messages count`,
        { cause: this.#readError },
      );
    }
    return totals;
  }

  /** Connects again if nothing was sent yet for so long that the server may have ended the connection. */
  async #renewUnused(): Promise<void> {
    if (this.#begunMessages > 0) return;
    if (this.#connection.ageMs < FRESH_MS && !this.#isEnded) return;
    await this.#connection.renew();
    await this.#answersEnd;
    this.#answers = new AnswerReader(ANSWERS_BYTES);
    this.#isEnded = false;
    this.#readError = undefined;
    this.#answersEnd = this.#readAnswers();
  }

  /** Close the connection. What was gathered and not sent is dropped. */
  [Symbol.dispose](): void {
    this.#connection[Symbol.dispose]();
  }

  /** Throws `ConnectError` if the server takes and sends nothing, for example because its disk is full. */
  async #inTime<T>(work: Promise<T>): Promise<T> {
    const { silence, server } = this.#connection;
    return await silence.during(work, () => {
      const { accepted, refused } = this.#answers.known();
      const answered = accepted + refused === 0
        ? "none was answered"
        : `${accepted} were acknowledged and ${refused} refused`;
      return new ConnectError(
        `${server} took and sent nothing for ${showSeconds(silence.boundMs)}: of ` +
          `${this.#begunMessages} messages ${answered}, and it is not known which of the others ` +
          "count; check that this is the write port of a server, and that its disk is not full",
      );
    });
  }

  /** Runs while messages are sent: with `--ack` a server stops reading from a client that reads nothing. */
  async #readAnswers(): Promise<void> {
    try {
      while (true) {
        const count = await this.#connection.read(this.#answers.capacity());
        if (count === 0) return;
        this.#answers.received(count);
      }
    } catch (error) {
      this.#readError = error;
    } finally {
      this.#isEnded = true;
    }
  }
}
