/** Memory of folds, which come and go. */

import { returnBlocksFrom } from "../../ffi/mod.ts";

const LARGE_BYTES = 2 ** 20;

/**
 * Lets blocks of a mebibyte and more go back to the system when they are freed, for the rest of the
 * process. A worker frees some hundred mebibytes after a large fold; of these the C library kept a quarter
 * of a gibibyte, in pieces. Takes no longer than without.
 */
export function returnLargeBlocks(): void {
  returnBlocksFrom(LARGE_BYTES);
}
