/** A client of the read port: one request, one reply. */

import { BusyError, ConnectError, CountdError, RefusedError } from "../../base/errors.ts";
import {
  decodeReplyHead,
  decodeRows,
  type MessageSizes,
  NAME_SIZE_MAX,
  RANK_BYTES,
  READ_ERROR_AGAIN,
  READ_ERROR_DAMAGED,
  REPLY_HEAD_BYTES,
  REPLY_ROWS_MAX,
  type ReplyHead,
  RequestEncoder,
  type Row,
  ROW_KEY_OFFSET,
} from "../wire/mod.ts";
import { Connection, FRESH_MS, type Patience, type ServerAddress } from "./connection.ts";

/** The largest body that the protocol allows: as many rows as a reply may have, each the longest. */
const BODY_BYTES_MAX = REPLY_ROWS_MAX * (RANK_BYTES + ROW_KEY_OFFSET + NAME_SIZE_MAX);

interface Reply {
  readonly head: ReplyHead;
  readonly body: Uint8Array<ArrayBuffer>;
}

/** The server reports that a file of its data directory is damaged or of another format. */
export class DamagedOnServerError extends CountdError {
  /** Always `corruption`. */
  override readonly kind = "corruption";
}

/**
 * A connection to the read port of a server. Calls may overlap; the requests are sent one after the other. A
 * server may end a connection that is idle: the next request then goes over a new one.
 *
 * Names are bytes. Every call throws `UsageError` for a name that no request can carry, `ConnectError` if
 * the server goes away or is silent for too long, `RefusedError` if it refuses the request (as it does if
 * its sizes are others), `BusyError` if it has no fresh answer now, and `DamagedOnServerError`.
 */
export class ReadClient implements Disposable {
  readonly #connection: Connection;
  readonly #requests: RequestEncoder;
  readonly #head = new Uint8Array(REPLY_HEAD_BYTES);
  /** Whether this connection has brought a reply. */
  #hasReplied = false;
  /** Resolves once the previous request has its reply, or has failed. */
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(connection: Connection, sizes: MessageSizes) {
    this.#connection = connection;
    this.#requests = new RequestEncoder(sizes);
  }

  /**
   * Connect to the read port of a server. `sizes` are those of its data directory. Throws
   * `ConnectError` if no server listens, and `UsageError` for sizes that cannot be.
   */
  static async connect(
    address: ServerAddress,
    sizes: MessageSizes,
    patience: Patience = {},
  ): Promise<ReadClient> {
    return new ReadClient(await Connection.open(address, patience), sizes);
  }

