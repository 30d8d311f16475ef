/**
 * Every state that memory passes through while marks are moved, store by store and byte by byte, must
 * recover to the old size or the new one. No processes are killed here.
 */

import { assert, assertEquals } from "@std/assert";
import {
  Aof,
  Geometry,
  Magic,
  MAGIC_CHECKPOINT,
  MAGIC_TAIL,
  magicDefault,
  recoverWithMagic,
  Recovery,
  RecoveryKind,
} from "../../src/aof/mod.ts";
import { Marks } from "../../src/aof/marks/marks.ts";
import type { Mapping, StoredFile } from "../../src/file/mod.ts";
import { restoreTailMark } from "../../src/aof/file/parts.ts";
import { FullCount } from "../support/full_count.ts";
import { Random, seedForTest } from "../support/random.ts";
import { littleEndian, tailMark } from "./support.ts";

/**
 * Memory that keeps every state between two stores. `bytes` records its own `set`, `fill` and single
 * stores. Stores past it (by a DataView) are found by comparing, and count as torn from their first byte.
 */
class Recorder {
  readonly bytes: Uint8Array;
  readonly #memory: Uint8Array;
  states: Uint8Array[] = [];
  #last: Uint8Array | null = null;

  constructor(content: Uint8Array) {
    const memory = this.#memory = content.slice();
    const calls: Record<PropertyKey, unknown> = {
      set: (source: Uint8Array, offset = 0) => {
        this.note();
        memory.set(source, offset);
        // Eight bytes are one store, as their memmove is; more come in any order.
        if (source.length === 8) this.#noteWhole();
        else this.#noteAnyOrder();
      },
      fill: (value: number, start?: number, end?: number) => {
        this.note();
        memory.fill(value, start, end);
        this.#noteAnyOrder();
      },
    };
    this.bytes = new Proxy(memory, {
      get: (_, name) => {
        const value = calls[name] ?? Reflect.get(memory, name, memory);
        return typeof value === "function" ? value.bind(memory) : value;
      },
      set: (_, name, value) => {
        this.note();
        Reflect.set(memory, name, value, memory);
        this.#noteWhole();
        return true;
      },
    });
  }

  start(): void {
    this.states = [];
    this.#last = this.#memory.slice();
  }

  get content(): Uint8Array {
    return this.#memory;
  }

  /** Note stores that were not recorded: each byte is a state. */
  note(): void {
    this.#noteBytes((offsets) => offsets);
    this.#last = this.#memory.slice();
  }

  /** A pwrite inside one page: a kill leaves all of it or nothing. */
  storeAtOnce(stored: Uint8Array, offset: number): void {
    this.note();
    this.#memory.set(stored, offset);
    this.#noteWhole();
  }

  #noteWhole(): void {
    this.#last = this.#memory.slice();
    this.states.push(this.#last);
  }

  /** Three orders in place of all: from the beginning, from the end, and from the middle. */
  #noteAnyOrder(): void {
    this.#noteBytes((offsets) => offsets);
    this.#noteBytes((offsets) => offsets.toReversed());
    this.#noteBytes((offsets) => {
      const half = offsets.length >> 1;
      return [...offsets.slice(half), ...offsets.slice(0, half)];
    });
    this.#last = this.#memory.slice();
  }

  #noteBytes(order: (offsets: number[]) => number[]): void {
    const before = this.#last;
    if (before === null) return;
    const offsets: number[] = [];
    this.#memory.forEach((byte, offset) => byte !== before[offset] && offsets.push(offset));
    const state = before.slice();
    for (const offset of order(offsets)) {
      state[offset] = this.#memory[offset] as number;
      this.states.push(state.slice());
    }
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

/** Called for each of some million states, so it makes a text only on failure. */
function assertRecovers(state: Uint8Array, size: number, magic: Magic): void {
  if (recoveredSize(state, magic) !== size) {
    assertEquals(recoveredSize(state, magic), size, `${state}`);
  }
}

/** Open a state as a writer does; each state on the way must recover to `size`. */
function cleanAndWatch(state: Uint8Array, size: number, magic: Magic): void {
  const recorder = new Recorder(state);
  const { bytes } = recorder;
  const marks = new Marks(bytes, magic);
  recorder.start();
  restoreTailMark(size, {
    region: {
      bytes,
      fileSize: state.length,
      storeAtOnce: (stored, offset) => recorder.storeAtOnce(stored, offset),
    },
    marks,
  });
  recorder.note();
  for (const between of recorder.states) assertRecovers(between, size, magic);
  const { content } = recorder;
  if (content.some((byte) => byte !== 0)) assertEnds(content, size, magic);
}

/** The mark at `size`, and zeros behind it. */
function assertEnds(content: Uint8Array, size: number, magic: Magic): void {
  assertEquals([...content.subarray(size, size + 8)], [...littleEndian(magic.tail)]);
  assert(content.subarray(size + 8).every((byte) => byte === 0), "zeros behind the mark");
}

/** A file with `size` bytes of data out of `payload`, and its mark where there is data. */
function startingFile(payload: Uint8Array, { size, length, magic }: {
  size: number;
  length: number;
  magic: Magic;
}): Recorder {
  const content = new Uint8Array(length);
  content.set(payload.subarray(0, size));
  if (size > 0) content.set(littleEndian(magic.tail), size);
  return new Recorder(content);
}

