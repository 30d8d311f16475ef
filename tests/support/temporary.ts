/** Gives each test a directory of its own, and removes it when the test ends. */

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
