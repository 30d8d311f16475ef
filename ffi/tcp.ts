/**
 * Ends a TCP connection whose write waits for the peer. `Deno.TcpConn.close` leaves such a write waiting,
 * and keeps its socket open; only the kernel can end it. The runtime does not tell the descriptor, so it
 * is found by the two addresses of the connection.
 */

import { libc } from "./libc.ts";

/** An address as the runtime writes it, and a port. */
export interface Endpoint {
  readonly hostname: string;
  readonly port: number;
}

const SHUT_RDWR = 2;

/** `struct sockaddr_in` and `struct sockaddr_in6`: the same on Linux and Apple except for the family. */
const addressBytes = { four: 16, six: 28 } as const;
const PORT_OFFSET = 2;
const hostOffset = { four: 4, six: 8 } as const;

/** Where the system lists the open descriptors of a process, by number. */
const DESCRIPTORS_PATH = "/dev/fd";
/** Descriptors to try if the list itself finds no free descriptor: numbers are given from the lowest on. */
const SEARCHED_MAX = 2 ** 16;

/**
 * Ends both directions of this process's connection between these two ends: a waiting write fails (EPIPE).
 * False if the connection does not exist, because its peer has already ended it. The caller must keep the
 * connection open until this returns: its descriptor could be given to another file.
 */
export function shutdownConnection(local: Endpoint, remote: Endpoint): boolean {
  const { call } = libc();
  const own = textOf(local);
  const other = textOf(remote);
  const buffers: NameBuffers = {
    address: new Uint8Array(addressBytes.six),
    length: new Uint32Array(1),
  };
  for (const descriptor of descriptors()) {
    if (endOf(call.getpeername, descriptor, buffers) !== other) continue;
    if (endOf(call.getsockname, descriptor, buffers) !== own) continue;
    return call.shutdown(descriptor, SHUT_RDWR) === 0;
  }
  return false;
}

function descriptors(): number[] {
  try {
    return Array.from(Deno.readDirSync(DESCRIPTORS_PATH), ({ name }) => Number(name));
  } catch {
    return Array.from({ length: SEARCHED_MAX }, (_, number) => number);
  }
}

type NameCall = ReturnType<typeof libc>["call"]["getpeername"];

/** Where a call writes an address. */
interface NameBuffers {
  readonly address: Uint8Array<ArrayBuffer>;
  readonly length: Uint32Array<ArrayBuffer>;
}

/** Host and port of one end of a descriptor; null if it is not a connected TCP socket. */
function endOf(
  name: NameCall,
  descriptor: number,
  { address, length }: NameBuffers,
): string | null {
  length[0] = address.length;
  if (name(descriptor, address, length) !== 0) return null;
  const view = new DataView(address.buffer);
  const port = view.getUint16(PORT_OFFSET);
  if (length[0] === addressBytes.four) {
    const start = hostOffset.four;
    return textOf({ hostname: address.subarray(start, start + 4).join("."), port });
  }
  if (length[0] !== addressBytes.six) return null;
  const groups = Array.from(
    { length: 8 },
    (_, index) => view.getUint16(hostOffset.six + 2 * index).toString(16),
  );
  return textOf({ hostname: groups.join(":"), port });
}

/** Gives each end one text, however the zeros of an IPv6 address are written. */
function textOf({ hostname, port }: Endpoint): string {
  const host = hostname.includes(":") ? new URL(`tcp://[${hostname}]`).hostname : hostname;
  return `${host} ${port}`;
}
