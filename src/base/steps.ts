/**
 * Long work that can pause and stop, so that a process hears signals and serves others in between. It is a
 * generator that yields at each place where it may pause. What it is sent there says whether it has to stop; how
 * it stops in good order is its own affair.
 */

import type { Clock } from "./clock.ts";

export type Steps<Result> = Generator<void, Result, boolean>;

/** Runs all steps, with a pause after `turnMs`. They are told to stop once the signal has fired. */
export async function inTurns<Result>(
  steps: Steps<Result>,
  { clock, turnMs, signal }: {
    readonly clock: Clock;
    readonly turnMs: number;
    readonly signal?: AbortSignal;
  },
): Promise<Result> {
  let sinceMs = clock.nowMs();
  while (true) {
    const step = steps.next(signal?.aborted ?? false);
    if (step.done) return step.value;
    if (clock.nowMs() - sinceMs < turnMs) continue;
    await clock.sleep(0);
    sinceMs = clock.nowMs();
  }
}

/** Runs all steps in one turn of the event loop. */
export function inOneTurn<Result>(steps: Steps<Result>): Result {
  while (true) {
    const step = steps.next(false);
    if (step.done) return step.value;
  }
}
