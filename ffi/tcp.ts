/**
 * Sockets of the runtime at the kernel. The runtime does not tell their descriptors, so they are found by the
 * addresses of their ends.
 */

import { libc } from "./libc.ts";

/** An address as the runtime writes it, and a port. */
export interface Endpoint {
  readonly hostname: string;
  readonly port: number;
}

/** When the kernel asks a silent peer whether it lives, and how often before it ends the connection. */
export interface KeepAlive {
  readonly idleSeconds: number;
  readonly intervalSeconds: number;
  readonly probes: number;
}

const SHUT_RDWR = 2;
/** Linux number: bytes in the queue of a socket that its peer has not acknowledged. */
const TIOCOUTQ = 0x5411n;
/** Linux: the option that gives a `struct tcp_info`, and where that has `tcpi_bytes_acked` (u64, since 4.1). */
const TCP_INFO = 11;
const BYTES_ACKED_OFFSET = 120;

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
 * connection open until this returns: its descriptor could be given to another file. `Deno.TcpConn.close`
 * leaves a waiting write waiting, and keeps its socket open.
 */
export function shutdownConnection(local: Endpoint, remote: Endpoint): boolean {
  const { call } = libc();
  const own = textOf(local);
  const other = textOf(remote);
  const buffers = newBuffers();
  for (const descriptor of descriptors()) {
    if (endOf(call.getpeername, descriptor, buffers) !== other) continue;
    if (endOf(call.getsockname, descriptor, buffers) !== own) continue;
    return call.shutdown(descriptor, SHUT_RDWR) === 0;
  }
  return false;
}

/** An open connection, and a call that ends both of its directions. */
export interface OpenConnection {
  /** Host and port of the peer, as one text. */
  readonly peer: string;
  /** Bytes that wait until the peer acknowledges them; 0 if the system does not tell. */
  readonly unsentBytes: number;
  /** Bytes that the peer has acknowledged so far; 0 if the system does not tell. */
  readonly acknowledgedBytes: number;
  /** Valid until the caller returns to the event loop: then the descriptor may belong to another file. */
  readonly shutdown: () => void;
}

/** This process's connections whose own end has this port, in no order. */
export function connectionsOf(port: number): OpenConnection[] {
  const { call } = libc();
  const buffers = newBuffers();
  const found: OpenConnection[] = [];
  for (const descriptor of descriptors()) {
    if (portOf(call.getsockname, descriptor, buffers) !== port) continue;
    const peer = endOf(call.getpeername, descriptor, buffers);
    if (peer === null) continue;
    const shutdown = () => void call.shutdown(descriptor, SHUT_RDWR);
    found.push({ peer, ...outputOf(descriptor, buffers), shutdown });
  }
  return found;
}

/**
 * Lets the kernel ask the silent peers of this process's listening socket whether they live: its connections
 * inherit the options. False if no socket listens there, or if the system refuses.
 */
export function probeIdlePeers(
  local: Endpoint,
  { idleSeconds, intervalSeconds, probes }: KeepAlive,
): boolean {
  const { call, abi: { socket } } = libc();
  const own = textOf(local);
  const buffers = newBuffers();
  const value = new Int32Array(1);
  const bytes = new Uint8Array(value.buffer);
  for (const descriptor of descriptors()) {
    if (endOf(call.getsockname, descriptor, buffers) !== own) continue;
    buffers.length[0] = bytes.length;
    const { SOL_SOCKET, SO_ACCEPTCONN, IPPROTO_TCP } = socket;
    const got = call.getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, bytes, buffers.length);
    if (got !== 0 || value[0] === 0) continue;
    return ([
      [SOL_SOCKET, socket.SO_KEEPALIVE, 1],
      [IPPROTO_TCP, socket.TCP_KEEPIDLE, idleSeconds],
      [IPPROTO_TCP, socket.TCP_KEEPINTVL, intervalSeconds],
      [IPPROTO_TCP, socket.TCP_KEEPCNT, probes],
    ] as const).every(([level, name, number]) => {
      value[0] = number;
      return call.setsockopt(descriptor, level, name, bytes, bytes.length) === 0;
    });
  }
  return false;
}

/** Host and port of an address, as `connectionsOf` gives them. */
export function peerText(remote: Endpoint): string {
  return textOf(remote);
}

function descriptors(): number[] {
  try {
    return Array.from(Deno.readDirSync(DESCRIPTORS_PATH), ({ name }) => Number(name));
  } catch {
    return Array.from({ length: SEARCHED_MAX }, (_, number) => number);
  }
}

type NameCall = ReturnType<typeof libc>["call"]["getpeername"];

/** Where calls write: an address, or what the system tells of a connection. */
interface Buffers {
  readonly address: Uint8Array<ArrayBuffer>;
  readonly info: Uint8Array<ArrayBuffer>;
  readonly length: Uint32Array<ArrayBuffer>;
}

function newBuffers(): Buffers {
  return {
    address: new Uint8Array(addressBytes.six),
    info: new Uint8Array(BYTES_ACKED_OFFSET + 8),
    length: new Uint32Array(1),
  };
}

/** The port of one end of a descriptor: quick, for the many that are no sockets or have another port. */
function portOf(name: NameCall, descriptor: number, { address, length }: Buffers): number {
  length[0] = address.length;
  if (name(descriptor, address, length) !== 0) return -1;
  return (address[PORT_OFFSET] as number) * 256 + (address[PORT_OFFSET + 1] as number);
}

type Output = Pick<OpenConnection, "unsentBytes" | "acknowledgedBytes">;

function outputOf(descriptor: number, { info, length }: Buffers): Output {
  const { call, abi: { socket } } = libc();
  const untold = { unsentBytes: 0, acknowledgedBytes: 0 };
  if (Deno.build.os !== "linux") return untold;
  length[0] = info.length;
  const got = call.getsockopt(descriptor, socket.IPPROTO_TCP, TCP_INFO, info, length);
  if (got !== 0 || length[0] !== info.length) return untold;
  const view = new DataView(info.buffer);
  const acknowledgedBytes = Number(view.getBigUint64(BYTES_ACKED_OFFSET, true));
  if (call.ioctl(descriptor, TIOCOUTQ, info) !== 0) return untold;
  return { unsentBytes: view.getInt32(0, true), acknowledgedBytes };
}

/** Host and port of one end of a descriptor; null if it is not a connected TCP socket. */
function endOf(
  name: NameCall,
  descriptor: number,
  { address, length }: Buffers,
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
