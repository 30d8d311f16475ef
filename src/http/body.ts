/** Reading request bodies: bounded each, bounded together, and not for ever. */

import type { Clock } from "../base/clock.ts";

/** Largest body of one request. */
export const bodyBytesMax = 16 * 2 ** 20;
/** Bytes of bodies that are held at one time; past it requests are told to come again. */
export const bodyBytesTogetherMax = 256 * 2 ** 20;
/** A client that sends nothing for so long is given up. */
export const bodyIdleMs = 30_000;

/** `gone`: the client hung up before the body was whole. */
export type BodyFailure = "too large" | "too many" | "too slow" | "gone";

/** Holds the bodies of the requests that are being answered. */
export class BodyReader {
  readonly #clock: Clock;
  readonly #signal: AbortSignal | undefined;
  #bytesHeld = 0;

  /** Once the signal fires, bodies that are not whole are waited for no longer. */
  constructor(clock: Clock, signal: AbortSignal | undefined) {
    this.#clock = clock;
    this.#signal = signal;
  }

  /**
   * Reads the body and hands it to `use`; what it answers comes back, or why there is no body.
   */
  async with<Result>(
    request: Request,
    use: (body: Uint8Array) => Promise<Result>,
  ): Promise<Result | BodyFailure> {
    const announced = Number(request.headers.get("content-length") ?? "0");
    if (announced > bodyBytesMax) return "too large";
    if (request.body === null) return await use(new Uint8Array(0));
    const held = { bytes: 0 };
    try {
      const body = await this.#read(request.body, held);
      return typeof body === "string" ? body : await use(body);
    } finally {
      this.#bytesHeld -= held.bytes;
    }
  }

  async #read(
    stream: ReadableStream<Uint8Array>,
    held: { bytes: number },
  ): Promise<Uint8Array | BodyFailure> {
    const chunks: Uint8Array[] = [];
    const reader = stream.getReader();
    for (;;) {
      let next: { chunk: Uint8Array | null; isLate: boolean };
      try {
        next = await this.#next(reader);
      } catch {
        // A request's stream breaks for one reason: nobody is left to send the rest, or to be answered.
        return "gone";
      }
      const { chunk, isLate } = next;
      if (isLate) return "too slow";
      if (chunk === null) return joined(chunks, held.bytes);
      held.bytes += chunk.length;
      this.#bytesHeld += chunk.length;
      const failure = held.bytes > bodyBytesMax
        ? "too large"
        : this.#bytesHeld > bodyBytesTogetherMax
        ? "too many"
        : null;
      if (failure !== null) {
        // The rest is of no use to anybody, and the client may be gone already.
        reader.cancel().catch(() => {});
        return failure;
      }
      chunks.push(chunk);
    }
  }

  async #next(
    reader: ReadableStreamDefaultReader<Uint8Array>,
  ): Promise<{ chunk: Uint8Array | null; isLate: boolean }> {
    const timer = new AbortController();
    let isLate = false;
    const giveUp = () => {
      isLate = true;
      reader.cancel().catch(() => {});
    };
    void this.#clock.sleep(bodyIdleMs, timer.signal).then(() => {
      if (!timer.signal.aborted) giveUp();
    });
    this.#signal?.addEventListener("abort", giveUp, { signal: timer.signal });
    try {
      const { value } = await reader.read();
      return { chunk: value ?? null, isLate };
    } finally {
      timer.abort();
    }
  }
}

function joined(chunks: readonly Uint8Array[], bytes: number): Uint8Array {
  const [only] = chunks;
  if (chunks.length === 1 && only !== undefined) return only;
  const body = new Uint8Array(bytes);
  let offset = 0;
  for (const chunk of chunks) {
    body.set(chunk, offset);
    offset += chunk.length;
  }
  return body;
}
