/**
 * Numbers and struct layouts of each platform, in one table. Constants are those of the C headers;
 * offsets are bytes. An unlisted platform is refused with a message; its numbers are never guessed.
 *
 * `verified` says whether the row was ever run (`selfTest` in `self_test.ts`). The other rows are taken
 * from the headers alone.
 */

import type { ErrnoPlatform } from "./errno_table.ts";

/** Where the fields of `struct stat` lie, and how wide they are. */
export interface StatLayout {
  readonly size: number;
  readonly device: { readonly offset: number; readonly bytes: 4 | 8 };
  readonly inode: number;
  readonly links: { readonly offset: number; readonly bytes: 2 | 4 | 8 };
  readonly mode: { readonly offset: number; readonly bytes: 2 | 4 };
  readonly owner: number;
  readonly length: number;
  /** Number of 512-byte blocks, i64. */
  readonly blocks: number;
  /** `st_mtime` seconds, i64; nanoseconds follow. */
  readonly modified: number;
}

/** Where the fields of `struct flock` lie. */
export interface FlockLayout {
  readonly size: number;
  readonly type: number;
  readonly whence: number;
  readonly start: number;
  readonly length: number;
  readonly pid: number;
}

/** Where the fields of `struct statvfs` lie. */
export interface StatvfsLayout {
  readonly size: number;
  readonly fragmentSize: number;
  readonly blocks: { readonly offset: number; readonly bytes: 4 | 8 };
  readonly available: { readonly offset: number; readonly bytes: 4 | 8 };
}

/** Numbers of `getsockopt` and `setsockopt`. */
export interface SocketOptions {
  readonly SOL_SOCKET: number;
  readonly SO_ACCEPTCONN: number;
  readonly SO_KEEPALIVE: number;
  readonly IPPROTO_TCP: number;
  readonly TCP_KEEPIDLE: number;
  readonly TCP_KEEPINTVL: number;
  readonly TCP_KEEPCNT: number;
}

export interface Abi {
  readonly name: string;
  readonly verified: boolean;
  readonly library: string;
  readonly errnoSymbol: "__errno_location" | "__error";
  /**
   * Apple arm64 passes variadic arguments on the stack: `open` and `fcntl` then need eight register
   * arguments before the variadic one.
   */
  readonly variadicOnStack: boolean;
  readonly O_RDONLY: number;
  readonly O_RDWR: number;
  readonly O_CREAT: number;
  readonly O_EXCL: number;
  readonly O_CLOEXEC: number;
  readonly O_NOCTTY: number;
  readonly O_NONBLOCK: number;
  readonly O_DIRECTORY: number;
  readonly PROT_READ: number;
  readonly PROT_WRITE: number;
  readonly MAP_SHARED: number;
  readonly MS_SYNC: number;
  readonly F_RDLCK: number;
  readonly F_WRLCK: number;
  readonly F_UNLCK: number;
  readonly F_OFD_GETLK: number;
  readonly F_OFD_SETLK: number;
  /** Null if fdatasync already reaches the medium. */
  readonly F_FULLFSYNC: number | null;
  /** Null if `posix_fallocate` exists. */
  readonly F_PREALLOCATE: number | null;
  readonly LOCK_SH: number;
  readonly LOCK_EX: number;
  readonly LOCK_NB: number;
  readonly LOCK_UN: number;
  /** `FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE`, or null if the platform lacks `fallocate`. */
  readonly PUNCH_HOLE: number | null;
  readonly SIGXFSZ: number;
  readonly CLOCK_THREAD_CPUTIME_ID: number;
  readonly socket: SocketOptions;
  readonly stat: StatLayout;
  readonly flock: FlockLayout;
  readonly statvfs: StatvfsLayout;
  /** Which column of `ERRNO_ROWS` has its error numbers. */
  readonly errnoPlatform: ErrnoPlatform;
}

const shared = {
  O_RDONLY: 0,
  O_RDWR: 2,
  PROT_READ: 1,
  PROT_WRITE: 2,
  MAP_SHARED: 1,
  F_UNLCK: 2,
  LOCK_SH: 1,
  LOCK_EX: 2,
  LOCK_NB: 4,
  LOCK_UN: 8,
  SIGXFSZ: 25,
} as const;

