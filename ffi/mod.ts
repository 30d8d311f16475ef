/**
 * libc as countd needs it, without any concept of countd. Only `src/file` and `src/net` import this room.
 */

export { type Abi, abiOf, abis } from "./abi.ts";
export { threadTimeMs } from "./clock.ts";
export { avoidCopyOnWrite } from "./copy_on_write.ts";
export { hasDirectoryBatches, readNames } from "./directory.ts";
export { OsError } from "./errno.ts";
export { ERRNO_ROWS, type ErrnoMeaning, meaningOfErrno, nameOfErrno } from "./errno_table.ts";
export {
  allocate,
  chmod,
  close,
  deallocate,
  fchmod,
  fdatasync,
  fdatasyncAsync,
  fstat,
  fsync,
  ftruncate,
  link,
  mkdir,
  open,
  pread,
  pwrite,
  rename,
  rmdir,
  stat,
  statOrErrno,
  type Status,
  statvfs,
  syncfs,
  unlink,
} from "./file.ts";
export { type DataRange, nextData } from "./holes.ts";
export { rangeLockConflicts, releaseFlock, setRangeLock, tryFlock } from "./lock.ts";
export { returnBlocksFrom } from "./malloc.ts";
export { MappedMemory, PAGE_SIZE_BYTES } from "./mmap.ts";
export { selfTest } from "./self_test.ts";
export { ignoreFileSizeSignal, ignoreHangup, isHangupIgnored } from "./signal.ts";
export { sendDatagram } from "./socket.ts";
export { writerWithoutWaiting } from "./stream.ts";
export {
  connectionsOf,
  type Endpoint,
  type KeepAlive,
  type OpenConnection,
  peerText,
  probeIdlePeers,
  shutdownConnection,
} from "./tcp.ts";
