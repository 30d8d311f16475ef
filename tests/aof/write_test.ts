/** Writing: A08 to A23 and A50. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  Aof,
  type AppendEvent,
  type AppendFunc,
  ErrAppendFuncNil,
  ErrClosed,
  ErrEndOfFile,
  ErrShortBuffer,
  ErrShrink,
  ErrWouldBlock,
  FileState,
  Geometry,
  recoverWithMagic,
  Recovery,
} from "../../src/aof/mod.ts";
import { UsageError } from "../../src/base/errors.ts";
import { OsError } from "../../src/file/mod.ts";
import { Faults, faultyStorage } from "../support/faulty_storage.ts";
import { Random, seedForTest } from "../support/random.ts";
import {
  concat,
  creating,
  dataOf,
  onDisk,
  Recorder,
  storage,
  tailMark,
  text,
  textOf,
  turns,
  withFile,
} from "./support.ts";

Deno.test("A08 write puts the tail mark straight after the data", async () => {
  await withFile((path) => {
    using aof = Aof.open(storage, path, { geometry: creating() });
    assertEquals(aof.write(text("hello")), 5);
    const expected = new Uint8Array(4096);
    expected.set(concat(text("hello"), tailMark));
    assertEquals(onDisk(path), expected);
    assertEquals(aof.size, 5);
  });
});

Deno.test("A09 a second write moves the mark", async () => {
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

Deno.test("A10 a write of nothing is refused and changes nothing", async () => {
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

Deno.test("A11 data and mark may fill the upper size exactly", async () => {
  await withFile((path) => {
    using aof = Aof.open(storage, path, { geometry: creating(4096) });
    assertEquals(aof.write(new Uint8Array(4088).fill(1)), 4088);
    assertEquals(onDisk(path).subarray(4088), tailMark);
  });
});

Deno.test("A12 one byte too many is refused, the file stays open, and finish works", async () => {
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

Deno.test("A12 after a refused write smaller ones still fit", async () => {
  await withFile((path) => {
    using aof = Aof.open(storage, path, { geometry: creating(4096) });
    aof.write(new Uint8Array(4080).fill(1));
    assertThrows(() => aof.write(new Uint8Array(9)), ErrEndOfFile);
    assertEquals(aof.write(new Uint8Array(8).fill(2)), 8);
  });
});

Deno.test("A13 the file grows by whole steps and never beyond the upper size", async () => {
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

Deno.test("A14 a non-blocking write beyond the file would block and writes nothing", async () => {
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

Deno.test("A15 after a blocking write a non-blocking one fits again", async () => {
  await withFile((path) => {
    using aof = Aof.open(storage, path, { geometry: creating() });
    assertThrows(() => aof.writeNonBlocking(new Uint8Array(4089)), ErrWouldBlock);
    aof.write(new Uint8Array(4089));
    assertEquals(aof.writeNonBlocking(new Uint8Array(4089 - 20)), 4069);
  });
});

Deno.test("A16 during an extension a non-blocking write would block, and readers go on", async () => {
  await withFile((path) => {
    const inside: unknown[] = [];
    const slow = {
      ...faultyStorage(storage, new Faults()),
      reach: (point: string) => {
        if (point !== "aof.extend.before") return;
        inside.push(textOf(dataOf(aof)));
        assertThrows(() => aof.writeNonBlocking(new Uint8Array(5000)), ErrWouldBlock);
        // A write that fits is not held up.
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

Deno.test("A17 a size below the data is refused", async () => {
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

Deno.test("A18 append adds what was used and puts the mark behind it", async () => {
  await withFile((path) => {
    using aof = Aof.open(storage, path, { geometry: creating() });
    aof.write(text("before"));
    const used = aof.append(10, (event) => {
      assertEquals([event.begin, event.end, event.tail.length], [6, 16, 10]);
      assertEquals(textOf(event.file().subarray(0, 6)), "before");
      assertEquals(event.file().length, 16);
      event.tail.set(text("abcdefghij"));
      return 3;
    });
    assertEquals([used, aof.size], [3, 9]);
    const expected = new Uint8Array(4096);
    expected.set(concat(text("beforeabc"), tailMark));
    assertEquals(onDisk(path), expected);
  });
});

Deno.test("A18 append of every use of every reservation leaves the data and one mark", async () => {
  await withFile((path) => {
    using aof = Aof.open(storage, path, { geometry: creating() });
    const expected: number[] = [];
    for (let reserve = 0; reserve <= 40; reserve++) {
      for (let used = 0; used <= reserve; used++) {
        aof.append(reserve, (event) => {
          event.tail.fill(255);
          for (let index = 0; index < used; index++) event.tail[index] = index + 1;
          return used;
        });
        for (let index = 0; index < used; index++) expected.push(index + 1);
      }
    }
    assertEquals([...dataOf(aof)], expected);
    assertEquals(onDisk(path).subarray(aof.size, aof.size + 8), tailMark);
    assert(onDisk(path).subarray(aof.size + 8).every((byte) => byte === 0));
  });
});

Deno.test("A18 append up to the last byte of the upper size keeps the mark inside", async () => {
  for (let used = 0; used <= 20; used++) {
    await withFile((path) => {
      using aof = Aof.open(storage, path, { geometry: creating(4096) });
      aof.write(new Uint8Array(4068).fill(1));
      aof.append(20, (event) => {
        event.tail.fill(2);
        return used;
      });
      assertEquals(aof.size, 4068 + used);
      assertEquals(onDisk(path).subarray(aof.size, aof.size + 8), tailMark);
      assert(onDisk(path).subarray(aof.size + 8).every((byte) => byte === 0));
    });
  }
});

Deno.test("A19 what an append function returns is held to the reservation", async () => {
  await withFile((path) => {
    using aof = Aof.open(storage, path, { geometry: creating() });
    assertEquals(aof.append(5, () => 100), 5);
    assertEquals(aof.append(5, () => -5), 0);
    assertEquals(aof.append(5, () => NaN), 0);
    assertEquals(aof.append(5, () => 2.9), 2);
    assertEquals(aof.size, 7);
  });
});

Deno.test("A20 a missing append function is refused", async () => {
  await withFile((path) => {
    using aof = Aof.open(storage, path, { geometry: creating() });
    const nothing = null as unknown as AppendFunc;
    for (
      const append of [() => aof.append(1, nothing), () => aof.appendNonBlocking(1, nothing)]
    ) {
      assertEquals(assertThrows(append, ErrAppendFuncNil).code, "ErrAppendFuncNil");
    }
    for (const reserve of [-1, 0.5, NaN]) {
      assertThrows(() => aof.append(reserve, () => 0), UsageError, "reserve");
    }
  });
});

Deno.test("A21 after an append function that throws nothing is added and the next write works", async () => {
  await withFile((path) => {
    using aof = Aof.open(storage, path, { geometry: creating() });
    aof.write(text("kept"));
    for (const append of ["append", "appendNonBlocking"] as const) {
      for (const reserve of [1, 5, 8, 100]) {
        assertThrows(
          () =>
            aof[append](reserve, (event) => {
              event.tail.fill(9);
              throw new RangeError("no more");
            }),
          RangeError,
          "no more",
        );
        const expected = new Uint8Array(4096);
        expected.set(concat(text("kept"), tailMark));
        assertEquals(onDisk(path), expected);
      }
    }
    aof.write(text(" on"));
    assertEquals(textOf(dataOf(aof)), "kept on");
  });
});

Deno.test("A21 nothing else may be done to a file inside its append function", async () => {
  await withFile((path) => {
    using aof = Aof.open(storage, path, { geometry: creating() });
    for (
      const call of [
        () => aof.write(text("x")),
        () => aof.append(1, () => 1),
        () => aof.extend(8192),
        () => aof.finish(),
        () => aof.close(),
      ]
    ) {
      assertThrows(
        () =>
          aof.append(4, () => {
            call();
            return 4;
          }),
        UsageError,
        "inside an append function",
      );
    }
    assertEquals([aof.size, aof.append(1, () => 1)], [0, 1]);
  });
});

Deno.test("A22 append wakes tailers", async () => {
  await withFile(async (path) => {
    using aof = Aof.open(storage, path, { geometry: creating() });
    const recorder = new Recorder();
    aof.subscribe(recorder);
    await turns();
    assertEquals(recorder.seen, []);
    aof.append(2, (event) => {
      event.tail.set(text("hi"));
      return 2;
    });
    await turns();
    assertEquals(recorder.seen.map(({ text, reason }) => [text, reason]), [["hi", 1]]);
  });
});

Deno.test("A23 without a tailer writes and finish work", async () => {
  await withFile((path) => {
    using aof = Aof.open(storage, path, { geometry: creating() });
    aof.write(text("alone"));
    aof.append(1, () => 1);
    aof.wake();
    aof.finish();
    assertEquals(aof.size, 6);
  });
});

Deno.test("A50 where the disk is full the data stands, and writes go on when there is room", async () => {
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

Deno.test("A50 on a disk that is really full the error comes before any store", async () => {
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

Deno.test("Without marks only the data is stored", async () => {
  await withFile((path) => {
    const recovery = new Recovery({ func: recoverWithMagic });
    {
      using aof = Aof.open(storage, path, { geometry: creating(4096), recovery });
      aof.write(new Uint8Array(4000).fill(1));
      aof.append(96, (event) => {
        event.tail.fill(2);
        return 90;
      });
      assertEquals(aof.checkpoint(), 4090);
      assertEquals(aof.write(new Uint8Array(6).fill(3)), 6);
    }
    using aof = Aof.open(storage, path, { recovery });
    assertEquals(aof.size, 4096);
    aof.finish();
    assertEquals(storage.status(path).size, 4096);
  }, { damaged: true });
});

Deno.test("Checkpoint makes durable, marks, and names the place; writing goes on", async () => {
  await withFile((path) => {
    {
      using aof = Aof.open(storage, path, { geometry: creating() });
      aof.write(text("one"));
      assertEquals(aof.checkpoint(), 3);
      assertEquals(aof.size, 11);
      aof.write(text("two"));
    }
    using aof = Aof.open(storage, path);
    const { tail, checkpoint } = aof.recovery.result() ?? {};
    assertEquals([aof.state, tail, checkpoint], [FileState.Opened, 14, 3]);
  });
});

Deno.test("Sync and flush act once for each size", async () => {
  await withFile(async (path) => {
    const faults = new Faults();
    await using aof = Aof.open(faultyStorage(storage, faults), path, { geometry: creating() });
    const syncs = () => faults.count("sync");
    aof.write(text("a"));
    assertEquals(aof.sync(), 1);
    // The first sync of a file that was made names it durably too.
    assertEquals(syncs(), 2);
    assertEquals([aof.sync(), await aof.syncAsync(), syncs()], [1, 1, 2]);
    aof.write(text("b"));
    assertEquals([await aof.syncAsync(), syncs()], [2, 3]);
    aof.flush();
    aof.flush();
    assertEquals(syncs(), 4);
  });
});

Deno.test("After a sync that failed nothing is written or synced any more", async () => {
  await withFile(async (path) => {
    const faults = new Faults();
    using aof = Aof.open(faultyStorage(storage, faults), path, { geometry: creating() });
    aof.write(text("a"));
    faults.failAt("sync", 1, "EIO");
    const failure = await assertRejects(() => aof.syncAsync(), OsError);
    assertEquals(failure.code, "EIO");
    for (
      const call of [
        () => aof.sync(),
        () => aof.write(text("b")),
        () => aof.append(1, () => 1),
        () => aof.finish(),
      ]
    ) {
      assertEquals(assertThrows(call, OsError), failure);
    }
    assertEquals(textOf(dataOf(aof)), "a");
  });
});

Deno.test("Closed files refuse everything, and their memory is gone", async () => {
  await withFile((path) => {
    const aof = Aof.open(storage, path, { geometry: creating() });
    const { bytes } = aof;
    aof.write(text("a"));
    aof.close();
    assertEquals([aof.state, aof.bytes.length, bytes.length], [FileState.Closed, 0, 0]);
    for (
      const call of [
        () => aof.write(text("b")),
        () => aof.append(1, () => 1),
        () => aof.extend(8192),
        () => aof.sync(),
        () => aof.flush(),
        () => aof.finish(),
        () => aof.wake(),
        () => aof.subscribe(new Recorder()),
        () => aof.close(),
      ]
    ) {
      assertEquals(assertThrows(call, ErrClosed).code, "ErrClosed");
    }
    aof[Symbol.dispose]();
  });
});

Deno.test("Await using waits for a sync in flight", async () => {
  await withFile(async (path) => {
    const aof = Aof.open(storage, path, { geometry: creating() });
    aof.write(text("a"));
    const syncing = aof.syncAsync();
    aof.close();
    assertEquals(aof.state, FileState.Closing);
    await aof[Symbol.asyncDispose]();
    assertEquals([aof.state, await syncing], [FileState.Closed, 1]);
  });
});
