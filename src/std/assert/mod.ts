import nodeAssert from "node:assert";

/** As `@std/assert`: throws unless the expression is truthy. */
export function assert(expr: unknown, msg = ""): asserts expr {
  if (!expr) throw new nodeAssert.AssertionError({ message: msg || "Assertion failed" });
}

/** As `@std/assert`: deep equality. */
export function assertEquals<T>(actual: T, expected: T, msg?: string): void {
  nodeAssert.deepStrictEqual(actual, expected, msg);
}
