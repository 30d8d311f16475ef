/**
 * Writes bytes to stdout and stderr: at once on a terminal, in large pieces elsewhere. A closed reader
 * of stdout is not reported as an error: `BrokenPipe` ends the command quietly. What cannot be written
 * to stderr is lost without effect on the command (`MessageSink`).
 */
import { nameForOutput, printableText, toJson } from "../base/printable.ts";
import { StreamError } from "./stream_error.ts";

/** Bytes gathered before a write that does not go to a terminal. */
const BUFFER_BYTES = 64 * 1024;

/** Pause before the next write to a descriptor that accepted nothing. */
const RETRY_MS = 1;

/** Thrown when the reader of stdout is gone; the command then ends without a message. */
export class BrokenPipe extends Error {
  override readonly name = "BrokenPipe";
}

/** The destination of the bytes: `Deno.stdout`, `Deno.stderr`, or an array in a test. */
export interface Sink {
  /** Writes some of the bytes, at least one, and returns how many. */
  writeSync(bytes: Uint8Array): number;
  isTerminal(): boolean;
}

/** The same fields, each number as a decimal string. In JSON a count has no limit of precision. */
export function decimal<Fields extends object>(fields: Fields): Record<keyof Fields, unknown> {
  const texts = Object.entries(fields).map(([name, value]) => {
    const isNumber = typeof value === "number" || typeof value === "bigint";
    return [name, isNumber ? String(value) : value];
  });
  return Object.fromEntries(texts);
}

/** Spells the name of a field for people: `tableKeys` → `table keys`. */
export function wordsOf(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => " " + letter.toLowerCase());
}

export class Output {
  readonly #sink: Sink;
  readonly #encoder = new TextEncoder();
  #pending: Uint8Array = new Uint8Array(0);
  #length = 0;
  #isBroken = false;

  readonly isTerminal: boolean;
  /** True if colour and progress may be shown: on a terminal, unless `NO_COLOR` is set. */
  readonly hasColor: boolean;

  constructor(sink: Sink, noColor: boolean) {
    this.#sink = sink;
    this.isTerminal = sink.isTerminal();
    this.hasColor = this.isTerminal && !noColor;
  }

  /** Writes text or bytes, at the latest at the next `flush`. Throws as `flush` does. */
  write(content: string | Uint8Array): void {
    const bytes = typeof content === "string" ? this.#encoder.encode(content) : content;
    if (this.isTerminal) return this.#writeAll(bytes);
    if (this.#length + bytes.length > BUFFER_BYTES) this.flush();
    if (bytes.length >= BUFFER_BYTES) return this.#writeAll(bytes);
    if (this.#pending.length === 0) this.#pending = new Uint8Array(BUFFER_BYTES);
    this.#pending.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** Writes a line; a terminal gets no control character of it but tabs and newlines. */
  line(content: string): void {
    this.write((this.isTerminal ? printableText(content) : content) + "\n");
  }

  /** Writes a line `name TAB value` for each fact: `tableKeys` as `table keys`, true as `yes`. */
  facts(facts: object): void {
    for (const [name, value] of Object.entries(facts)) {
      this.line(`${wordsOf(name)}\t${typeof value === "boolean" ? (value ? "yes" : "no") : value}`);
    }
  }

  /** Writes a name: printable on a terminal, byte for byte elsewhere. */
  name(name: Uint8Array): void {
    this.write(nameForOutput(name, this.isTerminal));
  }

  /** Writes a line of cells with tabs between them; a name as `name` does. */
  row(...cells: readonly (Uint8Array | string)[]): void {
    for (const [index, cell] of cells.entries()) {
      if (index > 0) this.write("\t");
      if (typeof cell === "string") this.write(cell);
      else this.name(cell);
    }
    this.write("\n");
  }

  /** Writes one JSON value on a line of its own; a bigint becomes a decimal string. */
  json(value: unknown): void {
    this.line(toJson(value));
  }

  /** Writes everything that is pending. Throws `BrokenPipe`, `StreamError`. */
  flush(): void {
    const length = this.#length;
    this.#length = 0;
    if (length > 0) this.#writeAll(this.#pending.subarray(0, length));
  }

  #writeAll(bytes: Uint8Array): void {
    if (this.#isBroken) throw new BrokenPipe();
    try {
      for (let written = 0; written < bytes.length;) {
        written += this.#writeSome(bytes.subarray(written));
      }
    } catch (error) {
      // Errors of stderr never come here (`MessageSink`).
      if (!(error instanceof Deno.errors.BrokenPipe)) throw new StreamError("write stdout", error);
      this.#isBroken = true;
      throw new BrokenPipe();
    }
  }

  /** Returns 0 if another process has made the descriptor non-blocking and it accepts nothing now. */
  #writeSome(bytes: Uint8Array): number {
    try {
      return this.#sink.writeSync(bytes);
    } catch (error) {
      if (!(error instanceof Deno.errors.WouldBlock)) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
      return 0;
    }
  }
}
