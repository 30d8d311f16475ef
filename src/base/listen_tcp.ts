/** A TCP listener, or an error that says what to do. */

import { FailedError } from "./errors.ts";

/** Throws `FailedError` where the port is taken or cannot be had. */
export function listenTcp({ hostname, port }: {
  readonly hostname: string;
  readonly port: number;
}): Deno.TcpListener {
  try {
    return Deno.listen({ hostname, port, transport: "tcp" });
  } catch (cause) {
    if (cause instanceof Deno.errors.AddrInUse) {
      throw new FailedError(
        `Port ${port} of ${hostname} is in use: name another one with --port, or keep outgoing ` +
          `connections off it with net.ipv4.ip_local_reserved_ports`,
        { cause },
      );
    }
    throw new FailedError(`Cannot listen on ${hostname} port ${port}: ${cause}`, { cause });
  }
}
