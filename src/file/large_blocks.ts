/** Returns the memory of finished folds to the system. */

import { returnBlocksFrom } from "../../ffi/mod.ts";

const LARGE_BYTES = 2 ** 20;

/**
 * Makes blocks of a mebibyte and more go back to the system when they are freed, for the rest of the
 * process. A worker frees some hundred mebibytes after a large fold; without this the C library kept a
 * quarter of a gibibyte of them, in pieces. It costs no time.
 */
export function returnLargeBlocks(): void {
  returnBlocksFrom(LARGE_BYTES);
}
