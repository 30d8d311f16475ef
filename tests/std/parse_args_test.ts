/**
 * The stand-in for `@std/cli/parse-args` against results that the real one (1.4.0) gave for the same
 * arguments. The odd ones are there on purpose: they are what a hand-written parser gets wrong.
 */

import { assertEquals } from "@std/assert";
import { parseArgs } from "@std/cli/parse-args";

Deno.test("Words after an option are its value, or arguments, as the real parseArgs decides", () => {
  const cases: [string[], Record<string, unknown>][] = [
    [["--name", "value", "rest"], { name: "value", _: ["rest"] }],
    [["--name=a=b"], { name: "a=b", _: [] }],
    [["--name="], { name: "", _: [] }],
    [["--name", "-1"], { name: true, 1: true, _: [] }],
    [["--name=-1", "5", "0x10", "1e3"], { name: -1, _: [5, 16, 1000] }],
    [["-abc", "x"], { a: true, b: true, c: "x", _: [] }],
    [["-n5", "-m=6", "-p/tmp"], { n: 5, m: 6, p: "/tmp", _: [] }],
    [["-a="], { a: "", _: [] }],
    [["-a-"], { a: "-", _: [] }],
    [["-n", "--x"], { n: true, x: true, _: [] }],
    [["-", "", " "], { _: ["-", "", " "] }],
    [["--flag", "true", "--other", "false"], { flag: "true", other: "false", _: [] }],
    [["--no-flag"], { "no-flag": true, _: [] }],
    [["--no-flag=1"], { flag: 1, _: [] }],
    [["--a.b=1", "--a.c", "x"], { a: { b: 1, c: "x" }, _: [] }],
    [["--__proto__.x=1", "--constructor=1"], { _: [] }],
    [["a", "--", "--b", "-c"], { _: ["a", "--b", "-c"] }],
  ];
  for (const [args, expected] of cases) assertEquals(parseArgs(args), expected, args.join(" "));
});

Deno.test("A string option is never a number and is empty without a value", () => {
  assertEquals<unknown>(
    parseArgs(["--name", "007", "--empty", "--none=1"], { string: ["name", "empty", "missing"] }),
    { name: "007", empty: "", none: 1, _: [] },
  );
  assertEquals<unknown>(parseArgs(["1", "2"], { string: "_" }), { _: ["1", "2"] });
});

Deno.test("A boolean option takes no value but true and false, and is false when missing", () => {
  assertEquals<unknown>(
    parseArgs(["--on", "x", "--off", "false", "--set=false"], {
      boolean: ["on", "off", "set", "missing"],
    }),
    { on: true, off: false, set: false, missing: false, _: ["x"] },
  );
});

Deno.test("Only a negatable option is made false by --no-", () => {
  assertEquals<unknown>(
    parseArgs(["--no-colour", "--no-other", "x"], { negatable: "colour", string: "_" }),
    { colour: false, "no-other": "x", _: [] },
  );
});

Deno.test("A collected option gathers its values, and is an empty list when missing", () => {
  assertEquals<unknown>(
    parseArgs(["--at=1", "--at", "2", "--last=1", "--last=2"], {
      collect: ["at", "none"],
      string: "none",
    }),
    { at: [1, 2], last: 2, none: [], _: [] },
  );
});

Deno.test("A value stands under all aliases of its name, and so does a default", () => {
  assertEquals<unknown>(
    parseArgs(["-p", "80"], { alias: { port: ["p", "P"], host: "h" }, default: { host: "::1" } }),
    { port: 80, p: 80, P: 80, host: "::1", h: "::1", _: [] },
  );
  assertEquals<unknown>(
    parseArgs(["-v", "x"], { alias: { verbose: "v" }, boolean: "verbose" }),
    { verbose: true, v: true, _: ["x"] },
  );
});

Deno.test("With -- asked for, the words behind it stand apart", () => {
  const parsed = parseArgs(["a", "--", "b"], { "--": true });
  assertEquals(parsed["--"], ["b"]);
  assertEquals(parsed._, ["a"]);
});

Deno.test("With stopEarly everything after the first argument stays as it is", () => {
  assertEquals<unknown>(
    parseArgs(["--a", "1", "verb", "--b", "2"], { stopEarly: true }),
    { a: 1, _: ["verb", "--b", "2"] },
  );
});

Deno.test("Unknown options and arguments go to the callback, which may drop them", () => {
  const seen: unknown[][] = [];
  const parsed = parseArgs(["--known", "--typo=1", "-x", "word"], {
    boolean: "known",
    unknown: (...call) => {
      seen.push(call);
      return false;
    },
  });
  assertEquals<unknown>(parsed, { known: true, _: [] });
  assertEquals(seen, [["--typo=1", "typo", "1"], ["-x", "x", "word"]]);
});

Deno.test("The types of the result follow from the options", () => {
  const parsed = parseArgs(["--name=x", "--on", "--list=1"], {
    string: ["name", "list"],
    boolean: ["on"],
    collect: ["list"],
    default: { name: "y" },
  });
  const name: string = parsed.name;
  const on: boolean = parsed.on;
  const list: string[] = parsed.list;
  assertEquals([name, on, list], ["x", true, ["1"]]);
});
