/** A directory of its own for each test, removed when the test is over. */

/** Runs `body` with a fresh directory and removes it afterwards, also when the test fails. */
export async function withTemporaryDirectory<T>(
  body: (directory: string) => T | Promise<T>,
): Promise<T> {
  const directory = Deno.makeTempDirSync({ prefix: "countd-test-" });
  try {
    return await body(directory);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}
