/**
 * libc: the only `Deno.dlopen` of the project, opened on the first call. The comment above each symbol is
 * its C prototype. 64-bit offsets are `i64`, sizes `usize`; nothing is narrowed.
 */

import { type Abi, abiOf } from "./abi.ts";

const symbols = {
  // int open(const char *path, int flags, ... /* mode_t mode */);
  open: { parameters: ["buffer", "i32", "u32"], result: "i32" },
  // int close(int fd);
  close: { parameters: ["i32"], result: "i32" },
  // int ftruncate(int fd, off_t length);
  ftruncate: { parameters: ["i32", "i64"], result: "i32" },
  // off_t lseek(int fd, off_t offset, int whence);
  lseek: { parameters: ["i32", "i64", "i32"], result: "i64" },
  // void *mmap(void *addr, size_t length, int prot, int flags, int fd, off_t offset);
  mmap: { parameters: ["pointer", "usize", "i32", "i32", "i32", "i64"], result: "pointer" },
  // int munmap(void *addr, size_t length);
  munmap: { parameters: ["pointer", "usize"], result: "i32" },
  // int msync(void *addr, size_t length, int flags);
  msync: { parameters: ["pointer", "usize", "i32"], result: "i32" },
  // int fsync(int fd);
  fsync: { parameters: ["i32"], result: "i32" },
  // int fdatasync(int fd);
  fdatasync: { parameters: ["i32"], result: "i32" },
  fdatasyncAsync: { name: "fdatasync", parameters: ["i32"], result: "i32", nonblocking: true },
  // ssize_t pread(int fd, void *buf, size_t count, off_t offset);
  pread: { parameters: ["i32", "buffer", "usize", "i64"], result: "isize" },
  // ssize_t pwrite(int fd, const void *buf, size_t count, off_t offset);
  pwrite: { parameters: ["i32", "buffer", "usize", "i64"], result: "isize" },
  // int link(const char *oldpath, const char *newpath);
  link: { parameters: ["buffer", "buffer"], result: "i32" },
  // int unlink(const char *path);
  unlink: { parameters: ["buffer"], result: "i32" },
  // int rename(const char *oldpath, const char *newpath);
  rename: { parameters: ["buffer", "buffer"], result: "i32" },
  // int mkdir(const char *path, mode_t mode);
  mkdir: { parameters: ["buffer", "u32"], result: "i32" },
  // int rmdir(const char *path);
  rmdir: { parameters: ["buffer"], result: "i32" },
  // ssize_t getdents64(int fd, void *dirp, size_t count); Linux, glibc 2.30
  getdents64: { parameters: ["i32", "buffer", "usize"], result: "isize", optional: true },
  // int chmod(const char *path, mode_t mode);
  chmod: { parameters: ["buffer", "u32"], result: "i32" },
  // int fchmod(int fd, mode_t mode);
  fchmod: { parameters: ["i32", "u32"], result: "i32" },
  // int flock(int fd, int operation);
  flock: { parameters: ["i32", "i32"], result: "i32" },
  // int fcntl(int fd, int cmd, ... /* struct flock *lock, int, or fstore_t * */);
  fcntl: { parameters: ["i32", "i32", "buffer"], result: "i32" },
  // ssize_t write(int fd, const void *buf, size_t count);
  write: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  // int poll(struct pollfd *fds, nfds_t nfds, int timeout);
  poll: { parameters: ["buffer", "usize", "i32"], result: "i32" },
  // int sigaction(int sig, const struct sigaction *act, struct sigaction *oldact);
  sigaction: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  // void (*signal(int sig, void (*func)(int)))(int);
  signal: { parameters: ["i32", "pointer"], result: "pointer" },
  // int socket(int domain, int type, int protocol);
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  // ssize_t sendto(int fd, const void *buf, size_t len, int flags, const struct sockaddr *addr, socklen_t addrlen);
  sendto: { parameters: ["i32", "buffer", "usize", "i32", "buffer", "u32"], result: "isize" },
  // int getsockname(int fd, struct sockaddr *addr, socklen_t *addrlen);
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  // int getpeername(int fd, struct sockaddr *addr, socklen_t *addrlen);
  getpeername: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  // int shutdown(int fd, int how);
  shutdown: { parameters: ["i32", "i32"], result: "i32" },
  // int getsockopt(int fd, int level, int name, void *value, socklen_t *length);
  getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
  // int setsockopt(int fd, int level, int name, const void *value, socklen_t length);
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  // int clock_gettime(clockid_t clock, struct timespec *time);
  clock_gettime: { parameters: ["i32", "buffer"], result: "i32" },
  // int mallopt(int param, int value); glibc
  mallopt: { parameters: ["i32", "i32"], result: "i32", optional: true },
  // int *__errno_location(void); glibc
  __errno_location: { parameters: [], result: "pointer", optional: true },
  // int *__error(void); Apple
  __error: { parameters: [], result: "pointer", optional: true },

  // int stat(const char *path, struct stat *buf); a symbol of its own since glibc 2.33
  stat: { parameters: ["buffer", "buffer"], result: "i32", optional: true },
  // int fstat(int fd, struct stat *buf);
  fstat: { parameters: ["i32", "buffer"], result: "i32", optional: true },
  // int statvfs(const char *path, struct statvfs *buf);
  statvfs: { parameters: ["buffer", "buffer"], result: "i32" },
  // int fstatfs(int fd, struct statfs *buf);
  fstatfs: { parameters: ["i32", "buffer"], result: "i32" },
  // int ioctl(int fd, unsigned long op, ... /* int *flags */); called on Linux alone
  ioctl: { parameters: ["i32", "usize", "buffer"], result: "i32" },
  // Intel Macs keep the 64-bit inode versions under these names.
  statInode64: {
    name: "stat$INODE64",
    parameters: ["buffer", "buffer"],
    result: "i32",
    optional: true,
  },
  fstatInode64: {
    name: "fstat$INODE64",
    parameters: ["i32", "buffer"],
    result: "i32",
    optional: true,
  },
  // int syncfs(int fd); Linux
  syncfs: { parameters: ["i32"], result: "i32", optional: true },
  // void sync(void); the stand-in for syncfs elsewhere
  sync: { parameters: [], result: "void", optional: true },
  // int posix_fallocate(int fd, off_t offset, off_t len); returns the error number itself
  posix_fallocate: { parameters: ["i32", "i64", "i64"], result: "i32", optional: true },
  // int fallocate(int fd, int mode, off_t offset, off_t len); Linux
  fallocate: { parameters: ["i32", "i32", "i64", "i64"], result: "i32", optional: true },

  // The same two variadic functions for Apple arm64: six fillers take the argument registers, so that
  // the last argument lies on the stack, where a variadic callee looks for it.
  openOnStack: {
    name: "open",
    parameters: ["buffer", "i32", "i64", "i64", "i64", "i64", "i64", "i64", "i64"],
    result: "i32",
  },
  fcntlOnStack: {
    name: "fcntl",
    parameters: ["i32", "i32", "i64", "i64", "i64", "i64", "i64", "i64", "buffer"],
    result: "i32",
  },
} as const satisfies Deno.ForeignLibraryInterface;

