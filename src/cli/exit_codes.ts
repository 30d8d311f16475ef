/** Exit codes; `failure.ts` makes one of an error. */

export const EXIT_CODES = {
  ok: 0,
  failed: 1,
  usage: 2,
  "not-found": 3,
  "cannot-connect": 4,
  refused: 5,
  corruption: 6,
  "try-again": 75,
} as const;

export type ExitCode = (typeof EXIT_CODES)[keyof typeof EXIT_CODES];

/** What each code means, for the help and the man page. */
export const EXIT_CODE_MEANINGS: readonly (readonly [ExitCode, string])[] = [
  [0, "done"],
  [1, "failed (for example: port in use, exists already)"],
  [2, "wrong usage, or a name that is not allowed"],
  [3, "not found"],
  [4, "cannot connect"],
  [5, "refused"],
  [6, "damage was found, the disk failed, or the files are gone"],
  [75, "try again later (disk full, too many open files, lock timeout, already running)"],
];
