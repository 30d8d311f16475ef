/**
 * Surveys the pool of commit logs without changing it: logs by state, and what waits to be folded. A survey
 * may be repeated: slots are opened once, and of an active log only the new frames are read.
 */
import type { Clock } from "../base/clock.ts";
import {
  batchRecords,
  type Capture,
  type DataDirectory,
  HEAD_PAGE_BYTES,
  listSlots,
  LogReader,
  type LogState,
} from "../counters/commitlog/mod.ts";
import { concernsOneFile } from "../file/mod.ts";

/** Commit logs by state; `unreadable` ones have no valid header, another format, or could not be opened now. */
export type LogCounts = Readonly<Record<LogState | "unfinished" | "unreadable", number>>;

/** What is in the logs and not yet folded. */
export interface Backlog {
  readonly records: number;
  readonly bytes: number;
  /**
   * Upper bound of the age of the oldest record that waits: a log says when it was claimed, not when its
   * first record came. 0 if none waits. For display.
   */
  readonly seconds: number;
}

/** Shortly after a log was locked or released its mode may forbid reading: so many tries are made. */
const OPEN_ATTEMPTS = 20;
const OPEN_RETRY_MS = 5;

/** How far an active log was read. */
interface Progress {
  readonly generation: bigint;
  readonly offset: number;
  readonly records: number;
}

export class PoolSurvey implements Disposable {
  readonly #readers = new Map<number, LogReader>();
  readonly #progress = new Map<number, Progress>();
  /** When a slot was last seen with nothing to fold, on the monotonic clock. */
  readonly #emptyMs = new Map<number, number>();

  constructor(readonly directory: DataDirectory, readonly clock: Clock) {}

  /** `troubles` has a sentence for each log of another format, or that cannot be opened. */
  async take(): Promise<
    { readonly logs: LogCounts; readonly backlog: Backlog; readonly troubles: string[] }
  > {
    const { slots, unfinished } = listSlots(this.directory.storage, this.directory.paths.logs);
    const logs = { free: 0, active: 0, sealed: 0, unfinished: unfinished.length, unreadable: 0 };
    const troubles: string[] = [];
    let records = 0;
    let bytes = 0;
    const nowMs = this.clock.nowMs();
    const wallMs = this.clock.wallMs();
    let ageMs = 0;
    for (const slot of slots) {
      const note = ({ message }: Error) => troubles.push(message);
      const reader = await this.#open(slot, note);
      const capture = reader?.captureKnown(note) ?? null;
      if (reader === null || capture === null) {
        logs.unreadable++;
        continue;
      }
      logs[capture.state]++;
      const waiting = capture.state === "active"
        ? this.#readActive(reader, capture)
        : waitingOf(reader);
      if (waiting.bytes === 0) {
        this.#emptyMs.set(slot, nowMs);
        continue;
      }
      records += waiting.records;
      bytes += waiting.bytes;
      const sinceEmptyMs = nowMs - (this.#emptyMs.get(slot) ?? -Infinity);
      ageMs = Math.max(ageMs, Math.min(wallMs - capture.claimedWallMs, sinceEmptyMs));
    }
    const backlog = { records, bytes, seconds: Math.round(ageMs / 1000) };
    return { logs, backlog, troubles };
  }

  async #open(slot: number, onClosed: (error: Error) => void): Promise<LogReader | null> {
    const known = this.#readers.get(slot);
    if (known !== undefined) return known;
    for (let attempt = 0; attempt < OPEN_ATTEMPTS; attempt++) {
      try {
        const reader = LogReader.open(this.directory, slot);
        if (reader !== null) {
          this.#readers.set(slot, reader);
          return reader;
        }
      } catch (error) {
        if (!concernsOneFile(error, "log")) throw error;
        onClosed(error);
        return null;
      }
      await this.clock.sleep(OPEN_RETRY_MS);
    }
    return null;
  }

  #readActive(reader: LogReader, capture: Capture): { records: number; bytes: number } {
    const before = this.#progress.get(reader.slot);
    const isSameUse = before?.generation === capture.generation;
    let records = isSameUse ? before.records : 0;
    const from = isSameUse ? before.offset : HEAD_PAGE_BYTES;
    const offset = reader.readFrames(capture, from, (log, start) => {
      records += batchRecords(log, start);
    });
    this.#progress.set(reader.slot, { generation: capture.generation, offset, records });
    return { records, bytes: offset - HEAD_PAGE_BYTES };
  }

  [Symbol.dispose](): void {
    for (const reader of this.#readers.values()) reader.close();
    this.#readers.clear();
  }
}

/** What waits in a log that is not active, by its header. */
function waitingOf(reader: LogReader): { records: number; bytes: number } {
  const header = reader.header();
  if (header?.state !== "sealed") return { records: 0, bytes: 0 };
  return { records: header.records, bytes: header.length - HEAD_PAGE_BYTES };
}
