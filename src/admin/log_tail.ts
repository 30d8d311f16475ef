/**
 * Gives the content of one log file, once or as it grows: the bytes of an append-only file, the records of a
 * commit log. Changes nothing.
 */

import { Aof, ErrCorrupted, inspect, RecoveryKind } from "../aof/mod.ts";
import type { Clock } from "../base/clock.ts";
import { CorruptError, NotFoundError, RefusedError } from "../base/errors.ts";
import { aborted } from "../base/waiting.ts";
import {
  BatchCursor,
  DataDirectory,
  HEAD_PAGE_BYTES,
  headerOfFile,
  type Holder,
  type LogHeader,
  type LogReader,
  visitFrames,
} from "../counters/commitlog/mod.ts";
import { LogWindow, WindowMemory } from "../file/checked_log/mod.ts";
import type { Storage, StoredFile } from "../file/mod.ts";
import { RecordCursor } from "../counters/wire/mod.ts";
import { openLog, openReader, slotOf } from "./log_bytes.ts";

/** Takes the content. The bytes are valid during the call only. */
export interface TailSink {
  /** Bytes of an append-only file, unchanged. */
  data(bytes: Uint8Array): void;
  /** A record of a commit log. */
  record(keyspace: Uint8Array, key: Uint8Array, increment: bigint): void;
  /** Called when all content of this moment was given. */
  caughtUp(): void;
}

