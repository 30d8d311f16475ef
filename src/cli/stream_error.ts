/**
 * A failure of stdin, stdout or a file that a command reads, in our words. It keeps the errno, so that the
 * exit code follows it.
 */
/** What the runtime puts behind the words of the system. */
const NUMBER_PATTERN = / \(os error \d+\)/;

/** The errno name that an error of the runtime or of ours carries, such as `ENOSPC`; null for none. */
export function errnoOf(error: unknown): string | null {
  if (!(error instanceof Error)) return null;
  const code = (error as Error & { code?: unknown }).code;
  if (typeof code === "string" && error.name === "OsError") return code;
  // The runtime's own codes are words with underscores, such as ERR_INVALID_STATE.
  return typeof code === "string" && /^E[A-Z0-9]+$/.test(code) ? code : null;
}

/** The words of an error of the system with the name of its errno instead of its number. */
export function wordsOf(error: Error): string {
  const errno = errnoOf(error);
  return errno === null ? error.message : error.message.replace(NUMBER_PATTERN, ` (${errno})`);
}

/** Shape of `message`: `Cannot write stdout: No space left on device (ENOSPC)`. */
export class StreamError extends Error {
  override readonly name = "StreamError";
  readonly code: string | null;

  /** `what` is what was tried, such as `write stdout`. */
  constructor(what: string, cause: unknown) {
    super(`Cannot ${what}: ${cause instanceof Error ? wordsOf(cause) : cause}`, { cause });
    this.code = errnoOf(cause);
  }
}

/** The chunks of a stream; throws `StreamError` that names it where it cannot be read. */
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
