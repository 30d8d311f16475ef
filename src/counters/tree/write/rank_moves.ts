/**
 * Sorts the moves of a fold into rank order. The batch is in key order already, so a stable sort on the
 * count alone leaves equal counts in key order.
 *
 * Most counts are small and a few are huge. So moves are first divided into three classes, in rank order:
 * above 16 bits, 16 bits, negative. Each class is sorted by radix, on the digits in which its counts
 * differ: two for nearly all of them.
 */

import { COUNT_CREATED, COUNT_SAME, type CountChanges } from "./key_merge.ts";

/** Low bit of a move: the counter leaves the place of its old count … */
export const MOVE_LEAVES = 0;
/** … or arrives at the place of its new count. */
export const MOVE_ARRIVES = 1;

const RADIX_BITS = 8;
const RADIX = 1 << RADIX_BITS;

const CLASSES = 3;
/** The class of most counts: their high halves are 0. */
const CLASS_NARROW = 1;

function classOf(high: number, low: number): number {
  if (high < 0) return 2;
  return high === 0 && low >>> 0 < 0x10000 ? CLASS_NARROW : 0;
}

/** Adds one to a place; returns the value before. */
function countUp(places: Uint32Array, index: number): number {
  const before = places[index]!;
  places[index] = before + 1;
  return before;
}

/** Moves in rank order, each with the count whose place the counter leaves or arrives at. */
export interface RankMoves {
  /** Twice the place in the batch, plus `MOVE_LEAVES` or `MOVE_ARRIVES`. */
  readonly moves: Uint32Array;
  /** Halves of the counts, in the order of the moves: in `changes` they would be scattered. */
  readonly lows: Int32Array;
  readonly highs: Int32Array;
}

export function rankMoves(changes: CountChanges): RankMoves {
  const { outcome, oldHigh, oldLow, newHigh, newLow } = changes;
  const places = new Uint32Array(CLASSES + 1);
  for (let index = 0; index < outcome.length; index++) {
    const what = outcome[index];
    if (what === COUNT_SAME) continue;
    if (what !== COUNT_CREATED) countUp(places, classOf(oldHigh[index]!, oldLow[index]!) + 1);
    countUp(places, classOf(newHigh[index]!, newLow[index]!) + 1);
  }
  for (let index = 1; index <= CLASSES; index++) {
    places[index] = places[index]! + places[index - 1]!;
  }
  const bounds = places.slice();
  const count = bounds[CLASSES]!;

  const moves = new Uint32Array(count);
  const digits = new Uint32Array(count);
  for (let index = 0; index < outcome.length; index++) {
    const what = outcome[index];
    if (what === COUNT_SAME) continue;
    if (what !== COUNT_CREATED) {
      const place = countUp(places, classOf(oldHigh[index]!, oldLow[index]!));
      moves[place] = (index << 1) | MOVE_LEAVES;
      // Inverted, the greatest count is the smallest number, so it comes first.
      digits[place] = ~oldLow[index]!;
    }
    const place = countUp(places, classOf(newHigh[index]!, newLow[index]!));
    moves[place] = (index << 1) | MOVE_ARRIVES;
    digits[place] = ~newLow[index]!;
  }

  const scratch = { otherMoves: new Uint32Array(count), otherDigits: new Uint32Array(count) };
  for (let index = 0; index < CLASSES; index++) {
    const [from, to] = [bounds[index]!, bounds[index + 1]!];
    sortByWord(moves, digits, { from, to, ...scratch });
    if (index === CLASS_NARROW) continue;
    let differ = 0;
    for (let at = from; at < to; at++) {
      const source = (moves[at]! & 1) === MOVE_ARRIVES ? newHigh : oldHigh;
      digits[at] = ~(source[moves[at]! >>> 1]! ^ 0x80000000);
      differ |= digits[at]! ^ digits[from]!;
    }
    if (differ !== 0) sortByWord(moves, digits, { from, to, ...scratch });
  }

  // The memory of the digits is used again for the result.
  const lows = new Int32Array(digits.buffer);
  const highs = new Int32Array(scratch.otherDigits.buffer);
  for (let index = 0; index < CLASSES; index++) {
    for (let at = bounds[index]!; at < bounds[index + 1]!; at++) {
      if (index === CLASS_NARROW) {
        lows[at] = ~digits[at]!;
        highs[at] = 0;
      } else {
        const arrives = (moves[at]! & 1) === MOVE_ARRIVES;
        lows[at] = (arrives ? newLow : oldLow)[moves[at]! >>> 1]!;
        highs[at] = (arrives ? newHigh : oldHigh)[moves[at]! >>> 1]!;
      }
    }
  }
  return { moves, lows, highs };
}

/** Stable radix sort of `[from, to)` by one word. */
function sortByWord(
  moves: Uint32Array,
  digits: Uint32Array,
  { from, to, otherMoves, otherDigits }: {
    readonly from: number;
    readonly to: number;
    readonly otherMoves: Uint32Array;
    readonly otherDigits: Uint32Array;
  },
): void {
  if (to - from < 2) return;
  const places = new Uint32Array(RADIX);
  let [fromMoves, toMoves, fromDigits, toDigits] = [moves, otherMoves, digits, otherDigits];
  for (let shift = 0; shift < 32; shift += RADIX_BITS) {
    if (!countPlaces(places, fromDigits, { from, to, shift })) continue;
    for (let index = from; index < to; index++) {
      const digit = (fromDigits[index]! >>> shift) & (RADIX - 1);
      const place = places[digit]!;
      places[digit] = place + 1;
      toMoves[place] = fromMoves[index]!;
      toDigits[place] = fromDigits[index]!;
    }
    [fromMoves, toMoves] = [toMoves, fromMoves];
    [fromDigits, toDigits] = [toDigits, fromDigits];
  }
  if (fromMoves !== moves) {
    moves.set(fromMoves.subarray(from, to), from);
    digits.set(fromDigits.subarray(from, to), from);
  }
}

/** Computes where the first item of each digit goes; false if all have the same digit. */
function countPlaces(
  places: Uint32Array,
  digits: Uint32Array,
  { from, to, shift }: { readonly from: number; readonly to: number; readonly shift: number },
): boolean {
  places.fill(0);
  for (let index = from; index < to; index++) {
    const digit = (digits[index]! >>> shift) & (RADIX - 1);
    places[digit] = places[digit]! + 1;
  }
  let before = from;
  for (let digit = 0; digit < RADIX; digit++) {
    const items = places[digit]!;
    if (items === to - from) return false;
    places[digit] = before;
    before += items;
  }
  return true;
}
