/**
 * Sorts the moves of a fold into rank order. The batch is in key order already, so a stable sort on the
 * count alone leaves equal counts in key order.
 *
 * Most counts are small and a few are huge. So moves are first dealt into three classes – greater than 16
 * bits, 16 bits, negative – which follow each other in rank order; each is sorted by radix on only those
 * digits in which its counts differ: two, for nearly all of them.
 */

import { COUNT_CREATED, COUNT_SAME, type CountChanges } from "./key_merge.ts";

/** Low bit of a move: the counter leaves the place of its old count … */
export const MOVE_LEAVES = 0;
/** … or arrives at the place of its new count. */
export const MOVE_ARRIVES = 1;

const RADIX_BITS = 8;
const RADIX = 1 << RADIX_BITS;

const CLASSES = 3;

function classOf(high: number, low: number): number {
  if (high < 0) return 2;
  return high === 0 && low >>> 0 < 0x10000 ? 1 : 0;
}

/** Adds one to a place; returns what it was. */
function countUp(places: Uint32Array, index: number): number {
  const before = places[index]!;
  places[index] = before + 1;
  return before;
}

/** Moves in rank order. A move is twice the place in the batch, plus `MOVE_LEAVES` or `MOVE_ARRIVES`. */
export function rankMoves(changes: CountChanges): Uint32Array {
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
  const lows = new Uint32Array(count);
  for (let index = 0; index < outcome.length; index++) {
    const what = outcome[index];
    if (what === COUNT_SAME) continue;
    if (what !== COUNT_CREATED) {
      const place = countUp(places, classOf(oldHigh[index]!, oldLow[index]!));
      moves[place] = (index << 1) | MOVE_LEAVES;
      // Turned around, the greatest count is the smallest number and so comes first.
      lows[place] = ~oldLow[index]!;
    }
    const place = countUp(places, classOf(newHigh[index]!, newLow[index]!));
    moves[place] = (index << 1) | MOVE_ARRIVES;
    lows[place] = ~newLow[index]!;
  }

  for (let index = 0; index < CLASSES; index++) {
    const from = bounds[index]!;
    const to = bounds[index + 1]!;
    sortByDigits(moves.subarray(from, to), lows.subarray(from, to), changes);
  }
  return moves;
}

/** Stable radix sort of one class: by the low halves, then by the high halves. */
function sortByDigits(moves: Uint32Array, lows: Uint32Array, changes: CountChanges): void {
  const count = moves.length;
  const otherMoves = new Uint32Array(count);
  const otherDigits = new Uint32Array(count);
  sortByWord(moves, lows, { otherMoves, otherDigits });
  if (count === 0) return;
  const highs = lows;
  let differ = 0;
  for (let index = 0; index < count; index++) {
    const move = moves[index]!;
    const source = (move & 1) === MOVE_ARRIVES ? changes.newHigh : changes.oldHigh;
    highs[index] = ~(source[move >>> 1]! ^ 0x80000000);
    differ |= highs[index]! ^ highs[0]!;
  }
  if (differ !== 0) sortByWord(moves, highs, { otherMoves, otherDigits });
}

function sortByWord(
  moves: Uint32Array,
  digits: Uint32Array,
  { otherMoves, otherDigits }: {
    readonly otherMoves: Uint32Array;
    readonly otherDigits: Uint32Array;
  },
): void {
  const places = new Uint32Array(RADIX);
  let [fromMoves, toMoves, fromDigits, toDigits] = [moves, otherMoves, digits, otherDigits];
  for (let shift = 0; shift < 32; shift += RADIX_BITS) {
    if (!countPlaces(places, fromDigits, shift)) continue;
    for (let index = 0; index < fromMoves.length; index++) {
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
    moves.set(fromMoves);
    digits.set(fromDigits);
  }
}

/** Computes where the first item of each digit goes; false when all have the same digit. */
function countPlaces(places: Uint32Array, digits: Uint32Array, shift: number): boolean {
  places.fill(0);
  for (let index = 0; index < digits.length; index++) {
    const digit = (digits[index]! >>> shift) & (RADIX - 1);
    places[digit] = places[digit]! + 1;
  }
  let before = 0;
  for (let digit = 0; digit < RADIX; digit++) {
    const items = places[digit]!;
    if (items === digits.length) return false;
    places[digit] = before;
    before += items;
  }
  return true;
}
