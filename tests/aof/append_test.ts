/** Appending through a function. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { Aof, type AppendFunc, ErrAppendFuncNil } from "../../src/aof/mod.ts";
import { UsageError } from "../../src/base/errors.ts";
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

Deno.test("Append adds the bytes that were used, and puts the mark behind them", async () => {
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

Deno.test("Append leaves the data and one mark, however much of a reservation was used", async () => {
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

Deno.test("Append up to the last byte of the upper size keeps the mark inside", async () => {
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

Deno.test("What an append function returns is clamped to the reservation", async () => {
  await withFile((path) => {
    using aof = Aof.open(storage, path, { geometry: creating() });
    assertEquals(aof.append(5, () => 100), 5);
    assertEquals(aof.append(5, () => -5), 0);
    assertEquals(aof.append(5, () => NaN), 0);
    assertEquals(aof.append(5, () => 2.9), 2);
    assertEquals(aof.size, 7);
  });
});

Deno.test("A missing append function is refused", async () => {
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

Deno.test("An append function that throws adds nothing, and the next write works", async () => {
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

Deno.test("Nothing else may be done to a file inside its append function", async () => {
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

Deno.test("Append wakes tailers", async () => {
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
