/** What has to be said to the C library about signals. */

import { libc } from "./libc.ts";

/**
 * Ignores SIGXFSZ, so that growing a file past `RLIMIT_FSIZE` fails with EFBIG instead of ending the
 * process.
 */
export function ignoreFileSizeSignal(): void {
  const { abi, call } = libc();
  const ignore = Deno.UnsafePointer.create(1n); // SIG_IGN
  call.signal(abi.SIGXFSZ, ignore);
}
