/**
 * Reads a file from a given position while it is being appended to. Any number of tailers share the
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

/** Life of a tailer. The numbers are those of kirana's `aof`. */
export enum TailerState {
  /** Made, and not polled yet. */
  Start = 1,
  /** There is more to read. */
  Reading = 2,
  /** Everything that is appended by now was read. */
  Tail = 3,
  /** The file is finished, and the consumer has got its `eof` event. */
  Eof = 4,
  /** Closed while its consumer was running: it ends when the consumer returns. */
  Closing = 5,
  /** Ended: its consumer was told the reason, and is called no more. */
  Closed = 6,
}

/** Returned by a consumer to close its tailer; the reason in its `ClosedEvent` is then `closed`. */
export const STOP_TAILING: unique symbol = Symbol("stopTailing");

/**
 * Why a tailer has closed: `stop` by `Tailer.close`, `closed` because its file was closed or its consumer
 * returned `STOP_TAILING`, an error if the file cannot be read any more.
 */
export type CloseReason = "stop" | "closed" | Error;

/** What a consumer is given when its tailer has closed. */
export interface ClosedEvent {
  /** The tailer, in the state `Closed`. */
  readonly tailer: Tailer;
  /** Why it has closed. */
  readonly reason: CloseReason;
}

/** The caller's half of a subscription. */
export interface Consumer {
  /**
   * Take bytes of the event, and return the new position: an offset in the file, clamped to 0 … event.end.
   * If it is below `end`, the next call comes at once and begins there. The event and its views are valid
   * during the call only. If it throws, the position stays, the error goes to the reactor's `onError`, and
   * the next call comes at the next append, wake or interval.
   */
  pollRead(event: ReadEvent): number | typeof STOP_TAILING;
  /** Take note that the tailer has closed. Called exactly once, and nothing after it. */
  pollReadClosed(event: ClosedEvent): void;
}

/** What a tailer needs of the file that it reads; `Aof` implements it. */
export interface TailSource {
  /** Path of the file, for messages. */
  readonly path: string;
  /** The mapped bytes; those below `size` may be read. */
  readonly bytes: Uint8Array;
  /** Bytes of data. */
  readonly size: number;
  /** Tells whether the file is finished. */
  readonly state: FileState;
  /** Look for what another process has appended. Called before each read. */
  refresh(): void;
  /** Remove a tailer. Called once, when it has closed. */
  forget(tailer: Tailer): void;
}

/**
 * What a consumer is given to read. It is valid during the call only, because one event serves all calls
 * of a tailer. Continues `ReadEvent` of kirana's `aof`.
 */
export class ReadEvent {
  /** Time of the call, in milliseconds of the monotonic clock. */
  timeMs = 0;
  /** Offset of the first byte to read: the position of the tailer. */
  begin = 0;
  /** Offset behind the last byte to read: the size of the file now. */
  end = 0;
  /** State of the file: `Opened`, or `Eof` once it is finished. */
  fileState: FileState = FileState.Opened;
  /** Whether the file is finished and everything was read: nothing will ever follow `end`. */
  eof = false;
  /** Why the tailer was polled. */
  reason: PollReason = PollReason.Start;
  #bytes: Uint8Array = new Uint8Array();
  #tail: Uint8Array | null = null;

  /** Made by the tailer. */
  constructor(
    /** The tailer that reads. */
    readonly tailer: Tailer,
  ) {}

  /** View of the bytes from `begin` to `end`; empty for an `eof` event, or if an interval found nothing. */
  get tail(): Uint8Array {
    return this.#tail ??= this.#bytes.subarray(this.begin, this.end);
  }

  /** Give a view of everything from the start of the file to `end`. */
  contents(): Uint8Array {
    return this.#bytes.subarray(0, this.end);
  }

  /** Point the event at what there is to read. Called by the tailer alone. */
  reset(begin: number, end: number, bytes: Uint8Array): void {
    assert(begin <= end, "A tailer is never ahead of the file");
    this.begin = begin;
    this.end = end;
    this.#bytes = bytes;
    this.#tail = null;
  }
}

/**
 * A subscription: reads a file for one consumer, from some position on, while the file is appended to. The
 * consumer sees every byte from there on, in order, and exactly one event with `eof`. Returned by
 * `Aof.subscribe`. Continues `Tailer` of kirana's `aof`.
 */
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

  /**
   * Made by the `subscribe…` calls of an `Aof`. Throws `UsageError` without a consumer, or for a position
   * that is not an offset.
   */
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

  /** Where the tailer is in its life. */
  state(): TailerState {
    return this.#state;
  }

  /** Offset of the first byte that the consumer has not taken. */
  get position(): number {
    return this.#position;
  }

  /** What the consumer threw in its last call, or null. */
  get error(): unknown {
    return this.#error;
  }

  /** Poll this tailer in the next turn of the event loop. */
  wake(): void {
    this.#reactor.wake(this);
  }

  /** Read what there is. Called by the reactor; inside the consumer it does nothing. */
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

  /**
   * End the subscription, with the reason `stop`. Inside the consumer it takes effect when the consumer
   * returns. Closing twice is harmless.
   */
  close(): void {
    this.closeFor("stop");
  }

  /** As `close`, with a reason of the caller's. */
  closeFor(reason: CloseReason): void {
    if (this.#state >= TailerState.Closing) return;
    if (this.#isPolling) {
      this.#state = TailerState.Closing;
      this.#closeReason = reason;
    } else {
      this.#becomeClosed(reason);
    }
  }

  /** As `close`. */
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
      // Subscribed from a position that the file has not reached yet.
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
