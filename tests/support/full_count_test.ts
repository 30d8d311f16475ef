/** How much of a full count is done, with a clock that moves only with the work. */

import { assert, assertEquals } from "@std/assert";
import { FullCount, timeLimits, TimeShare } from "./full_count.ts";

class WorkClock {
  ms = 0;
  readonly #env: Readonly<Record<string, string>>;

  constructor(env: Readonly<Record<string, string>> = {}) {
    this.#env = env;
  }

  share(): TimeShare {
    return new TimeShare(timeLimits((name) => this.#env[name], this.ms), () => this.ms);
  }

  /** Does work that takes so long for each of its items. Returns the items. */
  work<T>(items: Iterable<T>, eachMs: number | ((item: T) => number)): T[] {
    const done: T[] = [];
    for (const item of items) {
      done.push(item);
      this.ms += typeof eachMs === "number" ? eachMs : eachMs(item);
    }
    return done;
  }
}

const letters = ["a", "b", "c", "d", "e", "f"];
const isVowel = (letter: string) => "ae".includes(letter);

Deno.test("A normal run does the normal form, however long it takes", () => {
  const clock = new WorkClock();
  const count = new FullCount("one", { share: clock.share() });
  assertEquals(clock.work(count.rounds(3, 100), 1e9), [0, 1, 2]);
  assertEquals(clock.work(count.choices(letters, isVowel), 1e9), ["a", "e"]);
  assertEquals(clock.work(count.sizes(10, 1000), 1e9), [10]);
  assert(!count.isShort);
});

Deno.test("A long run without a limit does the full count", () => {
  const clock = new WorkClock({ COUNTD_TEST_LONG: "1" });
  const count = new FullCount("one", { share: clock.share() });
  assertEquals(clock.work(count.rounds(3, 100), 1e9).length, 100);
  assertEquals(clock.work(count.choices(letters, isVowel), 1e9), ["a", "e", "b", "c", "d", "f"]);
  assertEquals(clock.work(count.sizes(10, 1000), 1e9), [1000]);
});

Deno.test("A limited run does the normal form, and more until its time is over", () => {
  const clock = new WorkClock({ COUNTD_TEST_SECONDS: "10" });
  const count = new FullCount("one", { share: clock.share() });
  assertEquals(clock.work(count.rounds(3, 100), 1000).length, 10);
  assertEquals(clock.work(count.rounds(3, 100), 1000).length, 3, "the normal form at least");
  assertEquals(clock.work(count.choices(letters, isVowel), 1000), ["a", "e"]);
  assert(!count.isShort);
});

Deno.test("A full count that its time suffices for ends when it is complete", () => {
  const clock = new WorkClock({ COUNTD_TEST_SECONDS: "1000" });
  const count = new FullCount("one", { share: clock.share() });
  assertEquals(clock.work(count.rounds(3, 100), 1000).length, 100);
  assertEquals(clock.work(count.choices(letters, isVowel), 1000).toSorted(), letters);
});

Deno.test("After the last second of all, not even the normal form is finished, and the count says so", () => {
  const clock = new WorkClock({ COUNTD_TEST_SECONDS: "1", COUNTD_TEST_END: "5000" });
  const share = clock.share();
  const [one, other] = [new FullCount("one", { share }), new FullCount("other", { share })];
  assertEquals(clock.work(one.rounds(50, 100), 1000).length, 5);
  assertEquals(clock.work(other.choices(letters, () => true), 1000), []);
  assertEquals(clock.work(other.sizes(1, 2), 1000), []);
  assertEquals(clock.work(other.normalForm(letters), 1000), []);
  assert(one.isShort && other.isShort);
});

Deno.test("Full counts of one file share its time by weight, and leave what they do not need", () => {
  const clock = new WorkClock({ COUNTD_TEST_SECONDS: "100" });
  const share = clock.share();
  const first = new FullCount("first", { share });
  const small = new FullCount("small", { share });
  const heavy = new FullCount("heavy", { weight: 3, share });
  assertEquals(clock.work(first.rounds(1, 1000), 1000).length, 20);
  assertEquals(clock.work(small.rounds(1, 5), 1000).length, 5);
  assertEquals(clock.work(heavy.rounds(1, 1000), 1000).length, 75);
});

Deno.test("A workload that cannot be cut short is made as large as the time left allows", () => {
  const clock = new WorkClock({ COUNTD_TEST_SECONDS: "100" });
  const count = new FullCount("one", { share: clock.share() });
  const sizes = clock.work(count.sizes(10, 1e9), (size) => size * 100);
  assertEquals(sizes, [10, 693]);
  assert(clock.ms < 100_000);
  assertEquals(clock.work(count.sizes(1000, 1e9), (size) => size * 100), [1000]);
  assertEquals(
    clock.work(
      new FullCount("two", {
        share: new WorkClock({ COUNTD_TEST_SECONDS: "100" }).share(),
      }).sizes(10, 20),
      1,
    ),
    [10, 20],
  );
});
