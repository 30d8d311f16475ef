/** Processor time, which does not pass while other programs have the processor. */

import { checkRetrying } from "./errno.ts";
import { libc } from "./libc.ts";

/** `struct timespec`: seconds i64, nanoseconds i64. */
const time = new BigInt64Array(2);

/** Milliseconds, with fractions, for which the calling thread has had a processor. */
export function threadTimeMs(): number {
  const { abi, call } = libc();
  checkRetrying(() => call.clock_gettime(abi.CLOCK_THREAD_CPUTIME_ID, time), "clock_gettime", "");
  return Number(time[0]) * 1000 + Number(time[1]) / 1e6;
}
