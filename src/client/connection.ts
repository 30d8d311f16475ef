/** A connection to one of the ports, with errors that say where it led. */

import { ConnectError } from "../base/errors.ts";

export interface ServerAddress {
  readonly hostname: string;
  readonly port: number;
}

export function addressText(address: ServerAddress): string {
  const { hostname, port } = address;
  return hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}

/** Connects. Throws `ConnectError` where nobody answers. */
export async function connectTo(address: ServerAddress): Promise<Deno.TcpConn> {
  try {
    const connection = await Deno.connect({ ...address, transport: "tcp" });
    connection.setNoDelay(true);
    return connection;
  } catch (error) {
    const reason = error instanceof Deno.errors.ConnectionRefused
      ? "nothing listens there; is the server running"
      : error instanceof Error
      ? error.message
      : String(error);
    throw new ConnectError(`Cannot connect to ${addressText(address)}: ${reason}`, {
      cause: error,
    });
  }
}

/** Sends all of `bytes`. Throws `ConnectError` where the server is gone. */
export async function sendAll(
  connection: Deno.TcpConn,
  bytes: Uint8Array,
  address: ServerAddress,
): Promise<void> {
  try {
    for (let sent = 0; sent < bytes.length;) {
      sent += await connection.write(sent === 0 ? bytes : bytes.subarray(sent));
    }
  } catch (error) {
    throw lost(address, error);
  }
}

/** Reads some bytes; 0 at the end. Throws `ConnectError` where the connection broke. */
export async function readSome(
  connection: Deno.TcpConn,
  into: Uint8Array,
  address: ServerAddress,
): Promise<number> {
  try {
    return await connection.read(into) ?? 0;
  } catch (error) {
    throw lost(address, error);
  }
}

export function lost(address: ServerAddress, cause: unknown): ConnectError {
  return new ConnectError(`Lost the connection to ${addressText(address)}`, { cause });
}
