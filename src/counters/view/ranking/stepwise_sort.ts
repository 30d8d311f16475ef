/**
 * Sorts numbers in steps, so that the event loop is not held: a merge sort that can stop after each part. The
 * order must not change until it is done.
 */

/** Numbers that one step sorts, or moves in a merge: about a millisecond. */
const SORTED_A_STEP = 1024;
const MERGED_A_STEP = 8192;

interface Merge {
  readonly left: Uint32Array;
  readonly right: Uint32Array;
  readonly target: Uint32Array<ArrayBuffer>;
  fromLeft: number;
  fromRight: number;
}

export class StepwiseSort {
  readonly #unsorted: Uint32Array<ArrayBuffer>;
  readonly #compare: (left: number, right: number) => number;
  /** Sorted parts of the unsorted numbers; those in front are merged next. */
  readonly #parts: Uint32Array<ArrayBuffer>[] = [];
  #sortedTo = 0;
  #merge: Merge | null = null;
  /** Merged in last: it may be much longer than the others. Null once its merge has begun. */
  #sorted: Uint32Array<ArrayBuffer> | null;

  /** Takes over both arrays: `sorted` is in order, `unsorted` has no number of it. */
  constructor(
    sorted: Uint32Array<ArrayBuffer>,
    unsorted: Uint32Array<ArrayBuffer>,
    compare: (left: number, right: number) => number,
  ) {
    this.#sorted = sorted;
    this.#unsorted = unsorted;
    this.#compare = compare;
  }

  /** Does a part of the work. The result, or null if there is more to do. */
  step(): Uint32Array<ArrayBuffer> | null {
    if (this.#merge !== null) this.#mergeSome(this.#merge);
    else if (this.#sortedTo < this.#unsorted.length) this.#sortSome();
    else if (this.#parts.length > 1) this.#begin(this.#parts.shift()!, this.#parts.shift()!);
    else if (this.#sorted !== null && this.#sorted.length > 0 && this.#parts.length > 0) {
      this.#begin(this.#sorted, this.#parts.shift()!);
      this.#sorted = null;
    } else return this.#parts[0] ?? this.#sorted ?? new Uint32Array(0);
    return null;
  }

  #sortSome(): void {
    const end = Math.min(this.#unsorted.length, this.#sortedTo + SORTED_A_STEP);
    this.#parts.push(this.#unsorted.subarray(this.#sortedTo, end).sort(this.#compare));
    this.#sortedTo = end;
  }

  #begin(left: Uint32Array, right: Uint32Array): void {
    const target = new Uint32Array(left.length + right.length);
    this.#merge = { left, right, target, fromLeft: 0, fromRight: 0 };
  }

  #mergeSome(merge: Merge): void {
    const { left, right, target } = merge;
    let { fromLeft, fromRight } = merge;
    const end = Math.min(target.length, fromLeft + fromRight + MERGED_A_STEP);
    for (let at = fromLeft + fromRight; at < end; at++) {
      const takesLeft = fromRight === right.length || fromLeft < left.length &&
          this.#compare(left[fromLeft]!, right[fromRight]!) < 0;
      target[at] = takesLeft ? left[fromLeft++]! : right[fromRight++]!;
    }
    merge.fromLeft = fromLeft;
    merge.fromRight = fromRight;
    if (end < target.length) return;
    this.#parts.push(target);
    this.#merge = null;
  }
}
