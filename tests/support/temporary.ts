/** Gives each test a directory of its own, and removes it when the test ends. */

/**
 * Runs `body` with a fresh directory and removes it afterwards, also when the test fails. It is made in
 * `parent`, or else in the directory of the system for temporary files.
 */
export async function withTemporaryDirectory<T>(
  body: (directory: string) => T | Promise<T>,
  parent?: string,
): Promise<T> {
  const place = parent === undefined ? {} : { dir: parent };
  const directory = Deno.makeTempDirSync({ prefix: "countd-test-", ...place });
  try {
    return await body(directory);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}
