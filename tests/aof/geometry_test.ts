import { assertEquals, assertThrows } from "@std/assert";
import {
  createFile,
  ErrEndOfFile,
  Geometry,
  GROWTH_STEP_DEFAULT,
  openFile,
  SIZE_NOW_DEFAULT,
  SIZE_UPPER_DEFAULT,
  SIZE_UPPER_MAX,
} from "../../src/aof/mod.ts";
import { UsageError } from "../../src/base/errors.ts";

const page = 4096;

Deno.test("The defaults are one page, one page a step, 16 MiB at most", () => {
  const geometry = createFile().validate(page);
  assertEquals(geometry.sizeNow, SIZE_NOW_DEFAULT);
  assertEquals(geometry.growthStep, GROWTH_STEP_DEFAULT);
  assertEquals(geometry.sizeUpper, SIZE_UPPER_DEFAULT);
  assertEquals(geometry.create, true);
  assertEquals(openFile.create, false);
});

Deno.test("Validate rounds up to whole pages of the system and keeps the upper size the larger", () => {
  const geometry = new Geometry({ sizeNow: 5000, sizeUpper: 6000, growthStep: 1 }).validate(page);
  assertEquals([geometry.sizeNow, geometry.sizeUpper, geometry.growthStep], [8192, 8192, 4096]);
  const large = new Geometry({ sizeNow: 1, growthStep: -5 }).validate(16384);
  assertEquals([large.sizeNow, large.growthStep, large.pageSize], [16384, 16384, 16384]);
  const now = new Geometry({ sizeNow: 2 ** 20, sizeUpper: page }).validate(page);
  assertEquals(now.sizeUpper, 2 ** 20);
});

Deno.test("Validate refuses sizes that are no whole bytes or too large", () => {
  for (const sizeUpper of [0.5, NaN, Infinity, SIZE_UPPER_MAX + 1]) {
    assertThrows(() => new Geometry({ sizeUpper }).validate(page), UsageError, "sizeUpper");
  }
});

Deno.test("With changes what is named and keeps the rest", () => {
  const geometry = createFile().with({ sizeNow: 8192, sizeUpper: 65536, growthStep: 4096 });
  assertEquals({ ...geometry }, {
    sizeNow: 8192,
    sizeUpper: 65536,
    growthStep: 4096,
    pageSize: page,
    create: true,
  });
  assertEquals(geometry.withSizeNow(12288).sizeNow, 12288);
  assertEquals(geometry.withSizeNow(12288).sizeUpper, 65536);
  assertEquals(geometry.sizeNow, 8192);
});

Deno.test("Next gives whole steps in whole pages, never beyond the upper size", () => {
  const geometry = new Geometry({ sizeNow: page, sizeUpper: 40960, growthStep: 12288 }).validate(
    page,
  );
  const next = [0, 1, 4096, 4097, 12288, 12289, 24577, 36865, 40960].map((size) =>
    geometry.next(size)
  );
  assertEquals(next, [4096, 4096, 4096, 12288, 12288, 24576, 36864, 40960, 40960]);
  assertThrows(() => geometry.next(40961), ErrEndOfFile);
});

Deno.test("Next is a whole number of pages, also for sizes at which the original's was not", () => {
  const geometry = new Geometry({ growthStep: 2 ** 20, sizeUpper: 2 ** 24 }).validate(page);
  assertEquals(geometry.next(4097), 2 ** 20);
  assertEquals(geometry.next(2 ** 20 + 1), 2 ** 21);
});
