/** Inspects one log file: an append-only file or a commit log. Changes nothing. */

import { inspect, RecoveryKind } from "../aof/mod.ts";
import {
  headerOfFile,
  type Holder,
  type LogHeader,
  type LogState,
  scanLog,
} from "../counters/commitlog/mod.ts";
import { LogWindow, WindowMemory } from "../file/checked_log/mod.ts";
import type { Storage, StoredFile } from "../file/mod.ts";
import { openLog, slotOf } from "./log_bytes.ts";

export type LogOutcome = "Empty" | "Tail" | "Checkpoint" | "Corrupted";

interface CommonInspection {
  readonly path: string;
  readonly outcome: LogOutcome;
  /** Where the data ends; for Corrupted, where valid data ends. */
  readonly tail: bigint;
  /** Offset of the last checkpoint mark; 0 if there is none. */
  readonly checkpoint: bigint;
  readonly fileSize: bigint;
  /** Bytes that the file takes on disk. */
  readonly allocatedBytes: bigint;
  /** Permission bits in octal. */
  readonly mode: string;
}

export interface AofInspection extends CommonInspection {
  readonly kind: "append-only file";
  /** Bytes of data. */
  readonly size: bigint;
  readonly state: "appendable" | "finished" | "read-only" | "damaged";
  /** Offsets of the mark behind the data and of the last checkpoint mark; null if there is none. */
  readonly tailMark: bigint | null;
  readonly checkpointMark: bigint | null;
  /** Bytes of a write that was cut off or is in progress. */
  readonly pendingBytes: bigint | null;
  readonly pageSize: bigint;
  /** From the side file; null if the file is not shared. */
  readonly upperSize: bigint | null;
  readonly publishedSize: bigint | null;
}

export interface CommitLogInspection extends CommonInspection {
  readonly kind: "commit log";
  /** Null if no header is valid. */
  readonly slot: bigint | null;
  readonly generation: bigint | null;
  readonly state: LogState | "damaged";
  /** What the header says: the end of the frames. */
  readonly sealedLength: bigint | null;
  readonly durable: bigint;
  readonly frames: bigint;
  readonly records: bigint;
  /** Which claim of the pool it was; null if no header is valid. */
  readonly order: bigint | null;
  /** When the first and the last frame were written, in milliseconds since 1970; null without frames. */
  readonly firstWallMs: bigint | null;
  readonly lastWallMs: bigint | null;
}

export type LogInspection = AofInspection | CommitLogInspection;

/** Throws `NotFoundError`, `BusyError` or `OsError` if the file cannot be read. */
export function inspectLog(storage: Storage, path: string, self: Holder): LogInspection {
  using log = openLog(storage, path, self);
  const header = headerOfFile(log.file, path);
  if (header !== null || slotOf(path) !== null) return inspectCommitLog(log.file, path, header);
  return inspectAof(storage, path, log.file);
}

function inspectAof(storage: Storage, path: string, file: StoredFile): AofInspection {
  const inspection = inspect(storage, path, { file });
  const { status, result, side } = inspection;
  const outcome = result.outcome === RecoveryKind.Panic ? RecoveryKind.Corrupted : result.outcome;
  const isDamaged = outcome === RecoveryKind.Corrupted;
  const isFinished = outcome === RecoveryKind.Checkpoint;
  const isReadOnly = (status.mode & 0o200) === 0;
  return {
    kind: "append-only file",
    path,
    outcome: RecoveryKind[outcome] as LogOutcome,
    tail: BigInt(result.tail),
    checkpoint: BigInt(result.checkpoint),
    fileSize: BigInt(status.size),
    size: BigInt(isFinished ? result.checkpoint : isDamaged ? 0 : result.tail),
    state: isDamaged
      ? "damaged"
      : isFinished
      ? "finished"
      : isReadOnly
      ? "read-only"
      : "appendable",
    tailMark: bigintOrNull(inspection.tailMark),
    checkpointMark: bigintOrNull(inspection.checkpointMark),
    pendingBytes: bigintOrNull(inspection.pendingBytes),
    pageSize: BigInt(storage.pageSize),
    upperSize: side?.describesFile ? BigInt(side.upperSize) : null,
    publishedSize: side?.describesFile ? BigInt(side.publishedSize) : null,
    allocatedBytes: BigInt(status.allocatedBytes),
    mode: octal(status.mode),
  };
}

function inspectCommitLog(
  file: StoredFile,
  path: string,
  header: LogHeader | null,
): CommitLogInspection {
  const status = file.status();
  const common = {
    kind: "commit log",
    path,
    checkpoint: 0n,
    fileSize: BigInt(status.size),
    allocatedBytes: BigInt(status.allocatedBytes),
    mode: octal(status.mode),
  } as const;
  if (header === null) {
    return {
      ...common,
      outcome: "Corrupted",
      tail: 0n,
      slot: null,
      generation: null,
      state: "damaged",
      sealedLength: null,
      durable: 0n,
      frames: 0n,
      records: 0n,
      order: null,
      firstWallMs: null,
      lastWallMs: null,
    };
  }
  const { slot, generation, state, length, durable, order } = header;
  const isSealed = state === "sealed";
  const { size } = status;
  const log = new LogWindow(new WindowMemory(size), { file, path, size });
  const limit = isSealed ? Math.min(length, size) : size;
  // The frames of a free log are those of its last use, which is folded.
  const scan = scanLog(log, { slot, generation }, {
    length: state === "free" ? 0 : limit,
    durable: isSealed ? durable : 0,
  });
  const isDamaged = scan.damage !== null || (isSealed && length > size);
  return {
    ...common,
    outcome: isDamaged ? "Corrupted" : scan.frames === 0 ? "Empty" : "Tail",
    tail: BigInt(scan.tail),
    slot: BigInt(slot),
    generation,
    state,
    sealedLength: isSealed ? BigInt(length) : null,
    durable: BigInt(scan.durable),
    frames: BigInt(scan.frames),
    records: BigInt(scan.records),
    order,
    firstWallMs: bigintOrNull(scan.firstWallMs),
    lastWallMs: bigintOrNull(scan.lastWallMs),
  };
}

function bigintOrNull(value: number | null): bigint | null {
  return value === null ? null : BigInt(value);
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, "0");
}
