/**
 * Reading a file that another process may be appending to or finishing, without a mapping. A finished
 * file is truncated, and touching a mapped byte behind its new end would end the process.
 */

import { Buffer } from "node:buffer";
import type { StoredFile } from "../../file/mod.ts";
import { isZero } from "./bytes.ts";
import type { Magic } from "./magic.ts";
import { recoverWithMagic, RecoveryKind, type RecoveryResult } from "./recovery.ts";

const CHUNK_BYTES = 65536;
/** Reads before a reader that its writer always overtakes gives up, and returns what it read last. */
const ATTEMPTS_MAX = 20;

export interface LiveRead {
  /** Bytes up to the last that is not 0, and zeros. Those below the recovered size are final. */
  readonly bytes: Uint8Array;
  readonly result: RecoveryResult;
}

/**
 * Read and recover. What looks damaged is read again until it looks the same twice, because the writer
 * may have changed it between two reads.
 */
export function readLive(file: StoredFile, magic: Magic): LiveRead {
  let last: LiveRead | null = null;
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const fileSize = file.status().size;
    const bytes = readUpToZeros(file, fileSize);
    const result = { ...recoverWithMagic(bytes.length, bytes, magic), fileSize };
    const { outcome, tail, checkpoint } = result;
    if (outcome === RecoveryKind.Tail || outcome === RecoveryKind.Empty) {
      // Bytes below a size that was found are final, but this read may have begun before that: read again.
      file.read(bytes.subarray(0, tail), 0);
      return { bytes, result };
    }
    const isSame = last !== null && Buffer.compare(bytes, last.bytes) === 0;
    const isFinished = outcome === RecoveryKind.Checkpoint && isZero(bytes, tail, bytes.length);
    last = { bytes, result };
    if (isFinished) file.read(bytes.subarray(0, checkpoint), 0);
    if (isFinished || isSame) break;
  }
  return last as LiveRead;
}

/** Read the file without the chunks of zeros at its end, but with one of them if there are any. */
function readUpToZeros(file: StoredFile, fileSize: number): Uint8Array {
  const chunk = new Uint8Array(CHUNK_BYTES);
  let end = fileSize;
  while (end > CHUNK_BYTES) {
    const start = Math.floor((end - 1) / CHUNK_BYTES) * CHUNK_BYTES;
    const length = file.read(chunk.subarray(0, end - start), start);
    if (!isZero(chunk, 0, length)) break;
    end = start;
  }
  const bytes = new Uint8Array(Math.min(end + CHUNK_BYTES, fileSize));
  return bytes.subarray(0, file.read(bytes, 0));
}
