/**
 * Run a step. If it throws, `undo` takes back what was done before, and the error goes on. So a step that
 * fails leaves no open file, no lock and no half of a pair.
 */
export function undoOnError<Result>(undo: () => void, step: () => Result): Result {
  try {
    return step();
  } catch (error) {
    undo();
    throw error;
  }
}
