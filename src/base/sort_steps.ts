/** Sorts and merges texts a little at a time, for lists that are too long for one turn of the event loop. */

import type { Steps } from "./steps.ts";

/** Texts that are sorted, or merged, before others get their turn. */
const STEP_TEXTS = 2048;

/** The texts in the order of their code units. */
export function* sortInSteps(texts: readonly string[]): Steps<readonly string[]> {
  let runs: (readonly string[])[] = [];
  for (let from = 0; from < texts.length; from += STEP_TEXTS) {
    runs.push(texts.slice(from, from + STEP_TEXTS).sort(byCodeUnits));
    yield;
  }
  while (runs.length > 1) {
    const longer: (readonly string[])[] = [];
    for (let index = 0; index < runs.length; index += 2) {
      longer.push(yield* mergeSorted(runs[index]!, runs[index + 1] ?? []));
    }
    runs = longer;
  }
  return runs[0] ?? [];
}

/** Both sorted lists as one. */
export function* mergeSorted(
  left: readonly string[],
  right: readonly string[],
): Steps<readonly string[]> {
  if (left.length === 0) return right;
  if (right.length === 0) return left;
  const merged: string[] = [];
  let first = 0;
  let second = 0;
  while (first < left.length || second < right.length) {
    if (merged.length % STEP_TEXTS === STEP_TEXTS - 1) yield;
    const isLeft = second === right.length ||
      first < left.length && left[first]! <= right[second]!;
    merged.push(isLeft ? left[first++]! : right[second++]!);
  }
  return merged;
}

function byCodeUnits(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}
