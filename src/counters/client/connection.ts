/** Connects to one of the ports, and sends and reads, with errors that name the server. */

import { systemClock } from "../../base/clock.ts";
import { ConnectError } from "../../base/errors.ts";
import { showSeconds, Silence, SILENCE_MS } from "./silence.ts";

/** Where a port of a server is. */
export interface ServerAddress {
  /** A host name or an IP address; an IPv6 address without brackets. */
  readonly hostname: string;
  /** A TCP port. */
  readonly port: number;
}

/** The address as `HOST:PORT`, an IPv6 host in brackets. */
export function addressText(address: ServerAddress): string {
  const { hostname, port } = address;
  return hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}

/** The other side of a connection, and how long it has been silent. */
export interface Peer {
  readonly address: ServerAddress;
  readonly silence: Silence;
}

/** How long a client waits for a server, in milliseconds. */
export interface Patience {
  /** How long to wait for a server that does not listen yet. Default: not at all. */
  readonly waitMs?: number;
  /** How long a server may neither take nor send a byte during a call. Default: 30,000. */
  readonly silenceMs?: number;
}

/** Pause between two attempts to connect. */
const RETRY_MS = 50;

/** Connect. Throws `ConnectError` if no server answers. */
export async function connectTo(
  address: ServerAddress,
  { waitMs = 0, silenceMs = SILENCE_MS }: Patience = {},
): Promise<Deno.TcpConn> {
  const endMs = systemClock.nowMs() + waitMs;
  while (true) {
    try {
      const connection = await connectOnce(address, silenceMs);
      connection.setNoDelay(true);
      return connection;
    } catch (error) {
      const leftMs = endMs - systemClock.nowMs();
      if (!(error instanceof Deno.errors.ConnectionRefused) || leftMs <= 0) {
        throw connectError(address, error);
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

function connectError(address: ServerAddress, cause: unknown): ConnectError {
  const reason = cause instanceof Deno.errors.ConnectionRefused
    ? "no server listens there; check that it is running"
    : cause instanceof Error
    ? cause.message
    : String(cause);
  return new ConnectError(`Cannot connect to ${addressText(address)}: ${reason}`, { cause });
}

/** Send all of `bytes`. Throws `ConnectError` if the server is gone. */
export async function sendAll(
  connection: Deno.TcpConn,
  bytes: Uint8Array,
  { address, silence }: Peer,
): Promise<void> {
  try {
    for (let sent = 0; sent < bytes.length;) {
      sent += await connection.write(sent === 0 ? bytes : bytes.subarray(sent));
      silence.end();
    }
  } catch (error) {
    throw lost(address, error);
  }
}

/** Read some bytes; 0 at the end. Throws `ConnectError` if the connection broke. */
export async function readSome(
  connection: Deno.TcpConn,
  into: Uint8Array,
  { address, silence }: Peer,
): Promise<number> {
  try {
    const count = await connection.read(into) ?? 0;
    silence.end();
    return count;
  } catch (error) {
    throw lost(address, error);
  }
}

/** The error for a connection that broke. */
export function lost(address: ServerAddress, cause: unknown): ConnectError {
  return new ConnectError(`Lost the connection to ${addressText(address)}`, { cause });
}
