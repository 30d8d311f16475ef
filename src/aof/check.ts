/**
 * Looks at an append-only file and its side file and says which invariant of README.md is broken and
 * where. Changes nothing, and may look while a writer is at work.
 */

import type { Storage } from "../file/mod.ts";
import { isZero } from "./bytes.ts";
import { sideFileFormat, sideFileLayout, sideFileSize } from "./layout.ts";
import { type Magic, magicDefault } from "./magic.ts";
import { recoverWithMagic, RecoveryKind } from "./recovery.ts";
import { sideFilePath } from "./side_file.ts";

export interface Violation {
  /** Number of the invariant in README.md. */
  readonly invariant: number;
  readonly path: string;
  /** Bytes from the start of the file. */
  readonly offset: number;
  readonly message: string;
}

/** Empty where all invariants hold. Throws `OsError` where the file cannot be read. */
export function check(
  storage: Storage,
  path: string,
  { magic = magicDefault }: { readonly magic?: Magic } = {},
): Violation[] {
  // The published size first: what it speaks of must already stand.
  const side = readSide(storage, path);
  const file = storage.open(path, { access: "read" });
  try {
    const status = file.status();
    const violations = [...side.violations];
    if (status.size === 0) return violations;
    const mapping = file.map(status.size, "read");
    try {
      const result = recoverWithMagic(status.size, mapping.bytes, magic);
      const isFinished = result.outcome === RecoveryKind.Checkpoint;
      if (result.outcome === RecoveryKind.Corrupted || result.outcome === RecoveryKind.Panic) {
        violations.push({
          invariant: 1,
          path,
          offset: result.tail,
          message: "nothing says where the data ends",
        });
      } else if (isFinished && !isZero(mapping.bytes, result.tail, status.size)) {
        violations.push({
          invariant: 1,
          path,
          offset: result.tail,
          message: "behind the last checkpoint mark stand bytes that no mark ends",
        });
      }
      if (isFinished && (status.mode & 0o222) === 0 && status.size > result.tail) {
        violations.push({
          invariant: 3,
          path,
          offset: result.tail,
          message: `a finished file has ${status.size - result.tail} bytes behind its mark`,
        });
      }
      const size = isFinished ? result.checkpoint : result.tail;
      const speaksOfThis = side.inode === status.inode && side.device === status.device;
      if (violations.length === 0 && speaksOfThis && side.publishedSize > size) {
        violations.push({
          invariant: 4,
          path: sideFilePath(path),
          offset: sideFileLayout.publishedSize.offset,
          message: `${side.publishedSize} bytes are published, but the data ends at ${size}`,
        });
      }
    } finally {
      mapping.release();
    }
    return violations;
  } finally {
    file.close();
  }
}

interface Side {
  readonly publishedSize: number;
  readonly inode: bigint;
  readonly device: bigint;
  readonly violations: readonly Violation[];
}

const noSide: Side = { publishedSize: 0, inode: -1n, device: -1n, violations: [] };

function readSide(storage: Storage, path: string): Side {
  const sidePath = sideFilePath(path);
  if (storage.statusOrNull(sidePath) === null) return noSide;
  const bytes = new Uint8Array(sideFileSize);
  const file = storage.open(sidePath, { access: "read" });
  let length: number;
  try {
    length = file.read(bytes, 0);
  } finally {
    file.close();
  }
  const view = new DataView(bytes.buffer);
  const { publishedSize, format, state, inode, device } = sideFileLayout;
  const violations: Violation[] = [];
  const violate = (offset: number, message: string) =>
    violations.push({ invariant: 5, path: sidePath, offset, message });
  if (length < sideFileSize) violate(length, `the side file has ${length} bytes`);
  const fieldsEnd = device.offset + device.size;
  if (!isZero(bytes, fieldsEnd, sideFileSize)) violate(fieldsEnd, "unused bytes are not 0");
  const formatFound = view.getUint32(format.offset, true);
  if (formatFound !== sideFileFormat) violate(format.offset, `format ${formatFound} is unknown`);
  if (view.getUint32(state.offset, true) > 1) violate(state.offset, "the state is unknown");
  return {
    publishedSize: Number(view.getBigInt64(publishedSize.offset, true)),
    inode: view.getBigUint64(inode.offset, true),
    device: view.getBigUint64(device.offset, true),
    violations,
  };
}
