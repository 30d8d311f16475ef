/**
 * Checking an append-only file and its side file against the invariants of README.md. Changes nothing,
 * and may run while a writer appends.
 */

import type { Storage } from "../../file/mod.ts";
import { isZero } from "./bytes.ts";
import { inspect, type Inspection, type SideFileContent } from "./inspect.ts";
import { SIDE_FILE_FORMAT, SIDE_FILE_SIZE, sideFileLayout } from "./layout.ts";
import type { Magic } from "./magic.ts";
import { RecoveryKind } from "./recovery.ts";

/** A broken invariant, and where it is broken. */
export interface Violation {
  /** Number of the invariant in README.md of this library, from 1 to 5. */
  readonly invariant: number;
  /** Path of the broken file, which may be the side file. */
  readonly path: string;
  /** Offset of the damage, in bytes from the start of that file. */
  readonly offset: number;
  /** What is wrong, in a sentence. */
  readonly message: string;
}

/**
 * List the broken invariants of the file at `path` and of its side file; none if all hold. It changes
 * nothing, takes no lock, and may run while a writer appends. `magic` are the marks to look for; default:
 * kirana's. Throws `OsError` if the file cannot be read.
 */
export function check(
  storage: Storage,
  path: string,
  { magic }: { readonly magic?: Magic } = {},
): Violation[] {
  const inspection = inspect(storage, path, { magic });
  const violations = checkFile(path, inspection);
  const { side, result } = inspection;
  if (side === null) return violations;
  const { checkpoint, tail, outcome } = result;
  const size = outcome === RecoveryKind.Checkpoint ? checkpoint : tail;
  if (violations.length === 0 && side.describesFile && side.publishedSize > size) {
    violations.push({
      invariant: 4,
      path: side.path,
      offset: sideFileLayout.publishedSize.offset,
      message: `${side.publishedSize} bytes are published, but the data ends at ${size}`,
    });
  }
  return [...violations, ...checkSide(side)];
}

function checkFile(path: string, { status, bytes, result }: Inspection): Violation[] {
  const { outcome, tail } = result;
  const violate = (invariant: number, message: string): Violation => ({
    invariant,
    path,
    offset: tail,
    message,
  });
  if (outcome === RecoveryKind.Corrupted || outcome === RecoveryKind.Panic) {
    return [violate(1, "nothing says where the data ends")];
  }
  if (outcome !== RecoveryKind.Checkpoint) return [];
  if (!isZero(bytes, tail, bytes.length)) {
    return [violate(1, "there are bytes behind the last checkpoint mark that no mark ends")];
  }
  const behind = status.size - tail;
  if (behind === 0 || (status.mode & 0o222) !== 0) return [];
  return [violate(3, `a finished file has ${behind} bytes behind its mark`)];
}

function checkSide(side: SideFileContent): Violation[] {
  const violations: Violation[] = [];
  const { format, state, device } = sideFileLayout;
  const violate = (offset: number, message: string) =>
    violations.push({ invariant: 5, path: side.path, offset, message });
  if (side.length < SIDE_FILE_SIZE) violate(side.length, `the side file has ${side.length} bytes`);
  if (side.format !== SIDE_FILE_FORMAT) violate(format.offset, `format ${side.format} is unknown`);
  if (side.state > 1) violate(state.offset, `state ${side.state} is unknown`);
  if (!side.restIsZero) violate(device.offset + device.size, "unused bytes are not 0");
  return violations;
}