export interface Libc {
  readonly abi: Abi;
  readonly call: Deno.DynamicLibrary<typeof symbols>["symbols"];
  /** The calling thread's errno. Meaningful only right after a synchronous call that failed. */
  readonly errno: () => number;
}

let opened: Libc | null = null;

/** libc of this platform, opened on the first call. Throws with a message for an unknown platform. */
export function libc(): Libc {
  if (opened !== null) return opened;
  const abi = abiOf(Deno.build.os, Deno.build.arch);
  let call: Libc["call"];
  try {
    call = Deno.dlopen(abi.library, symbols).symbols;
  } catch (cause) {
    throw new Error(
      `Cannot open ${abi.library}: countd needs the system's C library (glibc on Linux) and ` +
        `permission for FFI`,
      { cause },
    );
  }
  const location = call[abi.errnoSymbol];
  if (!location) throw new Error(`Cannot find ${abi.errnoSymbol} in ${abi.library}`);
  // The address belongs to this thread and never moves, so it is asked for once.
  const address = location();
  if (address === null) throw new Error(`${abi.errnoSymbol} gave no address`);
  const cell = new Int32Array(Deno.UnsafePointerView.getArrayBuffer(address, 4));
  opened = { abi, call, errno: () => cell[0] ?? 0 };
  return opened;
}
