/** Reads request bodies, with limits on the size of each, on the memory of all, and on the time. */

import type { Clock } from "../../base/clock.ts";

/** Largest body of one request. */
export const BODY_BYTES_MAX = 16 * 2 ** 20;
/** Most memory of all bodies at one time. A body beyond it is refused, with advice to try again. */
export const BODY_BYTES_TOGETHER_MAX = 256 * 2 ** 20;
/** A body of which nothing arrives for so long is refused. */
export const BODY_IDLE_MS = 30_000;
/** First capacity of a body; it doubles while the body grows. */
const FIRST_BYTES = 4096;
/** Time for which chunks of one body are read before other requests get their turn. */
const TURN_MS = 5;

/** `gone`: the client hung up before the body was whole. */
export type BodyFailure = "too large" | "too many" | "too slow" | "gone";

/** Holds the bodies of the present requests. */
export class BodyReader {
  readonly #clock: Clock;
  readonly #signal: AbortSignal | undefined;
  #bytesHeld = 0;

  /** When the signal fires, bodies that are not whole yet fail as too slow. */
  constructor(clock: Clock, signal: AbortSignal | undefined) {
    this.#clock = clock;
    this.#signal = signal;
  }

  /** Reads the body and passes it to `use`. Returns the result of `use`, or why the body was not read. */
  async with<Result>(
    request: Request,
    use: (body: Uint8Array) => Promise<Result>,
  ): Promise<Result | BodyFailure> {
    const announced = Number(request.headers.get("content-length") ?? "0");
    if (announced > BODY_BYTES_MAX) return "too large";
    if (request.body === null) return await use(new Uint8Array(0));
    const held: HeldBody = { bytes: new Uint8Array(0), length: 0, lastMs: 0 };
    try {
      const failure = await this.#read(request.body.getReader(), held);
      return failure ?? await use(held.bytes.subarray(0, held.length));
    } finally {
      this.#bytesHeld -= held.bytes.length;
    }
  }

  async #read(reader: BytesReader, held: HeldBody): Promise<BodyFailure | null> {
    // One timer for the whole body: a chunk may be a single byte, and must cost little.
    const watch = new AbortController();
    let isLate = false;
    const expire = () => {
      isLate = true;
      reader.cancel().catch(() => {});
    };
    this.#signal?.addEventListener("abort", expire, { signal: watch.signal });
    void this.#idle(held, watch.signal).then(() => {
      if (!watch.signal.aborted) expire();
    });
    let turnMs = this.#clock.nowMs();
    try {
      while (true) {
        // The stream of a request breaks when its client hangs up.
        const next = await reader.read().catch(() => null);
        if (next === null) return "gone";
        const { value: chunk } = next;
        if (isLate) return "too slow";
        if (chunk === undefined) return null;
        const failure = this.#hold(chunk, held);
        if (failure !== null) {
          // The rest is not needed, and the client may be gone already.
          reader.cancel().catch(() => {});
          return failure;
        }
        held.lastMs = this.#clock.nowMs();
        // Chunks that have arrived already are read without a turn of the event loop.
        if (held.lastMs - turnMs < TURN_MS) continue;
        await this.#clock.sleep(0);
        turnMs = this.#clock.nowMs();
      }
    } finally {
      watch.abort();
    }
  }

  /** Adds a chunk. Its memory is counted before it is allocated. */
  #hold(chunk: Uint8Array, held: HeldBody): BodyFailure | null {
    const length = held.length + chunk.length;
    if (length > BODY_BYTES_MAX) return "too large";
    const { bytes } = held;
    if (length > bytes.length) {
      const doubled = Math.min(BODY_BYTES_MAX, Math.max(FIRST_BYTES, 2 * bytes.length));
      const capacity = Math.max(length, doubled);
      const more = capacity - bytes.length;
      if (this.#bytesHeld + more > BODY_BYTES_TOGETHER_MAX) return "too many";
      this.#bytesHeld += more;
      // A transfer frees the old memory at once, not when it is collected.
      held.bytes = new Uint8Array(bytes.buffer.transfer(capacity));
    }
    held.bytes.set(chunk, held.length);
    held.length = length;
    return null;
  }

  /** Resolves when nothing has arrived for `BODY_IDLE_MS`, or when the signal fires. */
  async #idle(held: HeldBody, signal: AbortSignal): Promise<void> {
    held.lastMs = this.#clock.nowMs();
    while (!signal.aborted) {
      const { length, lastMs } = held;
      await this.#clock.sleep(lastMs + BODY_IDLE_MS - this.#clock.nowMs(), signal);
      if (held.length === length) return;
    }
  }
}

type BytesReader = ReadableStreamDefaultReader<Uint8Array>;

/** A body as far as it has arrived: the first `length` of `bytes`, and the time of its last chunk. */
interface HeldBody {
  bytes: Uint8Array<ArrayBuffer>;
  length: number;
  lastMs: number;
}
