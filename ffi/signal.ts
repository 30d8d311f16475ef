/** Signals that the process ignores. */

import { checkRetrying } from "./errno.ts";
import { libc } from "./libc.ts";

/** The same number on Linux and Apple. */
const SIGHUP = 1;
const SIG_IGN = 1n;

/** More bytes than `struct sigaction` has on any platform; the handler is its first field. */
const SIGACTION_BYTES = 256;

/**
 * Ignores SIGXFSZ, so that growing a file past its resource limit (RLIMIT_FSIZE) fails with EFBIG instead
 * of ending the process.
 */
export function ignoreFileSizeSignal(): void {
  const { abi, call } = libc();
  call.signal(abi.SIGXFSZ, Deno.UnsafePointer.create(SIG_IGN));
}

/** True if SIGHUP is ignored now, as `nohup` and a service manager leave it to what they start. */
export function isHangupIgnored(): boolean {
  const action = new Uint8Array(SIGACTION_BYTES);
  checkRetrying(() => libc().call.sigaction(SIGHUP, null, action), "sigaction", "");
  return new DataView(action.buffer).getBigUint64(0, true) === SIG_IGN;
}

/** Ignores SIGHUP; processes that are started later inherit this. */
export function ignoreHangup(): void {
  libc().call.signal(SIGHUP, Deno.UnsafePointer.create(SIG_IGN));
}
