/** Which errors mean that there is no room now, and that waiting may help. */

import { OsError } from "../file/mod.ts";

const codes: readonly string[] = ["ENOSPC", "EDQUOT", "EFBIG"];

/** True for ENOSPC, EDQUOT and EFBIG. A failed sync is never of this kind: it is EIO. */
export function isDiskFull(error: unknown): boolean {
  return error instanceof OsError && codes.includes(error.code) && !isSync(error.syscall);
}

function isSync(syscall: string): boolean {
  return ["fsync", "fdatasync", "syncfs", "msync", "sync"].includes(syscall);
}