const linux = {
  ...shared,
  library: "libc.so.6",
  errnoSymbol: "__errno_location",
  variadicOnStack: false,
  CLOCK_THREAD_CPUTIME_ID: 3,
  socket: {
    SOL_SOCKET: 1,
    SO_ACCEPTCONN: 30,
    SO_KEEPALIVE: 9,
    IPPROTO_TCP: 6,
    TCP_KEEPIDLE: 4,
    TCP_KEEPINTVL: 5,
    TCP_KEEPCNT: 6,
  },
  O_CREAT: 0o100,
  O_EXCL: 0o200,
  O_CLOEXEC: 0o2000000,
  O_NOCTTY: 0o400,
  O_NONBLOCK: 0o4000,
  MS_SYNC: 4,
  F_RDLCK: 0,
  F_WRLCK: 1,
  F_OFD_GETLK: 36,
  F_OFD_SETLK: 37,
  F_FULLFSYNC: null,
  F_PREALLOCATE: null,
  PUNCH_HOLE: 0x01 | 0x02,
  flock: { size: 32, type: 0, whence: 2, start: 8, length: 16, pid: 24 },
  statvfs: {
    size: 112,
    fragmentSize: 8,
    blocks: { offset: 16, bytes: 8 },
    available: { offset: 32, bytes: 8 },
  },
  errnoPlatform: "linux",
} as const;

const apple = {
  ...shared,
  library: "libSystem.B.dylib",
  errnoSymbol: "__error",
  CLOCK_THREAD_CPUTIME_ID: 16,
  socket: {
    SOL_SOCKET: 0xffff,
    SO_ACCEPTCONN: 2,
    SO_KEEPALIVE: 8,
    IPPROTO_TCP: 6,
    TCP_KEEPIDLE: 0x10,
    TCP_KEEPINTVL: 0x101,
    TCP_KEEPCNT: 0x102,
  },
  O_CREAT: 0x200,
  O_EXCL: 0x800,
  O_CLOEXEC: 0x1000000,
  O_NOCTTY: 0x20000,
  O_NONBLOCK: 0x4,
  O_DIRECTORY: 0x100000,
  MS_SYNC: 0x10,
  F_RDLCK: 1,
  F_WRLCK: 3,
  F_OFD_GETLK: 92,
  F_OFD_SETLK: 90,
  F_FULLFSYNC: 51,
  F_PREALLOCATE: 42,
  PUNCH_HOLE: null,
  stat: {
    size: 144,
    device: { offset: 0, bytes: 4 },
    mode: { offset: 4, bytes: 2 },
    links: { offset: 6, bytes: 2 },
    inode: 8,
    owner: 16,
    modified: 48,
    length: 96,
    blocks: 104,
  },
  flock: { size: 24, start: 0, length: 8, pid: 16, type: 20, whence: 22 },
  statvfs: {
    size: 64,
    fragmentSize: 8,
    blocks: { offset: 16, bytes: 4 },
    available: { offset: 24, bytes: 4 },
  },
  errnoPlatform: "apple",
} as const;

export const abis: Readonly<Record<string, Abi>> = {
  "linux-x86_64": {
    ...linux,
    name: "Linux x86-64 (glibc)",
    verified: true,
    O_DIRECTORY: 0o200000,
    stat: {
      size: 144,
      device: { offset: 0, bytes: 8 },
      inode: 8,
      links: { offset: 16, bytes: 8 },
      mode: { offset: 24, bytes: 4 },
      owner: 28,
      length: 48,
      blocks: 64,
      modified: 88,
    },
  },
  "linux-aarch64": {
    ...linux,
    name: "Linux arm64 (glibc)",
    verified: false,
    O_DIRECTORY: 0o40000,
    stat: {
      size: 128,
      device: { offset: 0, bytes: 8 },
      inode: 8,
      mode: { offset: 16, bytes: 4 },
      links: { offset: 20, bytes: 4 },
      owner: 24,
      length: 48,
      blocks: 64,
      modified: 88,
    },
  },
  "darwin-x86_64": {
    ...apple,
    name: "macOS x86-64",
    verified: false,
    variadicOnStack: false,
  },
  "darwin-aarch64": {
    ...apple,
    name: "macOS arm64",
    verified: false,
    variadicOnStack: true,
  },
};

/** The row for a platform. Throws a plain `Error` with a message for one that is not in the table. */
export function abiOf(os: string, arch: string): Abi {
  const abi = abis[`${os}-${arch}`];
  if (abi === undefined) {
    const known = Object.values(abis).map((row) => row.name).join(", ");
    throw new Error(`Platform ${os} on ${arch} is not supported: countd knows ${known}`);
  }
  return abi;
}
