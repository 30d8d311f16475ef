/**
 * A log as a reader sees it: no lock, no mapping, nothing changed. A slot is opened once, and its file stays
 * open as long as its name leads to it.
 *
 * Refresh, step 1, consists of `capture`, `readFrames` and `isStill`: take generation and tail, read and
 * verify the new frames, then make sure that the generation is still the same. The header is read again
 * only after the live word has moved.
 */

import { CorruptError } from "../../base/errors.ts";
import { type FormatError, isFormatError } from "../../base/format.ts";
import {
  FRAME_ALIGNMENT_BYTES,
  type LogFile,
  LogWindow,
  readFrom,
  validFrames,
} from "../../file/checked_log/mod.ts";
import { isSameFile, leadsTo, type StoredFile } from "../../file/mod.ts";
import { slotLock } from "./control.ts";
import { damagedHeaderOffset } from "./damaged_header.ts";
import type { DataDirectory } from "./directory.ts";
import { BatchCursor } from "./frame.ts";
import { changeOf, headerOf, type LogHeader, type LogState } from "./header.ts";
import { HEAD_PAGE_BYTES } from "./layout.ts";
import { CHANGE_UNKNOWN, type LiveWords } from "./live_words.ts";
import { openSlot } from "./open_slot.ts";
import { type BatchVisitor, visitFrames } from "./scan_log.ts";
import { lockPathOfSlot, pathOfSlot } from "./slot_files.ts";

/** What a log held at one moment: its frames are below `limit`. */
export interface Capture {
  readonly generation: bigint;
  readonly state: LogState;
  /** End of the published frames. They need not be durable, nor valid after a crash. */
  readonly limit: number;
  /** The durable length; damage below it is corruption. */
  readonly durable: number;
  readonly claimedWallMs: number;
  /** Which claim of the pool it was. */
  readonly order: bigint;
  /** The count of header stores before the header was read; see `hasChanged`. */
  readonly change: number;
}

/** Frames behind the tail are rare: their search begins with a small read. */
const SEARCH_BYTES = 4096;

export class LogReader implements Disposable {
  readonly slot: number;
  readonly #source: LogFile;
  readonly #directory: DataDirectory;
  readonly #live: LiveWords;
  #window: LogWindow | null = null;
  #frame: BatchCursor | null = null;
  /** The header of the last capture, and what the live word said when it was read. */
  #header: LogHeader | null = null;
  #headerChange = CHANGE_UNKNOWN;
  /** What the live word says if it belongs to that header. */
  #wordChange = 0;
  /** The last capture, and the tail that the live word had then. */
  #last: Capture | null = null;
  #lastTail = 0;
  /** Offset of the damaged newest header copy. */
  #lostOffset: number | null = null;
  /** How far the frames of this generation were found, by any capture. */
  #seen = { generation: 0n, end: HEAD_PAGE_BYTES };
  /** The result of the search behind the last damage, so that no byte is searched twice. */
  #behind = { generation: 0n, offset: 0, durable: 0, next: 0 };

  private constructor(directory: DataDirectory, slot: number, source: LogFile) {
    this.slot = slot;
    this.#source = source;
    this.#directory = directory;
    this.#live = directory.control.live;
  }

  /** Opens a slot for reading. Null if that is not possible now: see `openSlot`. */
  static open(directory: DataDirectory, slot: number): LogReader | null {
    const opened = openSlot(directory, slot);
    return opened === null ? null : new LogReader(directory, slot, opened);
  }

  get path(): string {
    return this.#source.path;
  }

  get file(): StoredFile {
    return this.#source.file;
  }

  /** False if the file has lost its name: another file has it, or nothing leads to it any more. */
  get isNamed(): boolean {
    const { storage, paths } = this.#directory;
    const identity = this.file.status();
    const plain = storage.statusOrNull(pathOfSlot(paths.logs, this.slot));
    if (plain !== null) return isSameFile(plain, identity);
    return leadsTo(storage, lockPathOfSlot(paths.logs, this.slot), identity);
  }

  /** The bytes of the log, read anew. */
  get log(): LogWindow {
    return this.#opened().begin();
  }

