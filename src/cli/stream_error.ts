/** Failures of stdin, stdout and of files that a command reads. The errno decides the exit code. */

/** What the runtime appends to the message of the system. */
const NUMBER_PATTERN = / \(os error \d+\)/;

/** Returns the errno name in an error of the runtime or of countd, such as `ENOSPC`; null if it has none. */
export function errnoOf(error: unknown): string | null {
  if (!(error instanceof Error)) return null;
  const code = (error as Error & { code?: unknown }).code;
  if (typeof code === "string" && error.name === "OsError") return code;
  // The runtime's own codes are words with underscores, such as ERR_INVALID_STATE.
  return typeof code === "string" && /^E[A-Z0-9]+$/.test(code) ? code : null;
}

/** Returns the message of an error of the system, with the name of the errno instead of its number. */
export function wordsOf(error: Error): string {
  const errno = errnoOf(error);
  return errno === null ? error.message : error.message.replace(NUMBER_PATTERN, ` (${errno})`);
}

/** Shape of `message`: `Cannot write stdout: No space left on device (ENOSPC)`. */
export class StreamError extends Error {
  override readonly name = "StreamError";
  readonly code: string | null;

  /** `what` is the operation that failed, such as `write stdout`. */
  constructor(what: string, cause: unknown) {
    super(`Cannot ${what}: ${cause instanceof Error ? wordsOf(cause) : cause}`, { cause });
    this.code = errnoOf(cause);
  }
}

/** Yields the chunks of a stream; throws a `StreamError` with its name if it cannot be read. */
export async function* chunksOf(
  stream: ReadableStream<Uint8Array>,
  name: string,
): AsyncGenerator<Uint8Array> {
  try {
    yield* stream;
  } catch (error) {
    throw new StreamError(`read ${name}`, error);
  }
}
