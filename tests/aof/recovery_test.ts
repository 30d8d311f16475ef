/** Recovery as a pure function over bytes. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  Magic,
  MAGIC_CHECKPOINT,
  MAGIC_TAIL,
  magicDefault,
  magicDisabled,
  recoverWithMagic,
  Recovery,
  recoveryDefault,
  RecoveryKind,
  recoveryReadOnly,
  type RecoveryResult,
} from "../../src/aof/mod.ts";
import { concat, littleEndian, tailMark, text } from "./support.ts";

const { Empty, Corrupted, Tail, Checkpoint, Panic } = RecoveryKind;
const checkpointMark = littleEndian(MAGIC_CHECKPOINT);

/** The parts behind each other, followed by zeros up to `length`. */
function file(length: number, ...parts: Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(length);
  bytes.set(concat(...parts));
  return bytes;
}

function recover(data: Uint8Array, fileSize = data.length): RecoveryResult {
  return recoverWithMagic(fileSize, data, magicDefault);
}

function assertFound(
  result: RecoveryResult,
  expected: { outcome: RecoveryKind; tail: number; checkpoint?: number },
): void {
  const { outcome, tail, checkpoint } = result;
  assertEquals({ outcome, tail, checkpoint }, { checkpoint: 0, ...expected });
}

Deno.test("The marks are the bytes of the original library", () => {
  assertEquals([...tailMark], [170, 36, 117, 84, 99, 156, 155, 65]);
  assertEquals([...checkpointMark], [44, 219, 31, 242, 165, 172, 120, 248]);
  assertEquals(MAGIC_TAIL, 4727544184288126122n);
});

Deno.test("A file of zeros is empty", () => {
  assertFound(recover(new Uint8Array(4096)), { outcome: Empty, tail: 0 });
});

Deno.test("Zeros at the end of the payload belong to it", () => {
  const data = file(4096, text("ab"), new Uint8Array(6), tailMark);
  assertFound(recover(data), { outcome: Tail, tail: 8 });
});

Deno.test("If the payload is a mark itself, the last mark counts", () => {
  for (const payload of [tailMark, checkpointMark, concat(text("x"), checkpointMark, tailMark)]) {
    const result = recover(file(4096, payload, tailMark));
    assertEquals([result.outcome, result.tail], [Tail, payload.length]);
    const finished = recover(concat(payload, checkpointMark));
    assertEquals([finished.outcome, finished.checkpoint], [Checkpoint, payload.length]);
  }
});

Deno.test("Garbage without any mark is corrupted, and its end is named", () => {
  assertFound(recover(file(4096, text("data and garbage"))), { outcome: Corrupted, tail: 16 });
});

Deno.test("Garbage behind a tail mark is corrupted too", () => {
  const data = file(4096, text("data"), tailMark, text("junk"));
  assertFound(recover(data), { outcome: Corrupted, tail: 16 });
  const apart = file(4096, text("data"), tailMark);
  apart.set(text("junk"), 100);
  assertFound(recover(apart), { outcome: Corrupted, tail: 104 });
});

Deno.test("With garbage behind a checkpoint mark the data ends at the checkpoint", () => {
  const data = file(4096, text("data"), checkpointMark, text("junk"));
  assertFound(recover(data), { outcome: Checkpoint, tail: 12, checkpoint: 4 });
});

Deno.test("The last of several checkpoint marks counts", () => {
  const data = file(4096, text("a"), checkpointMark, text("bc"), checkpointMark, text("junk"));
  assertFound(recover(data), { outcome: Checkpoint, tail: 19, checkpoint: 11 });
});

Deno.test("An unfinished file names the last checkpoint before its tail", () => {
  const data = file(4096, text("abc"), checkpointMark, text("more"), tailMark);
  assertFound(recover(data), { outcome: Tail, tail: 15, checkpoint: 3 });
});

Deno.test("A checkpoint mark at offset 0 is found", () => {
  const data = file(4096, checkpointMark, text("junk"));
  assertFound(recover(data), { outcome: Checkpoint, tail: 8, checkpoint: 0 });
});

