/** A TCP listener, or an error that says what to do. */

import { meaningOfErrno, probeIdlePeers } from "../../ffi/mod.ts";
import { BusyError, type CountdError, FailedError } from "../base/errors.ts";

/** Advice if too many files are open, in the process or in the whole system. */
const ADVICE_OF_SCARCITY: Readonly<Record<string, string>> = {
  EMFILE: "raise the limit (ulimit -n, LimitNOFILE=)",
  ENFILE: "raise the limit of the system (fs.file-max)",
};

export interface ListenAddress {
  readonly hostname: string;
  readonly port: number;
  /** The option that names the port, for the advice if it is in use; `--port` if not given. */
  readonly portOption?: string;
}

/** Listens; throws as `listenError` says if the port is taken or the address cannot be used. */
export function listenTcp(address: ListenAddress): Deno.TcpListener {
  const { hostname, port } = address;
  try {
    const listener = Deno.listen({ hostname, port, transport: "tcp" });
    askSilentPeers(listener.addr as Deno.NetAddr);
    return listener;
  } catch (cause) {
    throw listenError(cause, address);
  }
}

/** Peers that vanish without a word are found after 90 s, and their connections end. */
const KEEP_ALIVE = { idleSeconds: 60, intervalSeconds: 10, probes: 3 } as const;

/** Turns TCP keepalive on for all connections that the listener at `address` accepts. */
export function askSilentPeers(address: Deno.NetAddr): void {
  probeIdlePeers(address, KEEP_ALIVE);
}

/**
 * Maps an error of the runtime's listen call to one of countd: `BusyError` if the process or the system
 * has too many files open, else `FailedError`.
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
  // Other processes release descriptors sooner or later: the service manager should try again.
  const { code = "" } = cause as { readonly code?: string };
  if (meaningOfErrno(code) !== "scarce") return new FailedError(message, { cause });
  return new BusyError(`${message}: ${ADVICE_OF_SCARCITY[code] ?? "try again"}`, { cause });
}
