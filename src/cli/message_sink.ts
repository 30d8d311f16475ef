/**
 * Stderr, which carries messages and no data. Bytes that cannot be written (disk full, reader gone) are
 * lost: an event must not stop a daemon, and a message must not change an exit code.
 *
 * A command waits for a slow reader; a daemon never waits. Lines that stderr does not accept at once are
 * lost and counted, and one line reports the count as soon as stderr accepts bytes again.
 */
import type { Sink } from "./output.ts";

/** How often a daemon tries to report lost lines while no event is written. */
const RETRY_MS = 1000;

const NEWLINE = 0x0a;

/** How a daemon writes without waiting, and the line that reports how many lines were lost. */
export interface NoWaiting {
  /** Writes some of the bytes now and returns how many; 0 if it would wait. */
  readonly writeNow: (bytes: Uint8Array<ArrayBuffer>) => number;
  readonly lostLine: (lines: number) => string;
}

export class MessageSink implements Sink {
  readonly #sink: Sink;
  readonly #encoder = new TextEncoder();
  #noWaiting: NoWaiting | null = null;
  /** The rest of a line that was written in part: it is written first, so that lines stay whole. */
  #rest: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  #lostLines = 0;
  #lostInAll = 0;
  #retry: ReturnType<typeof setInterval> | undefined;

  constructor(sink: Sink) {
    this.#sink = sink;
  }

  isTerminal(): boolean {
    return this.#sink.isTerminal();
  }

  /** From now on no write waits. */
  stopWaiting(noWaiting: NoWaiting): void {
    this.#noWaiting = noWaiting;
  }

  /** Writes all of the bytes, or drops them. Throws `WouldBlock` only before `stopWaiting`. */
  writeSync(bytes: Uint8Array): number {
    if (this.#noWaiting !== null) {
      this.#offer(bytes, this.#noWaiting);
      return bytes.length;
    }
    try {
      return this.#sink.writeSync(bytes);
    } catch (error) {
      // Not a failure: `Output` waits and tries again.
      if (error instanceof Deno.errors.WouldBlock) throw error;
      return bytes.length;
    }
  }

  /** Lines that were lost since the start, whether they were reported or not. */
  get lostInAll(): number {
    return this.#lostInAll;
  }

  /** Reports the lines that were lost so far, if stderr accepts bytes. */
  tellLost(): void {
    if (this.#noWaiting !== null && this.#isBehind) this.#offer(new Uint8Array(0), this.#noWaiting);
  }

  get #isBehind(): boolean {
    return this.#lostLines > 0 || this.#rest.length > 0;
  }

  #offer(bytes: Uint8Array, { writeNow, lostLine }: NoWaiting): void {
    const lost = this.#lostLines === 0 ? "" : lostLine(this.#lostLines) + "\n";
    const all = Uint8Array.from([...this.#rest, ...this.#encoder.encode(lost), ...bytes]);
    const taken = takenOf(all, writeNow);
    if (taken <= this.#rest.length) {
      this.#rest = this.#rest.slice(taken);
      const lines = bytes.filter((byte) => byte === NEWLINE).length;
      this.#lostLines += lines;
      this.#lostInAll += lines;
    } else {
      this.#rest = all.slice(taken);
      this.#lostLines = 0;
    }
    this.#keepTrying();
  }

  #keepTrying(): void {
    if (!this.#isBehind) {
      clearInterval(this.#retry);
      this.#retry = undefined;
    } else if (this.#retry === undefined) {
      this.#retry = setInterval(() => this.tellLost(), RETRY_MS);
      // The timer alone must not keep the process running.
      Deno.unrefTimer(this.#retry);
    }
  }
}

/** Writes what stderr accepts now and returns how many bytes; an error counts as a blocked reader. */
function takenOf(
  bytes: Uint8Array<ArrayBuffer>,
  writeNow: (bytes: Uint8Array<ArrayBuffer>) => number,
): number {
  let taken = 0;
  try {
    while (taken < bytes.length) {
      const count = writeNow(bytes.subarray(taken));
      if (count === 0) break;
      taken += count;
    }
  } catch {
    // The bytes are lost, whatever the reason.
  }
  return taken;
}
