/**
 * Recovers the runtime base of a small executable with the layout of `deno compile`: the base comes back
 * byte for byte, and anything else is refused. (The real one is recovered
 * and run by tests/binary/verbs_test.ts.)
 */

import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { fetchRuntimeBase, recoverRuntimeBase, requireSha256 } from "../support/runtime_base.ts";
import { Random, seedForTest } from "../support/random.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";

const PROGRAMS = 3;
const SECTIONS = 5;
const NAMES_INDEX = 4;

interface Tables {
  readonly programs: number;
  readonly programCount: number;
  readonly sections: number;
  readonly sectionCount: number;
}

function setTables(file: Uint8Array, tables: Tables): void {
  const view = new DataView(file.buffer);
  view.setBigUint64(0x20, BigInt(tables.programs), true);
  view.setBigUint64(0x28, BigInt(tables.sections), true);
  view.setUint16(0x38, tables.programCount, true);
  view.setUint16(0x3c, tables.sectionCount, true);
  view.setUint16(0x3e, NAMES_INDEX, true);
}

/** header | program headers | content | section table, whose first entry is all zeros. */
function makeBase(random: Random, contentBytes: number): Uint8Array<ArrayBuffer> {
  const sections = 64 + PROGRAMS * 56 + contentBytes;
  const file = new Uint8Array(sections + SECTIONS * 64);
  file.set(random.bytes(file.length));
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1]);
  file.fill(0, sections, sections + 64);
  setTables(file, { programs: 64, programCount: PROGRAMS, sections, sectionCount: SECTIONS });
  return file;
}

/** Appends as `deno compile` does: tables moved behind the base, with the note between them. */
function append(base: Uint8Array, note: Uint8Array): Uint8Array<ArrayBuffer> {
  const programs = Math.ceil(base.length / 4096) * 4096;
  const programCount = PROGRAMS + 2;
  const noteAt = programs + programCount * 56;
  const sections = noteAt + note.length;
  const file = new Uint8Array(sections + (SECTIONS + 2) * 64);
  const view = new DataView(file.buffer);
  file.set(base);
  file.set(base.subarray(64, 64 + PROGRAMS * 56), programs);
  const load = programs + PROGRAMS * 56;
  view.setUint32(load, 1, true);
  view.setBigUint64(load + 8, BigInt(programs), true);
  view.setUint32(load + 56, 4, true);
  file.set(note, noteAt);
  const oldSections = base.length - SECTIONS * 64;
  file.set(base.subarray(oldSections), sections);
  view.setBigUint64(sections + NAMES_INDEX * 64 + 24, 1n); // the section of names has moved
  setTables(file, { programs, programCount, sections, sectionCount: SECTIONS + 2 });
  return file;
}

Deno.test("What deno compile appended is removed, and the base is as before", () => {
  const random = new Random(seedForTest("runtime base"));
  const seen = new Set<number>();
  for (let round = 0; round < 50; round++) {
    const base = makeBase(random, 4096 + random.below(9000));
    seen.add(base.length % 4096);
    assertEquals(recoverRuntimeBase(append(base, random.bytes(random.between(1, 5000)))), base);
  }
  // Also if the base ends just before, at, or just behind a page.
  for (const beyond of [-1, 0, 1]) {
    const base = makeBase(random, 3 * 4096 + beyond - 64 - PROGRAMS * 56 - SECTIONS * 64);
    assertEquals(base.length % 4096, (4096 + beyond) % 4096);
    assertEquals(recoverRuntimeBase(append(base, random.bytes(100))), base);
  }
});

Deno.test("A truncated executable is refused wherever it is cut", () => {
  const random = new Random(seedForTest("runtime base, truncated"));
  const file = append(makeBase(random, 6000), random.bytes(500));
  for (let length = 0; length < file.length; length += random.between(1, 50)) {
    assertThrows(() => recoverRuntimeBase(file.slice(0, length)), Error, "Cannot recover");
  }
});

Deno.test("An executable with other tables or other bytes between them is refused", () => {
  const random = new Random(seedForTest("runtime base, altered"));
  const base = makeBase(random, 6000);
  const made = append(base, random.bytes(500));
  const programs = Math.ceil(base.length / 4096) * 4096;
  const sections = base.length - SECTIONS * 64;
  const alter = (offset: number) => {
    const other = made.slice();
    other[offset] = (other[offset] ?? 0) ^ 1;
    return other;
  };
  const refused: [string, number][] = [
    ["not a 64-bit", 0],
    ["not a 64-bit", 4],
    ["does not end the file", 0x28],
    ["does not end the file", 0x3c],
    ["nothing was appended", 0x20],
    ["not those of an appended note", 0x38],
    ["not those of an appended note", programs + PROGRAMS * 56],
    ["not those of an appended note", programs + PROGRAMS * 56 + 8],
    ["not those of an appended note", programs + (PROGRAMS + 1) * 56],
    ["was not found", base.length], // a byte of the pad
    ["was not found", programs - 1],
    ["was not found", sections + 70], // an entry of the base's table
    ["was not found", made.length - (SECTIONS + 2) * 64 + 70], // the same entry in the copy
  ];
  for (const [said, offset] of refused) {
    assertThrows(() => recoverRuntimeBase(alter(offset)), Error, said);
  }
  assertThrows(() => recoverRuntimeBase(base), Error, "nothing was appended");
  assertThrows(() => recoverRuntimeBase(new Uint8Array(100)), Error, "not a 64-bit");
});

Deno.test("A base whose bytes differ from the pinned ones is refused", async () => {
  const bytes = new TextEncoder().encode("abc");
  const sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  await requireSha256(bytes, "The text", sha256);
  bytes[0] = 0x62;
  await assertRejects(() => requireSha256(bytes, "The text", sha256), Error, "refused");
});

Deno.test("A base in the cache that was altered is refused before it is used", async () => {
  await withTemporaryDirectory(async (directory) => {
    Deno.writeTextFileSync(`${directory}/denort-2.9.4`, "other");
    await assertRejects(() => fetchRuntimeBase(directory), Error, "refused");
  });
});
