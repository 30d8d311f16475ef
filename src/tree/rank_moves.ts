/**
 * Sorts the moves of a fold into rank order. The batch is in key order already, so a stable radix sort
 * on the count alone leaves equal counts in key order.
 */

import { COUNT_CREATED, COUNT_SAME, type CountChanges } from "./key_merge.ts";

/** Low bit of a move: the counter leaves the place of its old count … */
export const MOVE_LEAVES = 0;
/** … or arrives at the place of its new count. */
export const MOVE_ARRIVES = 1;

const RADIX_BITS = 8;
const RADIX = 1 << RADIX_BITS;

/** Moves in rank order. A move is twice the place in the batch, plus `MOVE_LEAVES` or `MOVE_ARRIVES`. */
export function rankMoves(changes: CountChanges): Uint32Array {
  const { outcome, oldHigh, oldLow, newHigh, newLow } = changes;
  let count = 0;
  for (let index = 0; index < outcome.length; index++) {
    if (outcome[index] !== COUNT_SAME) count++;
    if (outcome[index] !== COUNT_SAME && outcome[index] !== COUNT_CREATED) count++;
  }
  let moves = new Uint32Array(count);
  let lows = new Uint32Array(count);
  // Counts that leave 32 bits are rare: their high halves are only carried where there are any.
  let highs = new Uint32Array(needsHighHalves(changes) ? count : 0);
  const carriesHighs = highs.length > 0;
  let next = 0;
  // Turned around, the greatest count is the smallest number and so comes first.
  for (let index = 0; index < outcome.length; index++) {
    const what = outcome[index];
    if (what === COUNT_SAME) continue;
    if (what !== COUNT_CREATED) {
      if (carriesHighs) highs[next] = ~(oldHigh[index]! ^ 0x80000000);
      lows[next] = ~oldLow[index]!;
      moves[next++] = (index << 1) | MOVE_LEAVES;
    }
    if (carriesHighs) highs[next] = ~(newHigh[index]! ^ 0x80000000);
    lows[next] = ~newLow[index]!;
    moves[next++] = (index << 1) | MOVE_ARRIVES;
  }

  let otherMoves = new Uint32Array(count);
  let otherLows = new Uint32Array(count);
  let otherHighs = new Uint32Array(highs.length);
  const places = new Uint32Array(RADIX);
  for (let shift = 0; shift < (carriesHighs ? 64 : 32); shift += RADIX_BITS) {
    const digits = shift < 32 ? lows : highs;
    const bits = shift & 31;
    if (!countPlaces(places, digits, bits)) continue;
    for (let index = 0; index < count; index++) {
      const digit = (digits[index]! >>> bits) & (RADIX - 1);
      const place = places[digit]!;
      places[digit] = place + 1;
      otherMoves[place] = moves[index]!;
      otherLows[place] = lows[index]!;
      if (carriesHighs) otherHighs[place] = highs[index]!;
    }
    [moves, otherMoves] = [otherMoves, moves];
    [lows, otherLows] = [otherLows, lows];
    [highs, otherHighs] = [otherHighs, highs];
  }
  return moves;
}

/** Whether some count is negative or has more than 32 bits. */
function needsHighHalves({ outcome, oldHigh, newHigh }: CountChanges): boolean {
  let high = 0;
  for (let index = 0; index < outcome.length; index++) high |= oldHigh[index]! | newHigh[index]!;
  return high !== 0;
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
