/**
 * Descriptors, names and their metadata. Each function is one system call, repeated if a signal
 * interrupts it, and throws `OsError`.
 */

import type { Abi } from "./abi.ts";
import { checkOnce, checkRetrying, errnoName, OsError, outcomeOf } from "./errno.ts";
import { libc } from "./libc.ts";
import { cString } from "./path.ts";

export interface OpenFlags {
  readonly write?: boolean;
  readonly create?: boolean;
  readonly exclusive?: boolean;
  readonly directory?: boolean;
}

const TYPE_MASK = 0o170000;
const REGULAR_TYPE = 0o100000;
const DIRECTORY_TYPE = 0o040000;

/**
 * Opens a regular file, or a directory if the flags say so, close-on-exec. `mode` counts only for a file
 * that is created. Never waits for the other end of a FIFO, and takes no terminal. Anything else is refused
 * as the system refuses a socket (ENXIO), a directory with EISDIR.
 */
export function open(path: string, flags: OpenFlags, mode = 0): number {
  const { abi, call } = libc();
  const name = cString(path, "open");
  const bits = (flags.write ? abi.O_RDWR : abi.O_RDONLY) |
    abi.O_CLOEXEC | abi.O_NOCTTY | abi.O_NONBLOCK |
    (flags.create ? abi.O_CREAT : 0) | (flags.exclusive ? abi.O_EXCL : 0) |
    (flags.directory ? abi.O_DIRECTORY : 0);
  const descriptor = checkRetrying(
    abi.variadicOnStack
      ? () => call.openOnStack(name, bits, 0n, 0n, 0n, 0n, 0n, 0n, BigInt(mode))
      : () => call.open(name, bits, mode),
    "open",
    path,
  );
  if (!flags.directory) refuseIrregular(descriptor, path);
  return descriptor;
}

function refuseIrregular(descriptor: number, path: string): void {
  try {
    const view = statusOf(descriptor, path);
    const type = readUnsigned(view, libc().abi.stat.mode) & TYPE_MASK;
    if (type === REGULAR_TYPE) return;
    throw new OsError("open", path, type === DIRECTORY_TYPE ? "EISDIR" : "ENXIO");
  } catch (error) {
    close(descriptor);
    throw error;
  }
}

/** Closes once, whatever the result: after EINTR the descriptor is already gone on Linux. */
export function close(descriptor: number): void {
  libc().call.close(descriptor);
}

export interface Status {
  readonly device: bigint;
  readonly inode: bigint;
  /** File type and permission bits, as in `st_mode`. */
  readonly mode: number;
  readonly links: number;
  readonly owner: number;
  readonly size: number;
  readonly allocatedBytes: number;
  readonly modifiedMs: number;
}

export function stat(path: string): Status {
  const status = statOrErrno(path);
  if (typeof status === "string") throw new OsError("stat", path, status);
  return status;
}

/** As `stat`; the name of the errno if it fails. Readers ask for names that are missing: no exception for each. */
export function statOrErrno(path: string): Status | string {
  const { abi, call } = libc();
  const statusBuffer = statusBufferOf(abi);
  const name = cString(path, "stat");
  const symbol = call.statInode64 ?? call.stat;
  if (!symbol) return "ENOSYS";
  // The function of a second call is made only for a failure: a read of a small value is mostly this.
  if (symbol(name, statusBuffer.bytes) === -1) {
    const again = () => symbol(name, statusBuffer.bytes);
    const outcome = outcomeOf(again, errnoName(libc().errno()));
    if (typeof outcome === "string") return outcome;
  }
  return readStatus(statusBuffer.view, abi);
}

export function fstat(descriptor: number, path: string): Status {
  return readStatus(statusOf(descriptor, path), libc().abi);
}

/** The bytes of `struct stat`, valid until the next call of this file. */
function statusOf(descriptor: number, path: string): DataView {
  const { abi, call } = libc();
  const statusBuffer = statusBufferOf(abi);
  const symbol = call.fstatInode64 ?? call.fstat;
  if (!symbol) throw new OsError("fstat", path, "ENOSYS");
  if (symbol(descriptor, statusBuffer.bytes) === -1) {
    checkRetrying(() => symbol(descriptor, statusBuffer.bytes), "fstat", path);
  }
  return statusBuffer.view;
}

/** The buffer that every `stat` writes to. One for each call would slow the read of a small value. */
interface StatusBuffer {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly view: DataView<ArrayBuffer>;
}

