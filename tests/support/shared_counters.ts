/**
 * Counters in memory that several processes share. A ticket taken before and after each call orders the
 * calls of all processes as they really happened. No clock of the runtime does that: each process has its
 * own.
 */

import { systemStorage } from "../../src/file/mod.ts";

const COUNTERS = 1024;
const SPIN_MS = 5;

export class SharedCounters implements Disposable {
  readonly #mapping;
  readonly #words: Int32Array;

  /** All counters are 0 in a new file. */
  constructor(path: string) {
    const file = systemStorage().open(path, { access: "write", create: "missing" });
    file.allocate(0, COUNTERS * 4);
    this.#mapping = file.map(COUNTERS * 4, "write");
    file.close();
    const bytes = this.#mapping.bytes;
    this.#words = new Int32Array(bytes.buffer, bytes.byteOffset, COUNTERS);
  }

  /** Adds one, and returns the value before: no two callers get the same. */
  take(counter: number): number {
    return Atomics.add(this.#words, counter, 1);
  }

  value(counter: number): number {
    return Atomics.load(this.#words, counter);
  }

  /** Adds one, and waits until the counter has reached `arrivals`. */
  async meet(counter: number, arrivals: number): Promise<void> {
    this.take(counter);
    const patienceMs = performance.now() + SPIN_MS;
    while (this.value(counter) < arrivals) {
      // Spinning keeps the race close; on a busy machine the other processes need the processor.
      if (performance.now() > patienceMs) await new Promise((resolve) => setTimeout(resolve, 0));
    }
  }

  [Symbol.dispose](): void {
    this.#mapping.release();
  }
}
