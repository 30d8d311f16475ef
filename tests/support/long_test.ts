/** `deno task long`, on small test files in place of the suites. */

import { assert, assertEquals } from "@std/assert";
import { filesWithFullCounts, runLong } from "./long.ts";
import { withTemporaryDirectory } from "./temporary.ts";
import { weightOf, WEIGHTS } from "./weights.ts";

const tests = new URL("..", import.meta.url);

/** A test file with a full count of so many rounds of some milliseconds. */
function sampleFile(
  name: string,
  rounds: { normal: number; full: number; eachMs: number },
): string {
  return `import { FullCount } from "${new URL("support/full_count.ts", tests)}";
    const count = new FullCount("${name}");
    Deno.test("${name}", async () => {
      for (const _ of count.rounds(${rounds.normal}, ${rounds.full})) {
        await new Promise((resolve) => setTimeout(resolve, ${rounds.eachMs}));
      }
    });`;
}

Deno.test("Suites end when the minutes are over, with what they did, and none fails for want of time", async () => {
  await withTemporaryDirectory(async (path) => {
    const directory = `${path}/`;
    const put = (name: string, text: string) =>
      Deno.writeTextFileSync(`${directory}${name}_test.ts`, text);
    put("short", sampleFile("short", { normal: 1, full: 20, eachMs: 1 }));
    put("endless", sampleFile("endless", { normal: 1, full: 1e9, eachMs: 10 }));
    put("slow", sampleFile("slow", { normal: 1e6, full: 1e9, eachMs: 10 }));
    put("broken", sampleFile("broken", { normal: 1, full: 1, eachMs: 1 }) + "throw new Error();");
    put("plain", 'Deno.test("plain", () => {});');
    const files = filesWithFullCounts(directory);
    assertEquals(files, ["broken_test.ts", "endless_test.ts", "short_test.ts", "slow_test.ts"]);

    const start = Date.now();
    const seconds = 8;
    const weights = { "endless": 2, "slow": 2 };
    const printed: string[] = [];
    const { failed, late, counts } = await runLong({
      directory,
      files,
      weights,
      minutes: seconds / 60,
      seed: 7,
      // The closing line of a test file that fails would count as one of this run.
      print: (text) => printed.push(text),
    });
    const took = (Date.now() - start) / 1000;
    assert(took >= seconds - 1, `the time is used: ${took} s`);
    assert(printed.some((text) => text.startsWith("broken_test.ts: FAILED")) || late.length > 0);
    for (const file of counts.keys()) {
      const begun = printed.indexOf(`begun: ${file}`);
      const ended = printed.findIndex((text) => text.startsWith(`${file}: `));
      assert(begun >= 0 && begun < ended, `${file} is named when it begins`);
    }
    // On a busy machine a file may begin too late: it is named, and has not failed.
    const isLate = (name: string) => late.includes(`${name}_test.ts`);
    assertEquals(failed, isLate("broken") ? [] : ["broken_test.ts"]);
    assert(!isLate("endless") || !isLate("slow"), "the longest begins");
    for (const [file, [count]] of counts) {
      if (file === "broken_test.ts") continue;
      const { done, all } = count ?? { done: 0, all: 0 };
      if (file === "short_test.ts") assert(all === 20 && done <= all);
      // The normal form of one of them does not end in the time.
      else assert(all === 1e9 && done < 100 * seconds, `${file}: ${done} of ${all}`);
    }
  });
});

Deno.test("Every row of the weights is that of a suite with a full count", () => {
  const files = filesWithFullCounts(decodeURIComponent(tests.pathname));
  for (const begin of Object.keys(WEIGHTS)) {
    assert(files.some((file) => file.startsWith(begin)), `no file begins with ${begin}`);
  }
});

Deno.test("The weight of a suite is that of the longest row that fits", () => {
  const weights = { "crash/": 2, "crash/kill": 5 };
  assertEquals(
    ["crash/kill_test.ts", "crash/lock_test.ts", "aof/kill_test.ts"].map((file) =>
      weightOf(file, weights)
    ),
    [5, 2, 1],
  );
});