interface FollowOptions {
  readonly self: Holder;
  readonly sink: TailSink;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Pause between two checks for what another process has appended. */
const POLL_MS = 20;
/** How often the name of a log is compared with what is open. */
const NAMES_MS = 1000;

/** Gives the content of a log. Throws `NotFoundError`, `BusyError`, `CorruptError`, `OsError`. */
export function readLog(storage: Storage, path: string, { self, sink }: {
  readonly self: Holder;
  readonly sink: TailSink;
}): void {
  using log = openLog(storage, path, self);
  const header = headerOfFile(log.file, path);
  if (header === null) readAof(storage, path, { file: log.file, sink });
  else readCommitLog(log.file, header, sink);
  sink.caughtUp();
}

function readAof(storage: Storage, path: string, { file, sink }: {
  readonly file: StoredFile;
  readonly sink: TailSink;
}): void {
  const { bytes, result } = inspect(storage, path, { file });
  const { outcome, tail, checkpoint } = result;
  if (outcome === RecoveryKind.Corrupted || outcome === RecoveryKind.Panic) {
    throw new ErrCorrupted(
      `Nothing says where the data in ${path} ends; see countd log inspect`,
      { path, offset: tail },
    );
  }
  const size = outcome === RecoveryKind.Checkpoint ? checkpoint : tail;
  if (size > 0) sink.data(bytes.subarray(0, size));
}

function readCommitLog(file: StoredFile, header: LogHeader, sink: TailSink): void {
  const { slot, generation, state, length, durable } = header;
  if (state === "free") return;
  const { size } = file.status();
  const log = new LogWindow(new WindowMemory(size), { file, path: file.path, size });
  const frame = new BatchCursor(log, { slot, generation });
  const range = { from: HEAD_PAGE_BYTES, to: state === "sealed" ? Math.min(length, size) : size };
  const offset = visitFrames(frame, range, (bytes, start, end) => {
    giveRecords(bytes, { start, end, sink });
  });
  if (state === "sealed" && offset < durable) {
    throw new CorruptError(
      `${file.path} is damaged at byte ${offset}, below its durable length ${durable}`,
      { path: file.path, offset },
    );
  }
}

function giveRecords(bytes: Uint8Array, { start, end, sink }: {
  readonly start: number;
  readonly end: number;
  readonly sink: TailSink;
}): void {
  const keyspaces: Uint8Array[] = [];
  const cursor = new RecordCursor(bytes, start, end);
  while (cursor.next()) {
    const { keyspace, nameStart, nameLength } = cursor;
    const name = bytes.subarray(nameStart, nameStart + nameLength);
    if (keyspace === keyspaces.length) {
      keyspaces.push(name);
      continue;
    }
    sink.record(keyspaces[keyspace] as Uint8Array, name, cursor.increment());
  }
}

/**
 * Gives the content and what is appended, until the file is finished (a commit log: sealed) or `signal`
 * fires. Throws as `readLog`, and `RefusedError` if no process publishes how far the file is written.
 */
export async function followLog(
  storage: Storage,
  path: string,
  options: FollowOptions,
): Promise<void> {
  const isCommitLog = hasHeader(storage, path, options.self);
  await (isCommitLog ? followCommitLog : followAof)(storage, path, options);
}

function hasHeader(storage: Storage, path: string, self: Holder): boolean {
  using log = openLog(storage, path, self);
  return headerOfFile(log.file, path) !== null;
}

async function followAof(
  storage: Storage,
  path: string,
  { sink, clock, signal }: FollowOptions,
): Promise<void> {
  await using aof = openFollowed(storage, path, clock);
  const ended = Promise.withResolvers<void>();
  aof.subscribeInterval({
    pollRead({ tail, eof, end, begin }) {
      try {
        if (end > begin) sink.data(tail);
        sink.caughtUp();
        if (eof) ended.resolve();
      } catch (error) {
        ended.reject(error);
      }
      return end;
    },
    pollReadClosed({ reason }) {
      if (reason instanceof Error) ended.reject(reason);
    },
  }, { intervalMs: POLL_MS });
  await Promise.race([ended.promise, aborted(signal)]);
}

function openFollowed(storage: Storage, path: string, clock: Clock): Aof {
  try {
    return Aof.follow(storage, path, { clock });
  } catch (error) {
    if (!(error instanceof NotFoundError)) throw error;
    throw new RefusedError(
      `${path} is not shared: no ${path}.size says how far it is written, and its data may contain ` +
        "bytes like a mark; read it without --follow",
      { cause: error },
    );
  }
}

async function followCommitLog(
  storage: Storage,
  path: string,
  { self, sink, clock, signal }: FollowOptions,
): Promise<void> {
  const place = slotOf(path);
  if (place === null) {
    throw new RefusedError(
      `${path} is a commit log outside of a data directory: no process writes to it; read it without ` +
        "--follow",
    );
  }
  using directory = DataDirectory.open(storage, place.data, { self, access: "read" });
  using reader = openReader(directory, place.slot, path);
  let generation: bigint | null = null;
  let offset = HEAD_PAGE_BYTES;
  let namesMs = clock.nowMs();
  while (!signal.aborted) {
    if (clock.nowMs() - namesMs >= NAMES_MS) {
      namesMs = clock.nowMs();
      directory.refuseLost();
      if (!reader.isNamed) throw lostLog(path);
    }
    const capture = reader.capture();
    if (capture === null) {
      throw new CorruptError(`${path} has no valid header`, { path, offset: 0 });
    }
    generation ??= capture.generation;
    // In another use: the use that was followed was sealed and folded, and its end is gone.
    if (capture.generation !== generation) return;
    if (capture.state !== "free") offset = readFrames(reader, capture, { offset, sink });
    sink.caughtUp();
    if (capture.state !== "active") return;
    await clock.sleep(POLL_MS, signal);
  }
}

function lostLog(path: string): CorruptError {
  const message = `${path} was removed, moved or replaced while it was followed`;
  return new CorruptError(message, { path, offset: 0 });
}

/** Copies the frames before they are given: bytes of another use of the log are never given. */
function readFrames(
  reader: LogReader,
  capture: NonNullable<ReturnType<LogReader["capture"]>>,
  { offset, sink }: { readonly offset: number; readonly sink: TailSink },
): number {
  const batches: Uint8Array[] = [];
  const end = reader.readFrames(capture, offset, (log, start, limit) => {
    batches.push(log.slice(start, limit));
  });
  if (!reader.isStill(capture)) return offset;
  for (const batch of batches) giveRecords(batch, { start: 0, end: batch.length, sink });
  return end;
}
