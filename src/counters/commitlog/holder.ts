/** The holder of a lock, as it described itself. Used in messages only. */

import { OsError, type Storage } from "../../file/mod.ts";

export interface Holder {
  readonly pid: number;
  /** Start time of that process in clock ticks since boot, to recognise a reused pid; 0 if unknown. */
  readonly startTicks: bigint;
  /** Empty if unknown. */
  readonly bootId: string;
}

/** Describes this process. */
export function describeSelf(storage: Storage): Holder {
  const status = readSmallFile(storage, "/proc/self/stat");
  // The second field is the name in parentheses and may hold anything; the start time is the 22nd.
  const fields = status.slice(status.lastIndexOf(")") + 2).split(" ");
  const ticks = fields[19] ?? "";
  return {
    pid: Deno.pid,
    startTicks: /^[0-9]+$/.test(ticks) ? BigInt(ticks) : 0n,
    bootId: readSmallFile(storage, "/proc/sys/kernel/random/boot_id").trim(),
  };
}

function readSmallFile(storage: Storage, path: string): string {
  try {
    using file = storage.open(path, { access: "read" });
    const bytes = new Uint8Array(4096);
    return new TextDecoder().decode(bytes.subarray(0, file.read(bytes, 0)));
  } catch (error) {
    // Not every platform has /proc.
    if (error instanceof OsError) return "";
    throw error;
  }
}