/** An instance over recorded memory: the path of a write as it is. */
function openOver(recorder: Recorder, magic: Magic): Aof {
  const length = recorder.content.length;
  const unused = () => {
    throw new Error("not used here");
  };
  const file = {
    path: "memory",
    status: () => ({ size: length }),
    write: (bytes: Uint8Array, offset: number) => recorder.storeAtOnce(bytes, offset),
    allocate: unused,
    close: () => {},
  } as unknown as StoredFile;
  const mapping = { length, bytes: recorder.bytes, release: () => {} } as unknown as Mapping;
  const recovery = new Recovery({ magic, func: recoverWithMagic });
  // Sizes that are not whole pages, so that every end of a file is tried.
  const geometry = new Geometry({ sizeNow: length, sizeUpper: length, growthStep: 1, pageSize: 1 });
  return Aof.over(file, { geometry, recovery, mapping });
}

/** All states recover to the old size, and from one on to the new; returns them parted. */
function partStates(states: Uint8Array[], { size, end, magic }: {
  size: number;
  end: number;
  magic: Magic;
}): { before: Uint8Array[]; after: Uint8Array[] } {
  const first = states.findIndex((state) => recoveredSize(state, magic) !== size);
  const [before, after] = [states.slice(0, first), states.slice(first)];
  for (const state of after) assertRecovers(state, end, magic);
  return { before, after };
}

/** One magic for each way in which the marks are stored. */
const magicsToTry: Record<string, Magic> = {
  "the original's": magicDefault,
  "no ordinary number": new Magic(0xfff0_1234_5678_9abcn, MAGIC_CHECKPOINT),
  "a low fifth byte": new Magic(0x419b_9c02_0304_0506n, MAGIC_CHECKPOINT),
};

const lengths = Array.from({ length: 26 }, (_, index) => index + 1);
const rooms = [0, 7, 8];
const isNormalLength = (length: number) => length <= 9 || length === 13 || length === 25;
const isNormalRoom = (room: number) => room !== 7;

interface Write {
  readonly payload: Uint8Array;
  readonly size: number;
  readonly length: number;
  readonly room: number;
}

for (const [name, magic] of Object.entries(magicsToTry)) {
  const count = new FullCount(`killed writes, ${name}`);
  Deno.test(`A write killed at any store leaves the old size or the new (${name})`, () => {
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
    const writes = payloads.flatMap((payload) =>
      [0, 1, 3, 7, 8, 9, 17].flatMap((size) =>
        lengths.flatMap((length) => rooms.map((room): Write => ({ payload, size, length, room })))
      )
    );
    const isNormal = ({ size, length, room }: Write) =>
      [0, 1, 7, 9].includes(size) && isNormalLength(length) && isNormalRoom(room);
    for (const { payload, size, length, room } of count.choices(writes, isNormal)) {
      const end = size + length;
      const options = { size, length: end + 8 + room, magic };
      const recorder = startingFile(payload, options);
      const aof = openOver(recorder, magic);
      recorder.start();
      aof.write(payload.subarray(size, end));
      recorder.note();
      assertEnds(recorder.content, end, magic);
      const { before, after } = partStates(recorder.states, { size, end, magic });
      assert(before.length > 0 && after.length > 0, "the copy was watched");
      if (room % 8 === 0) {
        for (const state of before) cleanAndWatch(state, size, magic);
        for (const state of after) cleanAndWatch(state, end, magic);
      }
    }
  });
}

const appends = new FullCount("killed appends");

Deno.test("An append that used less than it reserved, killed at any store, leaves the old size or the new", () => {
  const random = new Random(seedForTest("marks"));
  const all = [0, 1, 8, 13].flatMap((size) =>
    lengths.flatMap((reserve) =>
      Array.from(
        { length: reserve },
        (_, used) => rooms.map((room) => ({ size, reserve, used, room })),
      )
        .flat()
    )
  );
  const isNormal = ({ reserve, room }: typeof all[number]) =>
    isNormalLength(reserve) && isNormalRoom(room);
  for (const { size, reserve, used, room } of appends.choices(all, isNormal)) {
    const limit = size + reserve;
    const payload = random.bytes(limit);
    const magic = magicDefault;
    const options = { size, length: limit + 8 + room, magic };
    const recorder = startingFile(payload, options);
    const aof = openOver(recorder, magic);
    recorder.start();
    const appended = aof.append(reserve, (event) => {
      event.bytes.set(payload.subarray(size), size);
      return used;
    });
    recorder.note();
    assertEquals(appended, used);
    if (used === 0) {
      for (const state of recorder.states) assertRecovers(state, size, magic);
    } else partStates(recorder.states, { size, end: size + used, magic });
    const { content } = recorder;
    assertEquals([...content.subarray(0, size + used)], [...payload.subarray(0, size + used)]);
    if (size + used > 0) assertEnds(content, size + used, magic);
  }
});

Deno.test("The pending word holds the upper 24 bits of the tail mark and the length below", () => {
  const bytes = new Uint8Array(8);
  const pending = new Marks(bytes, magicDefault);
  for (const length of [1, 7, 8, 255, 256, 65536, 2 ** 24 + 3, 2 ** 32 - 1]) {
    pending.begin(0, length);
    const word = new DataView(bytes.buffer).getBigUint64(0, true);
    assertEquals(word & 0xff_ffff_ffffn, BigInt(length));
    assertEquals(word >> 40n, MAGIC_TAIL >> 40n);
  }
  pending.commit(0);
  assertEquals(bytes, tailMark);
});
