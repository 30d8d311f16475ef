/** Sends datagrams to a Unix socket: all that a notice to the service manager needs. */

import { checkRetrying, OsError } from "./errno.ts";
import { close } from "./file.ts";
import { libc } from "./libc.ts";

/** Linux numbers; service managers that listen on such a socket exist there only. */
const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const MSG_NOSIGNAL = 0x4000;

/** `struct sockaddr_un`: family u16, then the path (108 bytes at most, with its closing NUL). */
const FAMILY_BYTES = 2;
const PATH_BYTES_MAX = 108;

/**
 * Sends one datagram. A path that begins with `@` names a socket in the abstract namespace: a NUL replaces
 * the `@`, and no NUL ends the name.
 */
export function sendDatagram(path: string, message: Uint8Array<ArrayBuffer>): void {
  if (Deno.build.os !== "linux") throw new OsError("sendto", path, "EOPNOTSUPP");
  const { call } = libc();
  const address = socketAddress(path);
  const descriptor = checkRetrying(
    () => call.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0),
    "socket",
    path,
  );
  try {
    const length = BigInt(message.length);
    checkRetrying(
      () => call.sendto(descriptor, message, length, MSG_NOSIGNAL, address, address.length),
      "sendto",
      path,
    );
  } finally {
    close(descriptor);
  }
}

function socketAddress(path: string): Uint8Array<ArrayBuffer> {
  const name = new TextEncoder().encode(path);
  const isAbstract = name[0] === 0x40;
  const length = name.length + (isAbstract ? 0 : 1);
  if (name.length < 2 || length > PATH_BYTES_MAX || name.includes(0)) {
    throw new OsError("sendto", path, "EINVAL");
  }
  const address = new Uint8Array(FAMILY_BYTES + length);
  new DataView(address.buffer).setUint16(0, AF_UNIX, true);
  address.set(name, FAMILY_BYTES);
  if (isAbstract) address[FAMILY_BYTES] = 0;
  return address;
}
