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

/** Bytes that a file may grow to where nothing else is said: 16 MiB. */
export const SIZE_UPPER_DEFAULT = 1024 * 1024 * 16;
/** Larger files would not leave room for the length of a write in the pending word (see marks.ts). */
export const SIZE_UPPER_MAX = 2 ** 38;
/** Stands in for the system's page until `validate` is told it. */
export const PAGE_SIZE_DEFAULT = 4096;
/** A new file is one page long where nothing else is said. */
export const SIZE_NOW_DEFAULT = PAGE_SIZE_DEFAULT;
/** … and grows by one page. */
export const GROWTH_STEP_DEFAULT = PAGE_SIZE_DEFAULT;

export interface GeometryFields {
  /** Bytes that the file has at least while it is open for appending. */
  readonly sizeNow: number;
  /** Bytes that the file may grow to; the length of the mapping. */
  readonly sizeUpper: number;
  /** Bytes by which the file is extended. */
  readonly growthStep: number;
}

export class Geometry implements GeometryFields {
  readonly sizeNow: number;
  readonly sizeUpper: number;
  readonly growthStep: number;
  /** Bytes of a memory page; `validate` sets the system's. */
  readonly pageSize: number;
  /** Whether a missing file is made. */
  readonly create: boolean;

  /** A field that is left out, or 0, takes its default in `validate`. */
  constructor(fields: Partial<GeometryFields & { pageSize: number; create: boolean }> = {}) {
    this.sizeNow = fields.sizeNow ?? 0;
    this.sizeUpper = fields.sizeUpper ?? 0;
    this.growthStep = fields.growthStep ?? 0;
    this.pageSize = fields.pageSize ?? PAGE_SIZE_DEFAULT;
    this.create = fields.create ?? false;
  }

  with(fields: Partial<GeometryFields>): Geometry {
    return new Geometry({ ...this, ...fields });
  }

  withSizeNow(sizeNow: number): Geometry {
    return this.with({ sizeNow });
  }

  /**
   * The geometry with its defaults filled in and everything rounded up to whole pages. Throws
   * `UsageError` for sizes that are no whole numbers or pass `SIZE_UPPER_MAX`.
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
   * The file size that holds `size` bytes: whole growth steps (rounded up to pages), at least
   * sizeNow, at most sizeUpper. Throws `ErrEndOfFile` where sizeUpper cannot hold them.
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

/** A geometry of defaults that opens a file and never makes one. */
export const openFile: Geometry = new Geometry();

/** A geometry of defaults that makes the file where it is missing. */
export function createFile(): Geometry {
  return new Geometry({ create: true });
}
