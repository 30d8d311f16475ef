/** Writing. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  Aof,
  type AppendEvent,
  ErrEndOfFile,
  ErrShortBuffer,
  ErrShrink,
  ErrWouldBlock,
  FileState,
  Geometry,
} from "../../src/aof/mod.ts";
import { OsError } from "../../src/file/mod.ts";
import { Faults, faultyStorage } from "../support/faulty_storage.ts";
import { Random, seedForTest } from "../support/random.ts";
import {
  concat,
  creating,
  dataOf,
  onDisk,
  storage,
  tailMark,
  text,
  textOf,
  withFile,
} from "./support.ts";

Deno.test("Write puts the tail mark straight after the data", async () => {
  await withFile((path) => {
    using aof = Aof.open(storage, path, { geometry: creating() });
    assertEquals(aof.write(text("hello")), 5);
    const expected = new Uint8Array(4096);
    expected.set(concat(text("hello"), tailMark));
    assertEquals(onDisk(path), expected);
    assertEquals(aof.size, 5);
  });
});

Deno.test("A second write moves the mark", async () => {
  await withFile((path) => {
    using aof = Aof.open(storage, path, { geometry: creating() });
    aof.write(text("hello"));
    aof.write(text("world"));
    const expected = new Uint8Array(4096);
    expected.set(concat(text("helloworld"), tailMark));
    assertEquals(onDisk(path), expected);
    assertEquals(aof.size, 10);
  });
});

Deno.test("A write of nothing is refused and changes nothing", async () => {
  await withFile((path) => {
    using aof = Aof.open(storage, path, { geometry: creating() });
    aof.write(text("a"));
    const before = onDisk(path);
    for (
      const write of [
        () => aof.write(new Uint8Array()),
        () => aof.writeNonBlocking(new Uint8Array()),
      ]
    ) {
      assertEquals(assertThrows(write, ErrShortBuffer).code, "ErrShortBuffer");
    }
    assertEquals(onDisk(path), before);
    assertEquals(aof.write(text("b")), 1);
  });
});

Deno.test("Data and mark may fill the upper size exactly", async () => {
  await withFile((path) => {
    using aof = Aof.open(storage, path, { geometry: creating(4096) });
    assertEquals(aof.write(new Uint8Array(4088).fill(1)), 4088);
    assertEquals(onDisk(path).subarray(4088), tailMark);
  });
});

Deno.test("One byte too many is refused, the file stays open, and finish works", async () => {
  await withFile((path) => {
    using aof = Aof.open(storage, path, { geometry: creating(4096) });
    aof.write(new Uint8Array(4088).fill(1));
    for (const write of [() => aof.write(text("x")), () => aof.writeNonBlocking(text("x"))]) {
      assertEquals(assertThrows(write, ErrEndOfFile).code, "ErrEndOfFile");
    }
    assertThrows(() => aof.append(1, () => 1), ErrEndOfFile);
    assertEquals([aof.state, aof.size], [FileState.Opened, 4088]);
    aof.finish();
    assertEquals(storage.status(path).size, 4096);
  });
});

Deno.test("After a refused write smaller ones still fit", async () => {
  await withFile((path) => {
    using aof = Aof.open(storage, path, { geometry: creating(4096) });
    aof.write(new Uint8Array(4080).fill(1));
    assertThrows(() => aof.write(new Uint8Array(9)), ErrEndOfFile);
    assertEquals(aof.write(new Uint8Array(8).fill(2)), 8);
  });
});

Deno.test("The file grows by whole steps and never beyond the upper size", async () => {
  await withFile((path) => {
    const geometry = new Geometry({ create: true, sizeUpper: 20480, growthStep: 8192 });
    using aof = Aof.open(storage, path, { geometry });
    assertEquals(aof.fileSize, 4096);
    aof.write(new Uint8Array(5000));
    assertEquals([aof.fileSize, storage.status(path).size], [8192, 8192]);
    aof.write(new Uint8Array(3184));
    assertEquals(aof.fileSize, 8192);
    aof.write(text("x"));
    assertEquals(aof.fileSize, 16384);
    aof.write(new Uint8Array(20480 - 8 - aof.size));
    assertEquals([aof.fileSize, storage.status(path).size], [20480, 20480]);
    assertEquals(aof.fileStats.extensions, 3);
  });
});

Deno.test("A non-blocking write beyond the file would block and writes nothing", async () => {
  await withFile((path) => {
    using aof = Aof.open(storage, path, { geometry: creating() });
    aof.write(text("kept"));
    const before = onDisk(path);
    const error = assertThrows(() => aof.writeNonBlocking(new Uint8Array(5000)), ErrWouldBlock);
    assertEquals([error.code, error.kind], ["ErrWouldBlock", "try-again"]);
    assertThrows(() => aof.appendNonBlocking(5000, () => 1), ErrWouldBlock);
    assertEquals(onDisk(path), before);
    assertEquals(aof.size, 4);
    assertEquals(aof.writeNonBlocking(new Uint8Array(4084)), 4084);
    assertEquals(aof.fileStats.wouldBlocks, 2);
  });
});

Deno.test("After a blocking write a non-blocking one fits again", async () => {
  await withFile((path) => {
    using aof = Aof.open(storage, path, { geometry: creating() });
    assertThrows(() => aof.writeNonBlocking(new Uint8Array(4089)), ErrWouldBlock);
    aof.write(new Uint8Array(4089));
    assertEquals(aof.writeNonBlocking(new Uint8Array(4089 - 20)), 4069);
  });
});

Deno.test("During an extension a non-blocking write would block, and readers go on", async () => {
  await withFile((path) => {
    const inside: unknown[] = [];
    const slow = {
      ...faultyStorage(storage, new Faults()),
      reach: (point: string) => {
        if (point !== "aof.extend.before") return;
        inside.push(textOf(dataOf(aof)));
        assertThrows(() => aof.writeNonBlocking(new Uint8Array(5000)), ErrWouldBlock);
        // A write that fits does not wait.
        aof.writeNonBlocking(text("!"));
        inside.push(aof.size);
      },
    };
    using aof: Aof = Aof.open(slow, path, { geometry: creating() });
    aof.write(text("data"));
    aof.extend(8192);
    assertEquals(inside, ["data", 5]);
    assertEquals(aof.writeNonBlocking(new Uint8Array(5000)), 5000);
    assertEquals(textOf(dataOf(aof).subarray(0, 5)), "data!");
  });
});

Deno.test("A size below the data is refused", async () => {
  await withFile((path) => {
    using aof = Aof.open(storage, path, { geometry: creating() });
    aof.write(new Uint8Array(5000));
    const error = assertThrows(() => aof.extend(4096), ErrShrink);
    assertEquals(error.code, "ErrShrink");
    assertThrows(() => aof.extend(5007), ErrShrink);
    aof.extend(5008);
    assertEquals(aof.fileSize, 8192);
    assertThrows(() => aof.extend(65537), ErrEndOfFile);
    aof.extend(65536);
    assertEquals([aof.fileSize, aof.fileStats.extensionsAhead], [65536, 1]);
  });
});

Deno.test("Without a tailer writes and finish work", async () => {
  await withFile((path) => {
    using aof = Aof.open(storage, path, { geometry: creating() });
    aof.write(text("alone"));
    aof.append(1, () => 1);
    aof.wake();
    aof.finish();
    assertEquals(aof.size, 6);
  });
});

Deno.test("On a full disk the data stays, and writes go on once there is space", async () => {
  await withFile((path) => {
    const faults = new Faults();
    using aof = Aof.open(faultyStorage(storage, faults), path, { geometry: creating() });
    aof.write(text("safe"));
    let expected = "safe";
    for (const code of ["ENOSPC", "EDQUOT", "EFBIG"]) {
      faults.failAt("allocate", 1, code);
      assertEquals(assertThrows(() => aof.write(new Uint8Array(5000)), OsError).code, code);
      assertEquals([textOf(dataOf(aof)), aof.fileSize], [expected, 4096]);
      aof.write(text("!"));
      expected += "!";
      assertEquals(onDisk(path).subarray(aof.size, aof.size + 8), tailMark);
    }
    assertEquals(aof.write(new Uint8Array(5000)), 5000);
  });
});

Deno.test("On a disk that is really full the error comes before any store", async () => {
  const { SimulatedDisk } = await import("../support/simulated_disk.ts");
  const disk = new SimulatedDisk({ sizeBytes: 8 * 4096 });
  const simulated = disk.process("writer");
  simulated.makeDirectory("/d", 0o700);
  using aof = Aof.open(simulated, "/d/log", { geometry: creating(2 ** 20) });
  let written = 0;
  const error = assertThrows(() => {
    for (;;) written += aof.write(new Uint8Array(1000).fill(5));
  }, OsError);
  assertEquals(error.code, "ENOSPC");
  assert(written > 4096 && aof.size === written);
  assert(dataOf(aof).every((byte) => byte === 5));
  assertEquals(disk.space.storesIntoHoles, 0);
});

Deno.test("Random writes and appends are the same after every opening", async () => {
  const random = new Random(seedForTest("writes"));
  await withFile((path) => {
    let expected: Uint8Array = new Uint8Array();
    for (let session = 0; session < 10; session++) {
      using aof = Aof.open(storage, path, {
        geometry: new Geometry({ create: true, sizeUpper: 2 ** 20, growthStep: 4096 * 3 }),
      });
      assertEquals(dataOf(aof), expected);
      for (let count = 0; count < 50; count++) {
        const bytes = random.bytes(random.between(1, random.chance(0.1) ? 3000 : 40));
        if (random.chance(0.5)) {
          aof.write(bytes);
          expected = concat(expected, bytes);
          continue;
        }
        const used = random.between(0, bytes.length);
        aof.append(bytes.length, (event: AppendEvent) => {
          event.tail.set(bytes);
          return used;
        });
        expected = concat(expected, bytes.subarray(0, used));
      }
      assertEquals(dataOf(aof), expected);
    }
  });
});
