/**
 * A28 without processes: every state that memory passes through while marks are moved, store by store
 * and byte by byte, must recover to the old size or the new one.
 */

import { assert, assertEquals } from "@std/assert";
import {
  Magic,
  magicCheckpoint,
  magicDefault,
  magicTail,
  recoverWithMagic,
  RecoveryKind,
} from "../../src/aof/mod.ts";
import { Marks } from "../../src/aof/marks.ts";
import { cleanBehind } from "../../src/aof/parts.ts";
import { Random, seedForTest } from "../support/random.ts";
import { littleEndian, tailMark } from "./support.ts";

/** Memory that keeps every state between two stores. `set` and `fill` are told as they come. */
class RecordingBytes extends Uint8Array {
  states: Uint8Array[] = [];
  #last: Uint8Array | null = null;

  start(): void {
    this.states = [];
    this.#last = Uint8Array.from(this);
  }

  /** Notes a `set` of eight bytes as one store, as its memmove is, and longer ones byte by byte. */
  override set(source: ArrayLike<number>, offset = 0): void {
    this.noteBytes();
    super.set(source, offset);
    if (source.length === 8) this.#note();
    else this.noteBytes();
  }

  override fill(value: number, start?: number, end?: number): this {
    this.noteBytes();
    super.fill(value, start, end);
    this.noteBytes();
    return this;
  }

  /** Stores of single bytes since the last note: `down` in falling order of offsets. */
  noteBytes(order: "up" | "down" = "down", first = -1): void {
    const now = Uint8Array.from(this);
    const before = this.#last;
    if (before === null) return;
    const changed = [...now.keys()].filter((index) => now[index] !== before[index]);
    if (order === "down") changed.reverse();
    const at = changed.indexOf(first);
    if (at > 0) changed.unshift(...changed.splice(at, 1));
    const state = before.slice();
    for (const index of changed) {
      state[index] = now[index] as number;
      this.states.push(state.slice());
    }
    this.#last = now;
  }

  #note(): void {
    this.#last = Uint8Array.from(this);
    this.states.push(this.#last.slice());
  }
}

function recoveredSize(state: Uint8Array, magic: Magic): number {
  const result = recoverWithMagic(state.length, state, magic);
  const { Tail, Empty } = RecoveryKind;
  if (result.outcome !== Tail && result.outcome !== Empty) {
    throw new Error(`${RecoveryKind[result.outcome]} for ${state}`);
  }
  return result.tail;
}

/** Called for every one of some million states: it makes a text only on failure. */
function assertRecovers(state: Uint8Array, size: number, magic: Magic): void {
  if (recoveredSize(state, magic) !== size) {
    assertEquals(recoveredSize(state, magic), size, `${state}`);
  }
}

/** What opening does with a state, with all states between; each must recover to `size`. */
function cleanAndWatch(state: Uint8Array, size: number, magic: Magic): void {
  const bytes = new RecordingBytes(state.length);
  Uint8Array.prototype.set.call(bytes, state);
  bytes.start();
  cleanBehind(size, {
    region: {
      bytes,
      fileSize: bytes.length,
      // A pwrite inside one page: a kill leaves all of it or nothing.
      storeAtOnce: (stored, offset) => {
        bytes.noteBytes();
        Uint8Array.prototype.set.call(bytes, stored, offset);
        bytes.states.push(Uint8Array.from(bytes));
        const { states } = bytes;
        bytes.start();
        bytes.states = states;
      },
    },
    marks: new Marks(bytes, magic),
  });
  bytes.noteBytes();
  for (const between of bytes.states) assertRecovers(between, size, magic);
  const rest = bytes.subarray(size);
  if (bytes.some((byte) => byte !== 0)) {
    assertEquals([...rest.subarray(0, 8)], [...littleEndian(magic.tail)]);
    assert(rest.subarray(8).every((byte) => byte === 0), "zeros behind the mark");
  }
}

/** A file with `size` bytes of data out of `payload`, and its mark where there is data. */
function startingFile(payload: Uint8Array, { size, length, magic }: {
  size: number;
  length: number;
  magic: Magic;
}): RecordingBytes {
  const bytes = new RecordingBytes(length);
  Uint8Array.prototype.set.call(bytes, payload.subarray(0, size));
  if (size > 0) Uint8Array.prototype.set.call(bytes, littleEndian(magic.tail), size);
  return bytes;
}

/**
 * Writes bytes of `payload` behind `size` as `Appender.write` does. The data may be copied in any order:
 * beginnings, ends, and a middle stand for all.
 */