let statusBuffer: StatusBuffer | null = null;

function statusBufferOf({ stat: { size } }: Abi): StatusBuffer {
  if (statusBuffer === null) {
    const bytes = new Uint8Array(size);
    statusBuffer = { bytes, view: new DataView(bytes.buffer) };
  }
  return statusBuffer;
}

function readStatus(view: DataView, { stat: layout }: Abi): Status {
  const { device } = layout;
  return {
    device: device.bytes === 8
      ? view.getBigUint64(device.offset, true)
      : BigInt(view.getUint32(device.offset, true)),
    inode: view.getBigUint64(layout.inode, true),
    mode: readUnsigned(view, layout.mode),
    links: readUnsigned(view, layout.links),
    owner: view.getUint32(layout.owner, true),
    size: readSigned(view, layout.length),
    allocatedBytes: readSigned(view, layout.blocks) * 512,
    modifiedMs: readSigned(view, layout.modified) * 1000 +
      readSigned(view, layout.modified + 8) / 1e6,
  };
}

/** Reads a 64-bit number without BigInt; exact below 2^53. */
function readSigned(view: DataView, offset: number): number {
  return view.getInt32(offset + 4, true) * 2 ** 32 + view.getUint32(offset, true);
}

function readUnsigned(
  view: DataView,
  { offset, bytes }: { readonly offset: number; readonly bytes: 2 | 4 | 8 },
): number {
  if (bytes === 2) return view.getUint16(offset, true);
  const low = view.getUint32(offset, true);
  return bytes === 4 ? low : view.getUint32(offset + 4, true) * 2 ** 32 + low;
}

/** Reads at most `into.length` bytes at `offset`; 0 at the end of the file. May read fewer. */
export function pread(descriptor: number, into: Uint8Array, offset: number, path: string): number {
  const { call } = libc();
  const buffer = into as Uint8Array<ArrayBuffer>;
  return checkRetrying(
    () => call.pread(descriptor, buffer, BigInt(into.length), BigInt(offset)),
    "read",
    path,
  );
}

/** Writes at most all of `bytes` at `offset`. May write fewer. */
export function pwrite(
  descriptor: number,
  bytes: Uint8Array,
  offset: number,
  path: string,
): number {
  const { call } = libc();
  const buffer = bytes as Uint8Array<ArrayBuffer>;
  return checkRetrying(
    () => call.pwrite(descriptor, buffer, BigInt(bytes.length), BigInt(offset)),
    "write",
    path,
  );
}

export function ftruncate(descriptor: number, size: number, path: string): void {
  const { call } = libc();
  checkRetrying(() => call.ftruncate(descriptor, BigInt(size)), "ftruncate", path);
}

/** Allocates the range on disk. A file that is shorter grows to the end of the range. */
export function allocate(descriptor: number, offset: number, length: number, path: string): void {
  const { abi, call } = libc();
  if (!call.posix_fallocate) return preallocateApple(descriptor, offset + length, path, abi);
  while (true) {
    // The error number is the result itself: errno is not touched.
    const error = call.posix_fallocate(descriptor, BigInt(offset), BigInt(length));
    if (error === 0) return;
    const code = errnoName(error);
    if (code !== "EINTR") throw new OsError("posix_fallocate", path, code);
  }
}

/** macOS: `fstore_t` is flags u32, position mode i32, offset i64, length i64, allocated i64. */
function preallocateApple(descriptor: number, end: number, path: string, abi: Abi): void {
  const { size } = fstat(descriptor, path);
  if (end <= size) return;
  if (abi.F_PREALLOCATE === null) throw new OsError("posix_fallocate", path, "ENOSYS");
  const store = new DataView(new ArrayBuffer(32));
  store.setUint32(0, 4, true); // F_ALLOCATEALL
  store.setInt32(4, 3, true); // F_PEOFPOSMODE
  store.setBigInt64(16, BigInt(end - size), true);
  fcntl(descriptor, abi.F_PREALLOCATE, new Uint8Array(store.buffer), { path, syscall: "fcntl" });
  ftruncate(descriptor, end, path);
}

/** Punches a hole; false if the file system or the platform cannot. */
export function deallocate(descriptor: number, offset: number, length: number): boolean {
  const { abi, call } = libc();
  if (!call.fallocate || abi.PUNCH_HOLE === null) return false;
  return call.fallocate(descriptor, abi.PUNCH_HOLE, BigInt(offset), BigInt(length)) === 0;
}

