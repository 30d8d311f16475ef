import { assert, assertEquals } from "@std/assert";
import { type Call, type CallKind, findContradiction } from "./linearizability.ts";
import { Random, seedForTest } from "./random.ts";

function call(
  kind: CallKind,
  value: string | null,
  [start, end]: [number, number],
  outcome: Call["outcome"] = "ok",
): Call {
  return { process: 0, kind, key: "k", value, outcome, start, end };
}

Deno.test("Calls that overlap may take effect in either order", () => {
  const writes = [call("set", "a", [0, 10]), call("set", "b", [1, 9])];
  assertEquals(findContradiction([...writes, call("get", "a", [11, 12])]), null);
  assertEquals(findContradiction([...writes, call("get", "b", [11, 12])]), null);
  assert(findContradiction([...writes, call("get", null, [11, 12], "absent")]));
});

Deno.test("A stale read, a lost update, a double create and a resurrection are contradictions", () => {
  assert(findContradiction([
    call("set", "a", [0, 1]),
    call("set", "b", [2, 3]),
    call("get", "a", [4, 5]),
  ]));
  assert(findContradiction([
    call("set", "a", [0, 1]),
    call("update", "b", [2, 3]),
    call("get", "b", [4, 5]),
    call("get", "a", [6, 7]),
  ]));
  assert(findContradiction([call("create", "a", [0, 9]), call("create", "b", [1, 8])]));
  assert(findContradiction([
    call("set", "a", [0, 1]),
    call("delete", null, [2, 9]),
    call("update", "b", [3, 8]),
    call("get", "b", [10, 11]),
  ]));
});

Deno.test("Two reads in turn may not see two writes in opposite orders", () => {
  assert(findContradiction([
    call("set", "a", [0, 20]),
    call("set", "b", [0, 20]),
    call("get", "a", [21, 22]),
    call("get", "b", [23, 24]),
  ]));
  assert(findContradiction([
    call("set", "a", [0, 20]),
    call("get", "a", [1, 2]),
    call("get", null, [3, 4], "absent"),
  ]));
});

Deno.test("A call of a dead process may have taken effect at any later time, or never", () => {
  const died = call("set", "a", [0, 0], "unknown");
  assertEquals(findContradiction([died, call("get", null, [1, 2], "absent")]), null);
  assertEquals(findContradiction([died, call("get", "a", [1, 2])]), null);
  assert(
    findContradiction([died, call("get", "a", [1, 2]), call("get", null, [3, 4], "absent")]),
  );
});

Deno.test("A call that failed without effect is not seen by others", () => {
  assert(findContradiction([call("set", "a", [0, 1], "unchanged"), call("get", "a", [2, 3])]));
});

Deno.test("The checker agrees with trying every order on small random histories", () => {
  const random = new Random(seedForTest("linearizability"));
  let bad = 0;
  for (let round = 0; round < 3000; round++) {
    const history = randomHistory(random, random.between(2, 5));
    const found = findContradiction(history) !== null;
    assertEquals(found, !someOrderFits(history), JSON.stringify(history));
    if (found) bad++;
  }
  assert(bad > 300 && bad < 2700, `${bad} of 3000 histories were bad: the test needs both kinds`);
});

function randomHistory(random: Random, length: number): Call[] {
  const kinds: CallKind[] = ["get", "get", "set", "create", "update", "delete"];
  return Array.from({ length }, () => {
    const kind = random.pick(kinds);
    const start = random.below(10);
    const outcome = kind === "create"
      ? random.pick(["ok", "exists"] as const)
      : kind === "get" || kind === "update"
      ? random.pick(["ok", "absent"] as const)
      : "ok";
    const value = kind === "delete" || outcome !== "ok" ? null : random.pick(["a", "b"]);
    return call(kind, value, [start, start + random.below(6)], outcome);
  });
}

function someOrderFits(history: readonly Call[]): boolean {
  const tryFrom = (left: readonly Call[], value: string | null): boolean => {
    if (left.length === 0) return true;
    return left.some((next) => {
      if (left.some((other) => other.end < next.start)) return false;
      const after = apply(next, value);
      return after !== undefined && tryFrom(left.filter((other) => other !== next), after);
    });
  };
  return tryFrom(history, null);
}

/** A map of one key, written a second time so that a mistake in the checker cannot hide. */
function apply(call: Call, value: string | null): string | null | undefined {
  const present = value !== null;
  if (call.kind === "get") {
    if (call.outcome === "absent") return present ? undefined : value;
    return value === call.value ? value : undefined;
  }
  if (call.kind === "create") {
    if (call.outcome === "exists") return present ? value : undefined;
    return present ? undefined : call.value;
  }
  if (call.kind === "update") {
    if (call.outcome === "absent") return present ? undefined : value;
    return present ? call.value : undefined;
  }
  return call.kind === "set" ? call.value : null;
}