  #opened(): LogWindow {
    return this.#window ??= new LogWindow(this.#directory.window, this.#source);
  }

  /** The newest header as it is now, or null if no copy is valid. */
  header(): LogHeader | null {
    return headerOf(this.#headPage(), this.path);
  }

  #headPage(): Uint8Array {
    const page = new Uint8Array(HEAD_PAGE_BYTES);
    return page.subarray(0, readFrom(this.#source, page, 0));
  }

  /** Offset of the damaged newest header copy at the last capture, or null: see `damagedHeaderOffset`. */
  get lostHeaderOffset(): number | null {
    return this.#lostOffset;
  }

  /** False if neither header nor tail has moved since a capture. No system call. */
  hasChanged(capture: Capture): boolean {
    const live = this.#live;
    const isLast = capture === this.#last;
    if (isLast && live.isStill(this.slot, capture.change, this.#lastTail)) return false;
    live.load(this.slot);
    if (live.change === CHANGE_UNKNOWN || live.change !== capture.change) return true;
    return capture.state === "active" && live.change === this.#wordChange &&
      live.tail > capture.limit;
  }

  /**
   * Captures what the log holds now; null if no header copy is valid. Throws `CorruptError` if it cannot be
   * read, and `OldFormatError` or `NewerFormatError` for a log of another format.
   */
  capture(): Capture | null {
    const live = this.#live;
    while (true) {
      live.load(this.slot);
      const { change, tail } = live;
      const isKnown = this.#header !== null && change !== CHANGE_UNKNOWN &&
        change === this.#headerChange;
      if (!isKnown) {
        this.#readHeader();
        live.load(this.slot);
        if (live.change !== change) continue;
      }
      const header = this.#header;
      if (header === null) return null;
      const limit = header.state === "sealed"
        ? header.length
        : header.state === "active"
        ? this.#limit(header, { tail: change === this.#wordChange ? tail : 0, isKnown })
        : HEAD_PAGE_BYTES;
      const { generation, state, durable, claimedWallMs, order } = header;
      this.#lastTail = tail;
      this.#headerChange = change;
      return this.#last = { generation, state, limit, durable, claimedWallMs, order, change };
    }
  }

  /** As `capture`, but null also for a log that cannot be read, or has another format, which is told. */
  captureKnown(onOtherFormat: (error: FormatError) => void = () => {}): Capture | null {
    try {
      return this.capture();
    } catch (error) {
      if (isFormatError(error)) onOtherFormat(error);
      else if (!(error instanceof CorruptError)) throw error;
      return null;
    }
  }

  /** A header is known only once a capture of it has succeeded: until then it is read again. */
  #readHeader(): void {
    this.#headerChange = CHANGE_UNKNOWN;
    const page = this.#headPage();
    const header = headerOf(page, this.path);
    this.#header = header?.slot === this.slot ? header : null;
    this.#lostOffset = null;
    if (this.#header === null) return;
    this.#wordChange = changeOf(this.#header);
    if (this.#header.state !== "free") return;
    this.#lostOffset = damagedHeaderOffset(
      page,
      this.path,
      () => this.#opened().begin(this.#source.size, SEARCH_BYTES),
    );
  }

  /**
   * End of the frames of an active log. After a power cut the live word may be older than durable frames, and
   * it says nothing of a header that it does not belong to. So the first capture of a header looks for
   * frames behind the tail; if the writer is dead, also behind a frame that is not valid, which may be damage.
   */
  #limit(
    { generation }: LogHeader,
    { tail, isKnown }: { readonly tail: number; readonly isKnown: boolean },
  ): number {
    const seen = this.#seen.generation === generation ? this.#seen.end : HEAD_PAGE_BYTES;
    let end = Math.max(seen, Math.min(tail, this.#source.size));
    if (!isKnown) {
      const { size } = this.#opened().begin(this.#source.size, SEARCH_BYTES);
      const frames = this.#framesOf(generation);
      end = visitFrames(frames, { from: end, to: size }, () => {});
      if (!this.#isHeld()) {
        for (const { end: next } of validFrames(frames, end, size)) end = next;
      }
    }
    this.#seen = { generation, end };
    return end;
  }

  #isHeld(): boolean {
    const { control } = this.#directory;
    const lock = slotLock(this.slot);
    return control.holds(lock) || control.isHeldElsewhere(lock);
  }

  /** True if the log still has the generation of the capture. */
  isStill(capture: Capture): boolean {
    this.#live.load(this.slot);
    const { change } = this.#live;
    if (change !== CHANGE_UNKNOWN && change === capture.change) return true;
    return this.capture()?.generation === capture.generation;
  }

  /**
   * Visits the record batches of the valid frames from `from`, a frame's start, up to `capture.limit`.
   * Returns where the frames end: below the limit if one does not verify. What was visited counts only if
   * `isStill(capture)` is true afterwards. Throws `CorruptError` if the log cannot be read.
   */
  readFrames(capture: Capture, from: number, visit: BatchVisitor): number {
    const { generation, limit } = capture;
    this.#opened().begin(limit);
    return visitFrames(this.#framesOf(generation), { from, to: limit }, visit);
  }

  /** As `readFrames`, with the batches as ranges of words. */
  readWords(
    capture: Capture,
    from: number,
    visit: (words: Int32Array, start: number, end: number, offset: number) => void,
  ): number {
    const { words } = this.#opened();
    return this.readFrames(capture, from, (_, start, end, offset) => {
      visit(words, start >>> 2, end >>> 2, offset);
    });
  }

  /**
   * True if the frame at `offset`, where `readFrames` ended, was durable: then it is damage and not a torn
   * tail. Recovery has the same rule.
   */
  isDamagedAt(capture: Capture, offset: number): boolean {
    const { generation, limit, durable } = capture;
    if (offset < durable) return true;
    let behind = this.#behind;
    if (behind.generation !== generation || behind.offset !== offset) {
      behind = { generation, offset, durable: 0, next: offset + FRAME_ALIGNMENT_BYTES };
    }
    if (behind.durable <= offset) {
      this.#opened().begin(limit);
      const found = validFrames(this.#framesOf(generation), behind.next, limit);
      let { durable } = behind;
      let step = found.next();
      for (; !step.done; step = found.next()) durable = Math.max(durable, step.value.durable);
      behind = { ...behind, durable, next: step.value };
    }
    this.#behind = behind;
    return behind.durable > offset;
  }

  #framesOf(generation: bigint): BatchCursor {
    if (this.#frame?.identity.generation !== generation) {
      this.#frame = new BatchCursor(this.#opened(), { slot: this.slot, generation });
    }
    return this.#frame;
  }

  close(): void {
    this.file.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
