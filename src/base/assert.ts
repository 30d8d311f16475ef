/**
 * Assertions check what this code itself promises. Conditions of the world (a bad file, a full disk, a
 * wrong argument) are never asserted: they are thrown as one of the classes in `errors.ts`.
 */

/** A broken promise of this code: a bug, never a condition of the world. */
export class AssertionError extends Error {
  override readonly name = "AssertionError";
}

/** Throws `AssertionError` unless the condition holds. One fact per call. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}
