/** What a recorded disk was asked to do, event by event, and what of it a flush has made durable. */

const EVENT_BYTES = 32;

const KINDS = ["", "write", "flush begun", "flush ended"] as const;

export interface DiskEvent {
  readonly kind: (typeof KINDS)[number];
  /** Bytes from the start of the disk. For the end of a flush, the number of its begin. */
  readonly offset: number;
  readonly length: number;
  /** Where the bytes of a write are in the file of the recording. */
  readonly at: number;
}

/** Events are numbered from 1. A cut at event N is the moment after N and before N + 1. */
export class Recording implements Disposable {
  readonly #file: Deno.FsFile;
  readonly #events: DiskEvent[] = [];
  /** By the number of a cut: every write with a number up to this one is durable. */
  readonly #durable: number[] = [0];
  /** By the number of a cut: how many of the events until then are writes. */
  readonly #writes: number[] = [0];

  constructor(path: string) {
    this.#file = Deno.openSync(path);
    const end = this.#file.statSync().size;
    const head = new BigUint64Array(EVENT_BYTES / 8);
    for (let at = 0; at < end;) {
      this.#read(new Uint8Array(head.buffer), at);
      const [number, kind, offset, length] = Array.from(head, Number) as [
        number,
        number,
        number,
        number,
      ];
      if (number !== this.#events.length + 1) throw new Error(`${path}: event ${number} at ${at}`);
      at += EVENT_BYTES;
      const event = { kind: KINDS[kind] ?? "", offset, length, at };
      this.#events.push(event);
      const before = this.#durable[number - 1] as number;
      this.#durable.push(event.kind === "flush ended" ? Math.max(before, offset) : before);
      this.#writes.push((this.#writes[number - 1] as number) + (event.kind === "write" ? 1 : 0));
      at += length;
    }
  }

  get length(): number {
    return this.#events.length;
  }

  event(number: number): DiskEvent {
    return this.#events[number - 1] as DiskEvent;
  }

  /**
   * Writes up to this number are on the disk at a cut: they were answered before a flush began that has
   * ended.
   */
  durableAt(cut: number): number {
    return this.#durable[cut] as number;
  }

  /** How many writes may be there or not at a cut. */
  pendingAt(cut: number): number {
    return (this.#writes[cut] as number) - (this.#writes[this.durableAt(cut)] as number);
  }

  /** The writes with numbers above `from`, up to `to`, in their order. */
  *writes(from: number, to: number): Iterable<DiskEvent> {
    for (let number = from + 1; number <= to; number++) {
      const event = this.event(number);
      if (event.kind === "write") yield event;
    }
  }

  bytesOf(write: DiskEvent): Uint8Array {
    const bytes = new Uint8Array(write.length);
    this.#read(bytes, write.at);
    return bytes;
  }

  #read(into: Uint8Array, at: number): void {
    this.#file.seekSync(at, Deno.SeekMode.Start);
    for (let done = 0; done < into.length;) {
      const count = this.#file.readSync(into.subarray(done));
      if (count === null) throw new Error(`The recording ends within an event, at ${at}`);
      done += count;
    }
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}
