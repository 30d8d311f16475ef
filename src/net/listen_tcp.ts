/** A TCP listener, or an error that says what to do. */

import { BusyError, type CountdError, FailedError } from "../base/errors.ts";

/** What to do where too many files are open, in the process or in the whole system. */
const adviceOfScarcity: Readonly<Record<string, string>> = {
  EMFILE: "raise the limit (ulimit -n, LimitNOFILE=)",
  ENFILE: "raise the limit of the system (fs.file-max)",
};

export interface ListenAddress {
  readonly hostname: string;
  readonly port: number;
  /** The option that names the port, for the advice if it is in use; `--port` if not given. */
  readonly portOption?: string;
}

/** Throws as `listenError` says where the port is taken or cannot be had. */
export function listenTcp(address: ListenAddress): Deno.TcpListener {
  const { hostname, port } = address;
  try {
    return Deno.listen({ hostname, port, transport: "tcp" });
  } catch (cause) {
    throw listenError(cause, address);
  }
}

/**
 * What everybody who listens throws for what the runtime throws then: `BusyError` where the process or the
 * system has too many files open, else `FailedError`.
 */
export function listenError(
  cause: unknown,
  { hostname, port, portOption = "--port" }: ListenAddress,
): CountdError {
  if (cause instanceof Deno.errors.AddrInUse) {
    return new FailedError(
      `Port ${port} of ${hostname} is in use: name another one with ${portOption}, or keep outgoing ` +
        `connections off it with net.ipv4.ip_local_reserved_ports`,
      { cause },
    );
  }
  const reason = cause instanceof Error ? cause.message : String(cause);
  const message = `Cannot listen on ${hostname} port ${port}: ${reason}`;
  // Descriptors come back when others give them up: a service manager is to try again.
  const advice = adviceOfScarcity[(cause as { readonly code?: string } | null)?.code ?? ""];
  return advice === undefined
    ? new FailedError(message, { cause })
    : new BusyError(`${message}: ${advice}`, { cause });
}
