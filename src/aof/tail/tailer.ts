/**
 * Reads a file from some position on while it is being appended to. Any number of tailers share the
 * mapping of an instance, each with a consumer and a position of its own.
 *
 *   1. A consumer sees every byte from its position on, in order, and no byte above the size.
 *   2. What the consumer returns is the next position; one that throws keeps its position.
 *   3. Exactly one event has `eof`: behind the last byte of a finished file.
 *   4. `pollReadClosed` is called exactly once, and nothing after it.
 */

import { assert } from "../../base/assert.ts";
import { UsageError } from "../../base/errors.ts";
import { FileState } from "../file/file_state.ts";
import { type PollContext, PollReason, type Reactor, type Task } from "./reactor.ts";

export enum TailerState {
  /** Made, and not polled yet. */
  Start = 1,
  /** There is more to read. */
  Reading = 2,
  /** Everything that stands was read. */
  Tail = 3,
  /** The file is finished, and the consumer knows. */
  Eof = 4,
  /** Was told to close while its consumer was at work. */
  Closing = 5,
  Closed = 6,
}

/** A consumer returns this to be closed; the reason it is given then is `closed`. */
export const STOP_TAILING: unique symbol = Symbol("stopTailing");

/** `stop` by `Tailer.close`, `closed` by the file or by itself, an error where reading is impossible. */
export type CloseReason = "stop" | "closed" | Error;

export interface ClosedEvent {
  readonly tailer: Tailer;
  readonly reason: CloseReason;
}

export interface Consumer {
  /**
   * Takes the bytes of the event and returns the new position: an offset in the file, held to
   * 0 … event.end. A smaller one than `end` is read from again in the next turn. The event and its
   * views are good during the call only.
   */
  pollRead(event: ReadEvent): number | typeof STOP_TAILING;
  pollReadClosed(event: ClosedEvent): void;
}

/** What a tailer needs of the file it reads. */
export interface TailSource {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly size: number;
  readonly state: FileState;
  /** Looks for what another process has appended meanwhile. */
  refresh(): void;
  /** Told once when a tailer has closed. */
  forget(tailer: Tailer): void;
}

/** One event serves all calls of a tailer. */
export class ReadEvent {
  /** Monotonic milliseconds. */
  timeMs = 0;
  /** The position of the tailer, and the size of the file now. */
  begin = 0;
  end = 0;
  fileState = FileState.Opened;
  /** Nothing will ever follow `end`. */
  eof = false;
  reason = PollReason.Start;
  #bytes: Uint8Array = new Uint8Array();
  #tail: Uint8Array | null = null;

  constructor(readonly tailer: Tailer) {}

  /** The bytes from `begin` to `end`. */
  get tail(): Uint8Array {
    return this.#tail ??= this.#bytes.subarray(this.begin, this.end);
  }

  /** Everything from the start of the file to `end`. */
  contents(): Uint8Array {
    return this.#bytes.subarray(0, this.end);
  }

  /** For the tailer alone. */
  reset(begin: number, end: number, bytes: Uint8Array): void {
    assert(begin <= end, "A tailer is never ahead of the file");
    this.begin = begin;
    this.end = end;
    this.#bytes = bytes;
    this.#tail = null;
  }
}

export class Tailer implements Task, Disposable {
  readonly #source: TailSource;
  readonly #consumer: Consumer;
  readonly #reactor: Reactor;
  readonly #event: ReadEvent;
  #state = TailerState.Start;
  #position: number;
  #isEofDelivered = false;
  #isPolling = false;
  #closeReason: CloseReason | null = null;
  #error: unknown = null;

  /** Made by the `subscribe…` calls of an instance. */
  constructor(source: TailSource, { consumer, reactor, position }: {
    readonly consumer: Consumer;
    readonly reactor: Reactor;
    readonly position: number;
  }) {
    if (consumer === null || consumer === undefined) {
      throw new UsageError("Cannot subscribe without a consumer");
    }
    if (!Number.isSafeInteger(position) || position < 0) {
      throw new UsageError(`Cannot subscribe from ${position}: give an offset in the file`);
    }
    this.#source = source;
    this.#consumer = consumer;
    this.#reactor = reactor;
    this.#position = position;
    this.#event = new ReadEvent(this);
  }

  state(): TailerState {
    return this.#state;
  }

  /** Offset of the first byte that the consumer has not taken. */
  get position(): number {
    return this.#position;
  }

  /** What the consumer threw last, or null. */
  get error(): unknown {
    return this.#error;
  }

  /** Polls this tailer in the next turn. */
  wake(): void {
    this.#reactor.wake(this);
  }

  /** Reads what there is. Called by the reactor; inside the consumer it does nothing. */
  poll(context: PollContext): void {
    if (this.#isPolling || this.#state >= TailerState.Closing) return;
    this.#isPolling = true;
    try {
      this.#read(context);
    } finally {
      this.#isPolling = false;
    }
    if (this.#closeReason !== null) this.#becomeClosed(this.#closeReason);
  }

  /** Closing twice is harmless. Inside the consumer it takes effect when the consumer returns. */
  close(): void {
    this.closeFor("stop");
  }

  closeFor(reason: CloseReason): void {
    if (this.#state >= TailerState.Closing) return;
    if (this.#isPolling) {
      this.#state = TailerState.Closing;
      this.#closeReason = reason;
    } else {
      this.#becomeClosed(reason);
    }
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #read({ timeMs, reason }: PollContext): void {
    const source = this.#source;
    try {
      source.refresh();
    } catch (error) {
      this.closeFor(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    const end = source.size;
    const atEnd = this.#position >= end;
    const eof = atEnd && source.state === FileState.Eof;
    if (eof ? this.#isEofDelivered : atEnd && reason !== PollReason.Interval) {
      this.#state = eof ? TailerState.Eof : TailerState.Tail;
      return;
    }
    if (this.#position > end) {
      // Subscribed from a place that the file has not reached yet.
      this.#state = TailerState.Tail;
      return;
    }
    this.#state = TailerState.Reading;
    const event = this.#event;
    event.reset(this.#position, end, source.bytes);
    event.timeMs = timeMs;
    event.reason = reason;
    event.fileState = source.state;
    event.eof = eof;
    this.#deliver(event);
  }

  #deliver(event: ReadEvent): void {
    const { end, eof } = event;
    try {
      const result = this.#consumer.pollRead(event);
      if (result === STOP_TAILING) {
        this.closeFor("closed");
        return;
      }
      if (typeof result !== "number" || Number.isNaN(result)) {
        throw new UsageError(`A consumer returned ${String(result)}, not a position in the file`);
      }
      this.#position = Math.min(Math.max(Math.trunc(result), 0), end);
      this.#error = null;
    } catch (error) {
      this.#error = error;
      this.#reactor.report(error);
      return;
    }
    if (eof) this.#isEofDelivered = true;
    if (this.#state >= TailerState.Closing) return;
    const atEnd = this.#position >= this.#source.size;
    const finished = this.#source.state === FileState.Eof;
    if (!atEnd || (finished && !this.#isEofDelivered)) this.wake();
    else this.#state = finished ? TailerState.Eof : TailerState.Tail;
  }

  #becomeClosed(reason: CloseReason): void {
    this.#state = TailerState.Closed;
    this.#closeReason = null;
    this.#reactor.remove(this);
    try {
      this.#consumer.pollReadClosed({ tailer: this, reason });
    } catch (error) {
      this.#error = error;
      this.#reactor.report(error);
    } finally {
      this.#source.forget(this);
    }
  }
}