Deno.test("Data in the first bytes of a file of any size is found", () => {
  for (let size = 4097; size <= 4103; size++) {
    for (let length = 0; length < 10; length++) {
      const payload = new Uint8Array(length).fill(7);
      assertFound(recover(file(size, payload, tailMark)), { outcome: Tail, tail: length });
    }
    assertFound(recover(file(size, text("x"))), { outcome: Corrupted, tail: 1 });
  }
});

Deno.test("A file shorter than a mark ends behind its last byte that is not zero", () => {
  assertFound(recover(new Uint8Array()), { outcome: Tail, tail: 0 });
  assertFound(recover(new Uint8Array(2)), { outcome: Empty, tail: 0 });
  assertFound(recover(text("ab")), { outcome: Tail, tail: 2 });
  assertFound(recover(file(7, text("ab"))), { outcome: Tail, tail: 2 });
});

Deno.test("A file that is larger than what is mapped is corrupted, with an error", () => {
  const result = recover(new Uint8Array(100), 101);
  assertEquals(result.outcome, Corrupted);
  assertStringIncludes(result.err?.message ?? "", "greater than the mapping");
});

Deno.test("Bytes of the mapping behind the file are not looked at", () => {
  const mapped = file(4096, text("ab"), tailMark, text("not mine"));
  assertFound(recover(mapped, 10), { outcome: Tail, tail: 2 });
});

Deno.test("A file of the tail mark alone has no data", () => {
  assertFound(recover(file(4096, tailMark)), { outcome: Tail, tail: 0 });
  assertFound(recover(tailMark.slice()), { outcome: Tail, tail: 0 });
});

Deno.test("A finished file without data is found", () => {
  assertFound(recover(checkpointMark.slice()), { outcome: Checkpoint, tail: 8, checkpoint: 0 });
});

Deno.test("Recovery looks the same at every alignment of its bytes in memory", () => {
  const data = file(103, text("some data"), tailMark);
  for (let shift = 0; shift < 9; shift++) {
    const shifted = new Uint8Array(data.length + shift).subarray(shift);
    shifted.set(data);
    assertFound(recover(shifted), { outcome: Tail, tail: 9 });
  }
});

Deno.test("Without marks the data ends behind the last byte that is not zero", () => {
  const result = recoverWithMagic(4096, file(4096, text("plain")), magicDisabled);
  assertFound(result, { outcome: Tail, tail: 5 });
});

Deno.test("Marks are in use when neither is 0", () => {
  assert(magicDefault.isEnabled() && !magicDefault.isDisabled());
  for (const magic of [new Magic(), new Magic(1n, 0n), new Magic(0n, 1n)]) {
    assert(magic.isDisabled() && !magic.isEnabled());
  }
});

Deno.test("Marks that could not be told apart end in the outcome Panic with an error", () => {
  for (const magic of [new Magic(1n, MAGIC_CHECKPOINT), new Magic(MAGIC_TAIL, MAGIC_TAIL + 1n)]) {
    const result = recoverWithMagic(4096, file(4096, text("x")), magic);
    assertEquals(result.outcome, Panic);
    assertStringIncludes(result.err?.message ?? "", "Invalid magic");
  }
});

Deno.test("A recovery function of one's own is asked, and what it throws is the outcome Panic", () => {
  const asked: unknown[] = [];
  const own = new Recovery({
    func: (fileSize, data, magic) => {
      asked.push(fileSize, data.length, magic.isDisabled());
      return { magic, outcome: Tail, fileSize, checkpoint: 0, tail: 42, err: null };
    },
  });
  assertEquals(own.run(64, new Uint8Array(128)).tail, 42);
  assertEquals(asked, [64, 128, true]);
  assertEquals(own.tail(), 42);
  const failing = new Recovery({
    func: () => {
      throw new Error("no idea");
    },
  });
  assertEquals(failing.run(1, new Uint8Array(1)).outcome, Panic);
  assertEquals(failing.err()?.message, "no idea");
});

Deno.test("A clone has the rules and not the result", () => {
  const recovery = recoveryDefault.clone();
  assertEquals(recovery.result(), null);
  recovery.run(4096, file(4096, text("ab"), tailMark));
  assertEquals(recovery.result()?.outcome, Tail);
  assertEquals(recovery.clone().result(), null);
  assertEquals(recovery.clone().magic, magicDefault);
  assertEquals(recoveryReadOnly.func, null);
});
