/** The scanner of name fields: it is assembled from its source, and agrees with the plain function. */

import { createRequire } from "node:module";
import { assertEquals } from "@std/assert";
import { fieldNameLength } from "../../../src/counters/wire/field.ts";
import {
  FIELD_BROKEN,
  FIELD_SAME,
  MessageScanner,
  SCAN_PROGRAM,
} from "../../../src/counters/wire/scan_messages.ts";
import { writeMessageBytes } from "../../../src/counters/wire/mod.ts";
import { installPackage } from "../../support/npm_package.ts";
import { FullCount } from "../../support/full_count.ts";
import { Random, seedForTest } from "../../support/random.ts";
import { withTemporaryDirectory } from "../../support/temporary.ts";

const ASSEMBLER = "wabt@1.0.39";

/** The part of the npm package `wabt` that is used here. */
type Assembler = () => Promise<{
  parseWat(name: string, text: string, features: { simd: boolean }): {
    toBinary(options: object): { readonly buffer: Uint8Array };
  };
}>;

Deno.test("The program of the scanner is scan_messages.wat, assembled", async () => {
  await withTemporaryDirectory(async (directory) => {
    if (!await installPackage(ASSEMBLER, directory)) return;
    const assembler = createRequire(`${directory}/`)("wabt") as Assembler;
    const text = Deno.readTextFileSync(
      new URL("../../../src/counters/wire/scan_messages.wat", import.meta.url),
    );
    const parsed = (await assembler()).parseWat("scan_messages.wat", text, { simd: true });
    const bytes = parsed.toBinary({}).buffer;
    // Printed, so that after a change of the source the new program is found here.
    const program = btoa(String.fromCharCode(...bytes));
    assertEquals(program, SCAN_PROGRAM, `Put this into scan_messages.ts: ${program}`);
  });
});

/** A field with a name, and perhaps a stray byte after its NUL. */
function randomField(random: Random, size: number): Uint8Array {
  const field = new Uint8Array(size);
  const length = random.below(size + 1);
  field.set(random.bytes(length).map((byte) => byte === 0 ? 0x80 : byte));
  if (random.chance(0.3)) field[random.below(size)] = random.pick([0, 1, 0x80, 0xff]);
  return field;
}

const count = new FullCount("scan messages");

Deno.test("The scanner agrees with the plain function on every field", () => {
  const random = new Random(seedForTest("scan messages"));
  const scanner = MessageScanner.get();
  for (const _ of count.rounds(1000, 20_000)) {
    const sizes = {
      keyspaceSize: 16 * random.between(1, 16),
      keySize: 16 * random.between(1, 16),
    };
    const messageBytes = writeMessageBytes(sizes);
    const count = random.between(1, Math.min(40, MessageScanner.runMessages(sizes)));
    const at = random.below(20);
    const source = random.bytes(at + count * messageBytes);
    const expected: number[] = [];
    let before = "";
    for (let message = 0; message < count; message++) {
      const keyspaceAt = at + message * messageBytes + 8;
      const keyAt = keyspaceAt + sizes.keyspaceSize;
      if (message === 0 || random.chance(0.4)) {
        source.set(randomField(random, sizes.keyspaceSize), keyspaceAt);
      } else {
        source.copyWithin(keyspaceAt, keyspaceAt - messageBytes, keyAt - messageBytes);
      }
      source.set(randomField(random, sizes.keySize), keyAt);
      const keyspace = source.subarray(keyspaceAt, keyAt).join();
      expected.push(
        message > 0 && keyspace === before ? FIELD_SAME : look(source, keyspaceAt, keyAt),
        look(source, keyAt, keyAt + sizes.keySize),
      );
      before = keyspace;
    }
    scanner.scan(source, at, count, sizes);
    assertEquals([...scanner.fields.subarray(0, 2 * count)], expected);
  }
});

function look(bytes: Uint8Array, start: number, end: number): number {
  const length = fieldNameLength(bytes, start, end);
  return length < 0 ? FIELD_BROKEN : length;
}
