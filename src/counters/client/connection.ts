/** Connects to one of the ports, and sends and reads, with errors that name the server. */

import { systemClock } from "../../base/clock.ts";
import { ConnectError } from "../../base/errors.ts";
import { showAddress } from "../../base/printable.ts";
import { showSeconds, Silence, SILENCE_MS } from "./silence.ts";

/** Where a port of a server is. */
export interface ServerAddress {
  /** A host name or an IP address; an IPv6 address without brackets. */
  readonly hostname: string;
  /** A TCP port. */
  readonly port: number;
}

/** How long a client waits for a server, in milliseconds. */
export interface Patience {
  /** How long to wait for a server that does not listen yet. Default: not at all. */
  readonly waitMs?: number;
  /** How long a server may neither take nor send a byte during a call. Default: 30,000. */
  readonly silenceMs?: number;
}

/** A server may end an older connection that has sent nothing: the earliest after 2 s, for a new one. */
export const FRESH_MS = 1000;
/** Pause between two attempts to connect. */
const RETRY_MS = 50;

/** A connection to one port of a server. Its errors name the server. */
export class Connection implements Disposable {
  /** The server as `HOST:PORT`, an IPv6 host in brackets. */
  readonly server: string;
  /** How long the server has neither taken nor sent a byte. */
  readonly silence: Silence;
  readonly #address: ServerAddress;
  readonly #patience: Patience;
  #socket: Deno.TcpConn;
  #openedMs = systemClock.nowMs();
  #isClosed = false;

  private constructor(socket: Deno.TcpConn, address: ServerAddress, patience: Patience) {
    this.#socket = socket;
    this.#address = address;
    this.#patience = patience;
    this.server = showAddress(address);
    this.silence = new Silence(patience.silenceMs ?? SILENCE_MS);
  }

  /** Connect. Throws `ConnectError` if no server answers. */
  static async open(address: ServerAddress, patience: Patience = {}): Promise<Connection> {
    return new Connection(await connect(address, patience), address, patience);
  }

  /** True once it was closed on this side. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** How long it has been open, in milliseconds. */
  get ageMs(): number {
    return systemClock.nowMs() - this.#openedMs;
  }

  /** Connect again: a read of the old connection ends. Throws `ConnectError` if no server answers. */
  async renew(): Promise<void> {
    const socket = await connect(this.#address, this.#patience);
    (this.#isClosed ? socket : this.#socket).close();
    if (this.#isClosed) return;
    this.#socket = socket;
    this.#openedMs = systemClock.nowMs();
  }

  /** Send all of `bytes`. Throws `ConnectError` if the server is gone. */
  async send(bytes: Uint8Array): Promise<void> {
    try {
      for (let sent = 0; sent < bytes.length;) {
        sent += await this.#socket.write(sent === 0 ? bytes : bytes.subarray(sent));
        this.silence.end();
      }
    } catch (error) {
      throw this.lost(error);
    }
  }

  /** Read some bytes; 0 at the end. Throws `ConnectError` if the connection broke. */
  async read(into: Uint8Array): Promise<number> {
    try {
      const count = await this.#socket.read(into) ?? 0;
      this.silence.end();
      return count;
    } catch (error) {
      throw this.lost(error);
    }
  }

  /** Close the sending side. If the server is gone, the next read says so. */
  async endSending(): Promise<void> {
    await this.#socket.closeWrite().catch(() => {});
  }

  /** The error for a connection that broke. */
  lost(cause: unknown): ConnectError {
    return new ConnectError(`Lost the connection to ${this.server}`, { cause });
  }

  /** Close the connection. A second call does nothing. */
  [Symbol.dispose](): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#socket.close();
  }
}

async function connect(
  address: ServerAddress,
  { waitMs = 0, silenceMs = SILENCE_MS }: Patience,
): Promise<Deno.TcpConn> {
  const endMs = systemClock.nowMs() + waitMs;
  while (true) {
    try {
      const socket = await connectOnce(address, silenceMs);
      socket.setNoDelay(true);
      return socket;
    } catch (error) {
      const leftMs = endMs - systemClock.nowMs();
      if (!(error instanceof Deno.errors.ConnectionRefused) || leftMs <= 0) {
        throw connectError(showAddress(address), error);
      }
      await systemClock.sleep(Math.min(RETRY_MS, leftMs));
    }
  }
}

async function connectOnce(address: ServerAddress, silenceMs: number): Promise<Deno.TcpConn> {
  const connecting = Deno.connect({ ...address, transport: "tcp" });
  let isLate = false;
  return await new Silence(silenceMs).during(connecting, () => {
    isLate = true;
    return new Error(`no answer for ${showSeconds(silenceMs)}`);
  }).finally(() => {
    if (isLate) connecting.then((connection) => connection.close(), () => {});
  });
}

function connectError(server: string, cause: unknown): ConnectError {
  const reason = cause instanceof Deno.errors.ConnectionRefused
    ? "no server listens there; check that it is running"
    : cause instanceof Error
    ? cause.message
    : String(cause);
  return new ConnectError(`Cannot connect to ${server}: ${reason}`, { cause });
}
