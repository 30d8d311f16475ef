/**
 * A log as a reader sees it, without a lock and without changing it.
 *
 * Refresh, step 1, consists of `capture`, `readFrames` and `isStill`: take generation and tail, verify and
 * copy the new frames, then make sure that the generation is still the same.
 */

import type { DataDirectory } from "./directory.ts";
import { FrameCodec, LogBytes } from "./frame.ts";
import { FRAME_ALIGNMENT_BYTES, FRAME_HEAD_BYTES } from "./layout.ts";
import { type Capture, LogProbe, type OpenSlot, openSlot } from "./log_probe.ts";
import { searchFrames } from "./scan_log.ts";

export class LogReader extends LogProbe {
  readonly #log: LogBytes;
  #codec: FrameCodec | null = null;
  /** The result of the search behind the last damage, so that no byte is searched twice. */
  #behind = { generation: 0n, offset: 0, durable: 0, next: 0 };

  private constructor(opened: OpenSlot) {
    super(opened);
    this.#log = new LogBytes(opened.mapping.bytes);
  }

  /** Opens a slot for reading. Null if that is not possible now: see `openSlot`. */
  static open(directory: DataDirectory, slot: number): LogReader | null {
    const opened = openSlot(directory, slot, directory.sizes.logSize);
    return opened === null ? null : new LogReader(opened);
  }

  get bytes(): Uint8Array {
    return this.#log.bytes;
  }

  /**
   * Visits the record batches of the valid frames from `from`, a frame's start, up to `capture.limit`.
   * Returns where they end: below the limit if a frame does not verify. What was visited counts only if
   * `isStill(capture)` is true afterwards.
   */
  readFrames(
    capture: Capture,
    from: number,
    visit: (log: Uint8Array, start: number, end: number) => void,
  ): number {
    const codec = this.#codecOf(capture.generation);
    let offset = from;
    while (true) {
      const length = codec.verify(this.#log, offset, capture.limit);
      if (length === 0) return offset;
      visit(this.#log.bytes, offset + FRAME_HEAD_BYTES, offset + length);
      offset += length;
    }
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
      const codec = this.#codecOf(generation);
      const found = searchFrames(this.#log, codec, { from: behind.next, to: limit });
      behind = { ...behind, durable: found.durable, next: found.next };
    }
    this.#behind = behind;
    return behind.durable > offset;
  }

  #codecOf(generation: bigint): FrameCodec {
    if (this.#codec?.identity.generation !== generation) {
      this.#codec = new FrameCodec({ slot: this.slot, generation });
    }
    return this.#codec;
  }
}