function statesOfWrite(bytes: RecordingBytes, payload: Uint8Array, size: number, end: number) {
  const marks = new Marks(bytes, magicOf(bytes));
  const before: Uint8Array[] = [];
  const after: Uint8Array[] = [];
  bytes.start();
  marks.begin(end, end - size);
  // The pending word may be torn where it does not overlap the mark: its bytes go up.
  bytes.noteBytes("up");
  before.push(...bytes.states);
  const pending = Uint8Array.from(bytes);
  for (let copied = 0; copied <= end - size; copied++) {
    const head = pending.slice();
    head.set(payload.subarray(size, size + copied), size);
    const tail = pending.slice();
    tail.set(payload.subarray(end - copied, end), end - copied);
    const middle = pending.slice();
    const half = copied >> 1;
    middle.set(payload.subarray(size + half, size + copied), size + half);
    before.push(head, tail, middle);
  }
  Uint8Array.prototype.set.call(bytes, payload.subarray(size, end), size);
  bytes.start();
  marks.commit(end);
  bytes.noteBytes("up", end + 4);
  after.push(...bytes.states);
  return { before, after };
}

const magics = new WeakMap<Uint8Array, Magic>();
function magicOf(bytes: Uint8Array): Magic {
  return magics.get(bytes) ?? magicDefault;
}

/** One magic for each way in which the marks are stored. */
const magicsToTry: Record<string, Magic> = {
  "the original's": magicDefault,
  "no ordinary number": new Magic(0xfff0_1234_5678_9abcn, magicCheckpoint),
  "a low fifth byte": new Magic(0x419b_9c02_0304_0506n, magicCheckpoint),
};

const isLong = Deno.env.get("COUNTD_TEST_LONG") !== undefined;
const lengths = isLong
  ? Array.from({ length: 40 }, (_, index) => index + 1)
  : [1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 25];
const rooms = isLong ? [0, 1, 7, 8, 30] : [0, 8];

for (const [name, magic] of Object.entries(magicsToTry)) {
  Deno.test(`A28 a write cut off at any store leaves the old size or the new (${name})`, () => {
    const random = new Random(seedForTest("marks"));
    const payloads = [
      new Uint8Array(80).fill(1),
      new Uint8Array(80),
      random.bytes(80),
      Uint8Array.from({ length: 80 }, (_, index) => littleEndian(magic.tail)[index % 8] as number),
      Uint8Array.from(
        { length: 80 },
        (_, index) => littleEndian(magic.checkpoint)[index % 8] as number,
      ),
    ];
    for (const payload of payloads) {
      for (const size of [0, 1, 3, 7, 8, 9, 17]) {
        for (const length of lengths) {
          for (const room of rooms) {
            const end = size + length;
            const options = { size, length: end + 8 + room, magic };
            const bytes = startingFile(payload, options);
            magics.set(bytes, magic);
            const { before, after } = statesOfWrite(bytes, payload, size, end);
            for (const state of before) assertRecovers(state, size, magic);
            for (const state of after) assertRecovers(state, end, magic);
            if (room % 8 === 0) {
              for (const state of before) cleanAndWatch(state, size, magic);
              for (const state of after) cleanAndWatch(state, end, magic);
            }
          }
        }
      }
    }
  });
}

Deno.test("A28 an append that used less is cut off at any store: the old size or the new", () => {
  const random = new Random(seedForTest("marks"));
  for (const size of [0, 1, 8, 13]) {
    for (let reserve = 1; reserve <= 30; reserve++) {
      for (let used = 0; used < reserve; used++) {
        for (const room of [0, 3, 8, 20]) {
          const limit = size + reserve;
          const payload = random.bytes(limit);
          const options = { size, length: limit + 8 + room, magic: magicDefault };
          const bytes = startingFile(payload, options);
          const marks = new Marks(bytes, magicDefault);
          marks.begin(limit, reserve);
          Uint8Array.prototype.set.call(bytes, payload.subarray(size), size);
          assertEquals(recoveredSize(bytes, magicDefault), size);
          bytes.start();
          if (used > 0) marks.shorten(limit, size + used);
          marks.takeBack(size + used, limit, bytes.length, (stored, offset) => {
            bytes.noteBytes();
            Uint8Array.prototype.set.call(bytes, stored, offset);
          });
          // At the end of the file the last store is one pwrite, and has no states between.
          if (bytes.length >= size + used + 16) bytes.noteBytes();
          for (const state of bytes.states) assertRecovers(state, size + used, magicDefault);
          assertRecovers(bytes, size + used, magicDefault);
          assertEquals([...bytes.subarray(0, size + used)], [...payload.subarray(0, size + used)]);
          assertEquals([...bytes.subarray(size + used, size + used + 8)], [...tailMark]);
          assert(bytes.subarray(size + used + 8).every((byte) => byte === 0));
        }
      }
    }
  }
});

Deno.test("The pending word holds the upper 24 bits of the tail mark and the length below", () => {
  const bytes = new Uint8Array(8);
  const pending = new Marks(bytes, magicDefault);
  for (const length of [1, 7, 8, 255, 256, 65536, 2 ** 24 + 3, 2 ** 32 - 1]) {
    pending.begin(0, length);
    const word = new DataView(bytes.buffer).getBigUint64(0, true);
    assertEquals(word & 0xff_ffff_ffffn, BigInt(length));
    assertEquals(word >> 40n, magicTail >> 40n);
  }
  pending.commit(0);
  assertEquals(bytes, tailMark);
});
