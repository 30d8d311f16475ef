/**
 * Stderr, which holds messages and no data. Bytes that cannot be written (disk full, reader gone) are
 * lost: an event must not stop a daemon, nor a message change an exit code.
 *
 * A command waits for a reader that is slow. A daemon waits for none: lines that stderr does not take at
 * once are lost and counted, and one line tells how many as soon as there is room.
 */
import type { Sink } from "./output.ts";

/** How often a daemon tries to tell what was lost, if no event does. */
const RETRY_MS = 1000;

const NEWLINE = 0x0a;

/** What a daemon writes with, and the line that tells how many were lost. */
export interface NoWaiting {
  /** Writes some of the bytes now and returns how many; 0 if it would wait. */
  readonly writeNow: (bytes: Uint8Array<ArrayBuffer>) => number;
  readonly lostLine: (lines: number) => string;
}

export class MessageSink implements Sink {
  readonly #sink: Sink;
  readonly #encoder = new TextEncoder();
  #noWaiting: NoWaiting | null = null;
  /** The end of a line that was taken in part: it goes out first, so that lines stay whole. */
  #rest: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  #lostLines = 0;
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

  /** Takes all of the bytes, or loses them. Throws `WouldBlock` only before `stopWaiting`. */
  writeSync(bytes: Uint8Array): number {
    if (this.#noWaiting !== null) {
      this.#offer(bytes, this.#noWaiting);
      return bytes.length;
    }
    try {
      return this.#sink.writeSync(bytes);
    } catch (error) {
      // Nothing is wrong with this one: `Output` waits for it.
      if (error instanceof Deno.errors.WouldBlock) throw error;
      return bytes.length;
    }
  }

  /** Tells what was lost until now, if there is room. */
  tellLost(): void {
    if (this.#noWaiting !== null && this.#isBehind) this.#offer(new Uint8Array(0), this.#noWaiting);
  }

  get #isBehind(): boolean {
    return this.#lostLines > 0 || this.#rest.length > 0;
  }

  #offer(bytes: Uint8Array, { writeNow, lostLine }: NoWaiting): void {
    const note = this.#lostLines === 0
      ? new Uint8Array(0)
      : this.#encoder.encode(lostLine(this.#lostLines) + "\n");
    const all = joined(this.#rest, note, bytes);
    const taken = takenOf(all, writeNow);
    if (taken <= this.#rest.length) {
      this.#rest = this.#rest.slice(taken);
      this.#lostLines += linesIn(bytes);
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
      // Only what the daemon does keeps it running.
      Deno.unrefTimer(this.#retry);
    }
  }
}

/** How many of the bytes stderr takes now; an error is no different from a reader that does not read. */
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
    // What it refuses is lost, whatever the reason.
  }
  return taken;
}

function linesIn(bytes: Uint8Array): number {
  let lines = 0;
  for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) lines++;
  return lines;
}

function joined(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
