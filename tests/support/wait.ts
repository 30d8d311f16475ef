/** Waits for a condition instead of a time, so that a slow machine only makes a test slower. */

/** How long a test waits for something that must come. It is long: it is reached only on failure. */
export const DEADLINE_MS = 60_000;

/**
 * Waits until `condition` returns something truthy, and returns that. Throws an `Error` that names `what`
 * when the deadline passes.
 */
export async function waitUntil<T>(
  what: string,
  condition: () => T | Promise<T>,
  options: { deadlineMs?: number; everyMs?: number } = {},
): Promise<T> {
  const end = performance.now() + (options.deadlineMs ?? DEADLINE_MS);
  while (true) {
    const value = await condition();
    if (value) return value;
    if (performance.now() > end) throw new Error(`Waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, options.everyMs ?? 10));
  }
}

/** `promise`, or an `Error` that names `what` when the deadline passes first. */
export async function within<T>(
  what: string,
  promise: Promise<T>,
  options: { deadlineMs?: number } = {},
): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`Waited in vain for ${what}`)),
      options.deadlineMs ?? DEADLINE_MS,
    );
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