  /**
   * Read counters by rank: the greatest value first, equal values in the order of their keys' bytes.
   * `offset` is the rank of the first row, from 0. There are at most `length` rows, and never more than
   * `REPLY_ROWS_MAX`. `total` is the number of counters in the keyspace; an unknown keyspace has 0.
   */
  async page(
    keyspace: Uint8Array,
    range: { readonly offset: number; readonly length: number },
  ): Promise<{ readonly total: number; readonly rows: readonly Row[] }> {
    const request = this.#requests.page(keyspace, {
      offset: BigInt(range.offset),
      length: BigInt(range.length),
    });
    const { head, body } = await this.#ask(request);
    return { total: head.total, rows: this.#rows(head, body) };
  }

  /** Rank (from 0) and value of one counter, or null if it does not exist. */
  async key(
    keyspace: Uint8Array,
    key: Uint8Array,
  ): Promise<{ readonly rank: number; readonly value: bigint } | null> {
    const { head, body } = await this.#ask(this.#requests.key(keyspace, key));
    if (head.rows === 0 && body.length === 0) return null;
    if (head.rows !== 1 || body.length !== RANK_BYTES + ROW_KEY_OFFSET + key.length) {
      throw this.#nonsense("a key's reply is not one row");
    }
    const view = new DataView(body.buffer);
    return { rank: Number(view.getBigInt64(0, true)), value: view.getBigInt64(RANK_BYTES, true) };
  }

  /** The value of one counter, or null if it does not exist. */
  async value(keyspace: Uint8Array, key: Uint8Array): Promise<bigint | null> {
    return (await this.key(keyspace, key))?.value ?? null;
  }

  /**
   * Some of the keyspaces whose names follow `after` in byte order; none at the end. The first ones
   * follow the empty name, the next ones the last name of the previous call. `counters` is how many
   * counters a keyspace has, null if it is damaged or of another format.
   */
  async keyspaces(
    after: Uint8Array,
  ): Promise<readonly { readonly name: Uint8Array; readonly counters: number | null }[]> {
    const { head, body } = await this.#ask(this.#requests.keyspaces(after));
    return this.#rows(head, body).map(({ key, value }) => ({
      name: key,
      counters: value < 0n ? null : Number(value),
    }));
  }

  /** Close the connection. Calls that wait for a reply fail with `ConnectError`. */
  [Symbol.dispose](): void {
    this.#connection[Symbol.dispose]();
  }

  #ask(request: Uint8Array<ArrayBuffer>): Promise<Reply> {
    const reply = this.#turn.then(() => this.#askInTime(request));
    this.#turn = reply.catch(() => {});
    return reply;
  }

  /** Fail if no reply comes: a write port takes a request for a piece of a message, and waits for the rest. */
  async #askInTime(request: Uint8Array<ArrayBuffer>): Promise<Reply> {
    const { silence, server } = this.#connection;
    return await silence.during(this.#askNow(request), () => {
      this[Symbol.dispose]();
      return new ConnectError(`${server} does not answer: is it the read port of a server`);
    });
  }

  async #askNow(request: Uint8Array<ArrayBuffer>): Promise<Reply> {
    const connection = this.#connection;
    const isKept = this.#hasReplied || connection.ageMs >= FRESH_MS;
    let begun = await this.#begin(request, isKept);
    if (begun === 0 && isKept && !connection.isClosed) {
      // Nothing of a reply has come. A request changes nothing, so it may be made twice.
      await connection.renew();
      this.#hasReplied = false;
      begun = await this.#begin(request, false);
    }
    if (begun === 0) throw this.#cutOff();
    await this.#fill(this.#head.subarray(begun));
    const head = decodeReplyHead(this.#head, 0);
    if (head.total < 0) throw this.#refusal(head.total);
    if (head.bytes < 0 || head.bytes > BODY_BYTES_MAX || head.rows < 0) {
      throw this.#nonsense(`a reply of ${head.rows} rows and ${head.bytes} bytes`);
    }
    const body = new Uint8Array(head.bytes);
    await this.#fill(body);
    this.#hasReplied = true;
    return { head, body };
  }

  /**
   * Sends a request and reads the beginning of its reply into `#head`. Returns the number of bytes: 0 if the
   * server has ended the connection; also if it broke, for one that `mayBreak`.
   */
  async #begin(request: Uint8Array<ArrayBuffer>, mayBreak: boolean): Promise<number> {
    try {
      await this.#connection.send(request);
      return await this.#connection.read(this.#head);
    } catch (error) {
      if (!mayBreak || this.#connection.isClosed) throw error;
      return 0;
    }
  }

  async #fill(target: Uint8Array<ArrayBuffer>): Promise<void> {
    for (let filled = 0; filled < target.length;) {
      const count = await this.#connection.read(target.subarray(filled));
      if (count === 0) throw this.#cutOff();
      filled += count;
    }
  }

  #cutOff(): ConnectError {
    return new ConnectError(`${this.#connection.server} ended the connection in a reply`);
  }

  #rows(head: ReplyHead, body: Uint8Array): readonly Row[] {
    try {
      return [...decodeRows(body, head.rows)];
    } catch (error) {
      if (error instanceof RangeError) throw this.#nonsense(error.message);
      throw error;
    }
  }

  #refusal(code: number): CountdError {
    const { server } = this.#connection;
    if (code === READ_ERROR_DAMAGED) {
      return new DamagedOnServerError(
        `The file of the keyspace or a commit log is damaged, or of another format, on ${server}; run ` +
          "countd check on its data directory",
      );
    }
    if (code === READ_ERROR_AGAIN) {
      return new BusyError(
        `No fresh answer from ${server} now: the logs hold more than it can keep in memory, and no worker ` +
          "has folded them; try again, or start a worker",
      );
    }
    return new RefusedError(
      `${server} refused the request (${code}); check that the keyspace size and the key size ` +
        "match the server's (--keyspace-size, --key-size)",
    );
  }

  #nonsense(what: string): ConnectError {
    const { server } = this.#connection;
    return new ConnectError(
      `${server} does not speak the read protocol, or with other sizes: ${what}`,
    );
  }
}
