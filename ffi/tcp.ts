/**
 * Ending a TCP connection whose write waits for the peer. `Deno.TcpConn.close` lets such a write wait
 * on, and with it the socket; only the kernel can end it, and the runtime keeps the descriptor to
 * itself, so it is found by its two addresses.
 */

import { libc } from "./libc.ts";

/** An address as the runtime writes it, and a port. */
export interface Endpoint {
  readonly hostname: string;
  readonly port: number;
}

const SHUT_RDWR = 2;

/** `struct sockaddr_in` and `struct sockaddr_in6`: the same on Linux and Apple but for the family. */
const addressBytes = { four: 16, six: 28 } as const;
const PORT_OFFSET = 2;
const hostOffset = { four: 4, six: 8 } as const;

/** Where the system lists the open descriptors of a process, by number. */
const DESCRIPTORS_PATH = "/dev/fd";
/** How far it is searched where even the list finds no descriptor: numbers are given from the lowest on. */
const SEARCHED_MAX = 2 ** 16;

/**
 * Ends both directions of the connection of this process between these two ends: a write that waits
 * fails (EPIPE). False where there is no such connection, because its peer has ended it already. The
 * caller must be sure that nobody closes it before this returns.
 */
export function shutdownConnection(local: Endpoint, remote: Endpoint): boolean {
  const { call } = libc();
  const own = textOf(local);
  const other = textOf(remote);
  const room: Room = { address: new Uint8Array(addressBytes.six), length: new Uint32Array(1) };
  for (const descriptor of descriptors()) {
    if (endOf(call.getpeername, descriptor, room) !== other) continue;
    if (endOf(call.getsockname, descriptor, room) !== own) continue;
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

/** What a call writes an address to. */
interface Room {
  readonly address: Uint8Array<ArrayBuffer>;
  readonly length: Uint32Array<ArrayBuffer>;
}

/** Host and port of one end of a descriptor; null where it is no connected TCP socket. */
function endOf(name: NameCall, descriptor: number, { address, length }: Room): string | null {
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

/** One text for each end, however the zeros of an IPv6 address are written. */
function textOf({ hostname, port }: Endpoint): string {
  const host = hostname.includes(":") ? new URL(`tcp://[${hostname}]`).hostname : hostname;
  return `${host} ${port}`;
}
