/** What the C library does with memory that is given back. */

import { libc } from "./libc.ts";

/** glibc's number of the option (malloc.h). */
const M_MMAP_THRESHOLD = -3;

/**
 * Blocks of `bytes` and more go back to the system as soon as they are freed. By itself glibc raises that
 * bound, up to 32 MiB, with each larger block that is freed, and keeps those below it. False where the C
 * library has no such option.
 */
export function returnBlocksFrom(bytes: number): boolean {
  return libc().call.mallopt?.(M_MMAP_THRESHOLD, bytes) === 1;
}
