/**
 * Writes to a stream that another process reads, without waiting for that process.
 *
 * `O_NONBLOCK` is never set on the descriptor itself: the flag belongs to the open file description, which
 * other processes share, so it would change their writes too.
 */

import { checkRetrying, OsError, outcomeOf } from "./errno.ts";
import { close, fstat } from "./file.ts";
import { libc } from "./libc.ts";
import { cString } from "./path.ts";

/** Writes some of the bytes now and returns how many; 0 if it would wait. Throws `OsError`. */
export type WriteNow = (bytes: Uint8Array<ArrayBuffer>) => number;

/** The kinds of file in `st_mode`, the same on Linux and Apple. */
const S_IFMT = 0o170000;
const S_IFIFO = 0o010000;
const S_IFCHR = 0o020000;
const S_IFSOCK = 0o140000;

/** Linux numbers: the calls that use them are made there only. */
const O_WRONLY = 1;
const O_NOCTTY = 0o400;
const O_NONBLOCK = 0o4000;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;

/** `struct pollfd`: descriptor i32, events i16, revents i16. */
const POLLFD_BYTES = 8;
const POLLOUT = 4;

/** What a pipe that polls writable takes without waiting (PIPE_BUF, of Linux and of Apple). */
const PIECE_BYTES = Deno.build.os === "linux" ? 4096 : 512;

/** Makes a function that writes to the descriptor and never waits for a reader. Writes to files may wait. */
export function writerWithoutWaiting(descriptor: number): WriteNow {
  const kind = fstat(descriptor, "").mode & S_IFMT;
  const isStream = kind === S_IFIFO || kind === S_IFCHR || kind === S_IFSOCK;
  if (!isStream) return (bytes) => write(descriptor, bytes);
  if (Deno.build.os === "linux") {
    if (kind === S_IFSOCK) return (bytes) => send(descriptor, bytes);
    const own = openAnew(descriptor);
    if (own !== null) return (bytes) => write(own, bytes);
  }
  return (bytes) => isWritable(descriptor) ? write(descriptor, bytes.subarray(0, PIECE_BYTES)) : 0;
}

/**
 * Opens a pipe or a terminal again, for an open file description that no other process shares. Null if
 * that fails: another user made the pipe, or it has no reader.
 */
function openAnew(descriptor: number): number | null {
  const { abi, call } = libc();
  const path = `/proc/self/fd/${descriptor}`;
  const flags = O_WRONLY | O_NONBLOCK | O_NOCTTY | abi.O_CLOEXEC;
  const opened = call.open(cString(path, "open"), flags, 0);
  if (opened < 0) return null;
  // The path may lead to another file if something is mounted on /proc.
  const [before, after] = [fstat(descriptor, ""), fstat(opened, path)];
  if (before.device === after.device && before.inode === after.inode) return opened;
  close(opened);
  return null;
}

function write(descriptor: number, bytes: Uint8Array<ArrayBuffer>): number {
  return takenBy(() => libc().call.write(descriptor, bytes, BigInt(bytes.length)), "write");
}

function send(descriptor: number, bytes: Uint8Array<ArrayBuffer>): number {
  const flags = MSG_DONTWAIT | MSG_NOSIGNAL;
  const length = BigInt(bytes.length);
  return takenBy(() => libc().call.sendto(descriptor, bytes, length, flags, null, 0), "sendto");
}

/** Returns the bytes that a call took; 0 if it would have waited. */
function takenBy(call: () => number | bigint, syscall: string): number {
  const outcome = outcomeOf(call);
  if (typeof outcome === "number") return outcome;
  if (outcome === "EAGAIN") return 0;
  throw new OsError(syscall, "", outcome);
}

/** True if a write of one piece would not wait, whether it succeeds or fails. */
function isWritable(descriptor: number): boolean {
  const entry = new DataView(new ArrayBuffer(POLLFD_BYTES));
  entry.setInt32(0, descriptor, true);
  entry.setInt16(4, POLLOUT, true);
  return checkRetrying(() => libc().call.poll(new Uint8Array(entry.buffer), 1n, 0), "poll", "") > 0;
}
