/**
 * How large an append-only file is and how it grows. A `Geometry` never changes: `with`,
 * `withSizeNow` and `validate` return new ones.
 *
 * After `validate`:
 *   1. sizeNow, sizeUpper and growthStep are positive whole numbers of pages;
 *   2. sizeNow ≤ sizeUpper.
 */

import { assert } from "../../base/assert.ts";
import { UsageError } from "../../base/errors.ts";
import { ErrEndOfFile } from "./errors.ts";

/** Default of `GeometryFields.sizeUpper`: 16 MiB. */
export const SIZE_UPPER_DEFAULT: number = 1024 * 1024 * 16;
/**
 * Greatest `GeometryFields.sizeUpper`: 2^38 bytes. The length of a larger write would not fit into the
 * pending word (see `marks.ts`).
 */
export const SIZE_UPPER_MAX: number = 2 ** 38;
/** Bytes of a page, until `validate` is given those of the system. */
export const PAGE_SIZE_DEFAULT = 4096;
/** Default of `GeometryFields.sizeNow`: one page of 4096 bytes. */
export const SIZE_NOW_DEFAULT: number = PAGE_SIZE_DEFAULT;
/** Default of `GeometryFields.growthStep`: one page of 4096 bytes. */
export const GROWTH_STEP_DEFAULT: number = PAGE_SIZE_DEFAULT;

/** The sizes of an append-only file, in bytes. */
export interface GeometryFields {
  /** Bytes that the file has at least while it is open for appending. */
  readonly sizeNow: number;
  /** Bytes that the file may grow to, which is also the length of the mapping. */
  readonly sizeUpper: number;
  /** Bytes by which the file is extended at a time. */
  readonly growthStep: number;
}

/**
 * How large an append-only file is, how it grows, and whether it is made. Immutable. Continues
 * `Geometry` of kirana's `aof`.
 */
export class Geometry implements GeometryFields {
  /** Bytes that the file has at least while it is open for appending; 0 for the default. */
  readonly sizeNow: number;
  /** Bytes that the file may grow to, which is also the length of the mapping; 0 for the default. */
  readonly sizeUpper: number;
  /** Bytes by which the file is extended at a time; 0 for the default. */
  readonly growthStep: number;
  /** Bytes of a memory page; `Aof.open` sets those of the system. */
  readonly pageSize: number;
  /** Whether a missing file is made. */
  readonly create: boolean;

  /** Make a geometry. A size that is left out, or 0, takes its default in `validate`. */
  constructor(fields: Partial<GeometryFields & { pageSize: number; create: boolean }> = {}) {
    this.sizeNow = fields.sizeNow ?? 0;
    this.sizeUpper = fields.sizeUpper ?? 0;
    this.growthStep = fields.growthStep ?? 0;
    this.pageSize = fields.pageSize ?? PAGE_SIZE_DEFAULT;
    this.create = fields.create ?? false;
  }

  /** Give a geometry with the given sizes in place of these. */
  with(fields: Partial<GeometryFields>): Geometry {
    return new Geometry({ ...this, ...fields });
  }

  /** Give a geometry with another `sizeNow`. */
  withSizeNow(sizeNow: number): Geometry {
    return this.with({ sizeNow });
  }

  /**
   * Give the geometry with its defaults filled in and everything rounded up to whole pages of `pageSize`
   * bytes. `sizeUpper` becomes at least `sizeNow`. Throws `UsageError` for a size that is not a whole
   * number or is greater than `SIZE_UPPER_MAX`.
   */
  validate(pageSize: number = this.pageSize): Geometry {
    for (const field of ["sizeNow", "sizeUpper", "growthStep"] as const) {
      if (!Number.isSafeInteger(this[field]) || this[field] > SIZE_UPPER_MAX) {
        throw new UsageError(
          `Invalid geometry: ${field} is ${this[field]}, give whole bytes up to ${SIZE_UPPER_MAX}`,
        );
      }
    }
    const sizeNow = roundUp(Math.max(this.sizeNow, pageSize), pageSize);
    const wantedUpper = this.sizeUpper <= 0 ? SIZE_UPPER_DEFAULT : this.sizeUpper;
    const sizeUpper = Math.max(roundUp(wantedUpper, pageSize), sizeNow);
    const growthStep = roundUp(Math.max(this.growthStep, pageSize), pageSize);
    assert(sizeNow <= sizeUpper, "The size now is within the upper size");
    return new Geometry({ sizeNow, sizeUpper, growthStep, pageSize, create: this.create });
  }

  /**
   * Give the length of the file that holds `size` bytes: whole growth steps (rounded up to pages), at
   * least `sizeNow`, at most `sizeUpper`. Throws `ErrEndOfFile` if `size` is above `sizeUpper`.
   */
  next(size: number): number {
    if (size > this.sizeUpper) {
      throw new ErrEndOfFile(
        `Cannot hold ${size} bytes: the upper size of the geometry is ${this.sizeUpper}`,
      );
    }
    if (size <= this.sizeNow) return this.sizeNow;
    const stepped = roundUp(roundUp(size, this.growthStep), this.pageSize);
    return Math.min(stepped, this.sizeUpper);
  }
}

export function roundUp(size: number, unit: number): number {
  return Math.ceil(size / unit) * unit;
}

/** Default sizes, for a file that is there already: a missing one is not made. */
export const openFile: Geometry = new Geometry();

/** Give default sizes, for a file that is made if it is missing. */
export function createFile(): Geometry {
  return new Geometry({ create: true });
}
