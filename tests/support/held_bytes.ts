/** The bytes of a log that is held, for tests that look at them or damage them. */

import type { HeldLog } from "../../src/counters/commitlog/mod.ts";

/** A copy of the whole file. */
export function heldBytes({ file }: HeldLog): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(file.status().size);
  file.read(bytes, 0);
  return bytes;
}

/** Stores one byte in the file. */
export function pokeByte({ file }: HeldLog, offset: number, byte: number): void {
  file.write(Uint8Array.of(byte), offset);
}
