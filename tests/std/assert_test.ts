/** The stand-in for `@std/assert`: each assertion holds where it should and fires where it should. */

import * as std from "@std/assert";

/** Written without the assertions under test. */
function fires(what: string, body: () => void): void {
  try {
    body();
  } catch (error) {
    if (error instanceof std.AssertionError && error.message.includes(what)) return;
    throw new Error(`Fired with other words than "${what}"`, { cause: error });
  }
  throw new Error(`Did not fire: ${what}`);
}

Deno.test("Conditions hold and fire", () => {
  std.assert(1);
  fires("why", () => std.assert(false, "why"));
  fires("Failed assertion: why", () => std.fail("why"));
});

Deno.test("Equality is deep, by value, and tells types and lengths apart", () => {
  const equal: [unknown, unknown][] = [
    [{ a: [1, new Map([[1, 2n]])] }, { a: [1, new Map([[1, 2n]])] }],
    [new Uint8Array([1, 2]), new Uint8Array([1, 2])],
    [NaN, NaN],
    [new Set(["a"]), new Set(["a"])],
  ];
  for (const [actual, expected] of equal) {
    std.assertEquals(actual, expected);
    fires("not to be", () => std.assertNotEquals(actual, expected));
  }
  const different: [unknown, unknown][] = [
    [1, 1n],
    [1, "1"],
    [{ a: undefined }, {}],
    [new Uint8Array([1, 2]), new Uint8Array([1, 2, 0])],
    [new Uint8Array([1]), [1]],
    [new Map([[1, 2]]), new Map([[1, 3]])],
    [new Error("a"), new Error("b")],
  ];
  for (const [actual, expected] of different) {
    std.assertNotEquals(actual, expected);
    fires("Values are not equal: why", () => std.assertEquals(actual, expected, "why"));
  }
});

Deno.test("Long byte arrays are told by the offset of their first difference", () => {
  const expected = new Uint8Array(1 << 20);
  const actual = expected.slice();
  actual[70_000] = 1;
  fires("different from offset 70000 on", () => std.assertEquals(actual, expected));
});

Deno.test("Strings are searched and matched", () => {
  std.assertStringIncludes("countd", "unt");
  std.assertMatch("countd", /^c/);
  fires("to contain", () => std.assertStringIncludes("countd", "x"));
  fires("to match", () => std.assertMatch("countd", /^x/));
});

Deno.test("Instances are told by their class", () => {
  std.assertInstanceOf(new RangeError(), Error);
  fires('"Error" but was "Object"', () => std.assertInstanceOf({}, Error));
  fires('"Error" but was "null"', () => std.assertInstanceOf(null, Error));
});

const range = () => {
  throw new RangeError("Out of reach");
};

Deno.test("A throw is expected with its class and its words, and given back", () => {
  const error: RangeError = std.assertThrows(range, RangeError, "of reach");
  std.assertEquals(error.message, "Out of reach");
  std.assertThrows(range);
  fires("Expected function to throw: why", () => std.assertThrows(() => {}, "why"));
  fires('instance of "TypeError"', () => std.assertThrows(range, TypeError));
  fires("to include", () => std.assertThrows(range, RangeError, "other"));
  fires("non-Error", () => {
    std.assertThrows(() => {
      // deno-lint-ignore no-throw-literal -- what is not an error is what is tested
      throw "text";
    }, Error);
  });
});

Deno.test("A rejection is expected with its class and its words, and given back", async () => {
  const rejected = () => Promise.reject(new RangeError("Out of reach"));
  const error: RangeError = await std.assertRejects(rejected, RangeError, "of reach");
  std.assertEquals(error.message, "Out of reach");
  const message = async (body: () => Promise<unknown>) => {
    return (await std.assertRejects(body, std.AssertionError)).message;
  };
  std.assertStringIncludes(
    await message(() => std.assertRejects(() => Promise.resolve())),
    "Expected function to reject",
  );
  std.assertStringIncludes(
    await message(() => std.assertRejects(range as () => Promise<unknown>)),
    "Function throws when expected to reject",
  );
  std.assertStringIncludes(
    await message(() => std.assertRejects(rejected, TypeError)),
    'instance of "TypeError"',
  );
});
