/** Bytes that a reader can check: numbered records, and payloads full of marks. */

import { type AppendFunc, MAGIC_CHECKPOINT, MAGIC_TAIL } from "../../src/aof/mod.ts";
import { Random } from "../support/random.ts";
import { concat, littleEndian } from "./support.ts";

const headBytes = 6;

/** Writes records of random size: u32 number, u16 length of the whole, bytes made from the number. */
export class RecordWriter {
  readonly #random: Random;
  #length = 0;
  index = 0;

  constructor(seed: number) {
    this.#random = new Random(seed);
  }

  nextLength(): number {
    return this.#length = this.#random.between(headBytes, 60);
  }

  readonly fill: AppendFunc = ({ bytes, begin }) => {
    const length = this.#length;
    const { index } = this;
    bytes[begin] = index;
    bytes[begin + 1] = index >>> 8;
    bytes[begin + 2] = index >>> 16;
    bytes[begin + 3] = index >>> 24;
    bytes[begin + 4] = length;
    bytes[begin + 5] = length >>> 8;
    for (let offset = headBytes; offset < length; offset++) {
      bytes[begin + offset] = index * 31 + offset;
    }
    this.index++;
    return length;
  };
}

/** Throw unless the bytes given are whole records in order. */
export class RecordCheck {
  constructor(public index = 0) {}

  take(bytes: Uint8Array): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    let offset = 0;
    while (offset < bytes.length) {
      const length = view.getUint16(offset + 4, true);
      if (view.getUint32(offset, true) !== this.index >>> 0) {
        throw new Error(`record ${view.getUint32(offset, true)} where ${this.index} is due`);
      }
      if (offset + length > bytes.length) throw new Error(`half of record ${this.index}`);
      for (let byte = headBytes; byte < length; byte++) {
        if (bytes[offset + byte] !== ((this.index * 31 + byte) & 255)) {
          throw new Error(`byte ${byte} of record ${this.index} is wrong`);
        }
      }
      offset += length;
      this.index++;
    }
  }
}

/** Parts of a stream: some with marks inside, at the end, or truncated; some of zeros. */
export function* stream(seed: number): Generator<Uint8Array> {
  const random = new Random(seed);
  const tail = littleEndian(MAGIC_TAIL);
  const checkpoint = littleEndian(MAGIC_CHECKPOINT);
  const pending = concat(littleEndian(9n).subarray(0, 5), tail.subarray(5));
  for (;;) {
    const mark = random.pick([tail, checkpoint, pending]);
    switch (random.below(5)) {
      case 0:
        yield mark;
        break;
      case 1:
        yield concat(random.bytes(random.between(1, 30)), mark.subarray(0, random.between(1, 8)));
        break;
      case 2:
        yield new Uint8Array(random.between(1, 40));
        break;
      case 3:
        yield new Uint8Array(random.between(1, 20_000)).fill(random.between(0, 255));
        break;
      default:
        yield random.bytes(random.between(1, 9));
    }
  }
}

/** Payload of a process that dies in the middle of a write. */
export function dyingPayload(kind: string, length: number): Uint8Array {
  const mark = littleEndian(kind === "tail" ? MAGIC_TAIL : MAGIC_CHECKPOINT);
  return Uint8Array.from(
    { length },
    (_, index) => kind === "text" ? 65 + (index % 26) : mark[index % 8] as number,
  );
}
