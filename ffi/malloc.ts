/** Tunes how the C library keeps freed memory. */

import { libc } from "./libc.ts";

/** glibc's number of the option (malloc.h). */
const M_MMAP_THRESHOLD = -3;

/**
 * Blocks of `bytes` and more go back to the system as soon as they are freed. By default glibc raises
 * that threshold, up to 32 MiB, each time a larger block is freed, and keeps all blocks below it. False if
 * the C library has no such option.
 */
export function returnBlocksFrom(bytes: number): boolean {
  return libc().call.mallopt?.(M_MMAP_THRESHOLD, bytes) === 1;
}