export function fsync(descriptor: number, path: string): void {
  const { abi, call } = libc();
  if (fullSync(descriptor, abi)) return;
  checkOnce(() => call.fsync(descriptor), "fsync", path);
}

export function fdatasync(descriptor: number, path: string): void {
  const { abi, call } = libc();
  if (fullSync(descriptor, abi)) return;
  checkOnce(() => call.fdatasync(descriptor), "fdatasync", path);
}

/**
 * fdatasync on another thread. Its errno stays with that thread, so a failure is reported as EIO,
 * which is also how it must be treated: the data may be lost.
 */
export async function fdatasyncAsync(descriptor: number, path: string): Promise<void> {
  const { abi, call } = libc();
  if (fullSync(descriptor, abi)) return;
  const result = await call.fdatasyncAsync(descriptor);
  if (result !== 0) throw new OsError("fdatasync", path, "EIO");
}

/** macOS only hands data to the drive on fsync; F_FULLFSYNC makes the drive write it. */
function fullSync(descriptor: number, abi: Abi): boolean {
  if (abi.F_FULLFSYNC === null) return false;
  const { call } = libc();
  const nothing = new Uint8Array(8);
  const result = abi.variadicOnStack
    ? call.fcntlOnStack(descriptor, abi.F_FULLFSYNC, 0n, 0n, 0n, 0n, 0n, 0n, nothing)
    : call.fcntl(descriptor, abi.F_FULLFSYNC, nothing);
  return result === 0;
}

export function syncfs(descriptor: number, path: string): void {
  const { call } = libc();
  if (call.syncfs) {
    const { syncfs } = call;
    checkOnce(() => syncfs(descriptor), "syncfs", path);
  } else if (call.sync) {
    call.sync();
  } else {
    throw new OsError("syncfs", path, "ENOSYS");
  }
}

export function link(from: string, to: string): void {
  checkRetrying(() => libc().call.link(cString(from, "link"), cString(to, "link")), "link", to);
}

export function unlink(path: string): void {
  checkRetrying(() => libc().call.unlink(cString(path, "unlink")), "unlink", path);
}

export function rename(from: string, to: string): void {
  checkRetrying(
    () => libc().call.rename(cString(from, "rename"), cString(to, "rename")),
    "rename",
    to,
  );
}

export function mkdir(path: string, mode: number): void {
  checkRetrying(() => libc().call.mkdir(cString(path, "mkdir"), mode), "mkdir", path);
}

export function rmdir(path: string): void {
  checkRetrying(() => libc().call.rmdir(cString(path, "rmdir")), "rmdir", path);
}

export function chmod(path: string, mode: number): void {
  checkRetrying(() => libc().call.chmod(cString(path, "chmod"), mode), "chmod", path);
}

export function fchmod(descriptor: number, mode: number, path: string): void {
  checkRetrying(() => libc().call.fchmod(descriptor, mode), "fchmod", path);
}

/** Free bytes for an ordinary user, and all bytes, of the file system that holds `path`. */
export function statvfs(path: string): { freeBytes: number; totalBytes: number } {
  const { abi, call } = libc();
  const buffer = new Uint8Array(abi.statvfs.size);
  checkRetrying(() => call.statvfs(cString(path, "statvfs"), buffer), "statvfs", path);
  const view = new DataView(buffer.buffer);
  const unit = readUnsigned(view, { offset: abi.statvfs.fragmentSize, bytes: 8 });
  return {
    freeBytes: unit * readUnsigned(view, abi.statvfs.available),
    totalBytes: unit * readUnsigned(view, abi.statvfs.blocks),
  };
}

/** fcntl with a struct as its argument. Returns the result; throws unless `quiet` lists the errno. */
export function fcntl(
  descriptor: number,
  command: number,
  argument: Uint8Array<ArrayBuffer>,
  options: { readonly path: string; readonly syscall: string; readonly quiet?: readonly string[] },
): number {
  const { abi, call } = libc();
  const outcome = outcomeOf(() =>
    abi.variadicOnStack
      ? call.fcntlOnStack(descriptor, command, 0n, 0n, 0n, 0n, 0n, 0n, argument)
      : call.fcntl(descriptor, command, argument)
  );
  if (typeof outcome === "number") return outcome;
  if (options.quiet?.includes(outcome)) return -1;
  throw new OsError(options.syscall, options.path, outcome);
}
