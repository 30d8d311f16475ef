/** A TCP listener, or an error that says what to do. */

import { type CountdError, FailedError } from "./errors.ts";

export interface ListenAddress {
  readonly hostname: string;
  readonly port: number;
}

/** Throws as `listenError` says where the port is taken or cannot be had. */
export function listenTcp({ hostname, port }: ListenAddress): Deno.TcpListener {
  try {
    return Deno.listen({ hostname, port, transport: "tcp" });
  } catch (cause) {
    throw listenError(cause, { hostname, port });
  }
}

/**
 * What everybody who listens throws for what the runtime throws then: `FailedError`. `option` is the one
 * that names the port.
 */
export function listenError(
  cause: unknown,
  { hostname, port, option = "--port" }: ListenAddress & { readonly option?: string },
): CountdError {
  if (cause instanceof Deno.errors.AddrInUse) {
    return new FailedError(
      `Port ${port} of ${hostname} is in use: name another one with ${option}, or keep outgoing ` +
        `connections off it with net.ipv4.ip_local_reserved_ports`,
      { cause },
    );
  }
  return new FailedError(`Cannot listen on ${hostname} port ${port}: ${cause}`, { cause });
}
