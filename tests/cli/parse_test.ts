/** Parsing of arguments: the origin of values, and the messages about bad ones. */
import { assertEquals, assertThrows } from "@std/assert";
import { UsageError } from "../../src/base/errors.ts";
import { nameArgument, optionalInt64Argument } from "../../src/cli/kit/argument.ts";
import {
  address,
  choice,
  duration,
  flag,
  int64,
  path,
  size,
  text,
  whole,
} from "../../src/cli/kit/option.ts";
import { type Parsed, parseVerb } from "../../src/cli/kit/parse.ts";
import { defineVerb, environmentName, optionName } from "../../src/cli/verb.ts";

const example = { command: "countd sample", meaning: "a sample" };

const sample = defineVerb({
  name: "sample",
  summary: "a verb for these tests",
  positionals: {
    keyspace: nameArgument("a name"),
    n: optionalInt64Argument("a number", 1n),
  },
  options: {
    logSize: size({ summary: "a size", min: 65536, max: 2 ** 30 }),
    port: whole({ summary: "a port", min: 0, max: 65535, default: 7 }),
    amount: int64({ summary: "an amount", default: 0n }),
    sync: choice({ summary: "a mode", of: ["always", "os"], default: "os" }),
    every: duration({ summary: "a time", default: 1000, min: 1, max: 60_000 }),
    connect: address({ summary: "a server", defaultPort: 48879 }),
    data: path({ of: "directory", summary: "a place", default: "./here" }),
    command: text({ summary: "a text", short: "c", fromEnvironment: false }),
    follow: flag("a flag"),
  },
  answersJson: true,
  examples: [example, example],
  run: () => Promise.resolve(0),
});

function parse(texts: string[], variables: Record<string, string> = {}): Parsed {
  return parseVerb(sample, texts, {
    prefix: "",
    environment: (name) => variables[name],
  });
}

function refusal(texts: string[], variables: Record<string, string> = {}): string {
  return assertThrows(() => parse(texts, variables), UsageError).message;
}

Deno.test("An option takes its value after a blank or an equals sign", () => {
  assertEquals(parse(["ks", "--port", "80"]).options["port"], 80);
  assertEquals(parse(["--port=80", "ks"]).options["port"], 80);
  assertEquals(parse(["ks", "-c", "a; b"]).options["command"], "a; b");
  assertEquals(parse(["ks", "--command=a=b"]).options["command"], "a=b");
});

Deno.test("A value comes from the command line, else the environment, else the default", () => {
  const variables = { COUNTD_PORT: "1", COUNTD_SYNC: "always" };
  const parsed = parse(["ks", "--port", "2"], variables);
  assertEquals(parsed.options["port"], 2);
  assertEquals(parsed.origins["port"], "command line");
  assertEquals(parsed.options["sync"], "always");
  assertEquals(parsed.origins["sync"], "environment");
  assertEquals(parsed.options["data"], "./here");
  assertEquals(parsed.origins["data"], "default");
});

Deno.test("An empty variable counts as none", () => {
  const parsed = parse(["ks"], { COUNTD_PORT: "", COUNTD_DATA: "" });
  assertEquals([parsed.options["port"], parsed.origins["port"]], [7, "default"]);
  assertEquals(parsed.options["data"], "./here");
});

Deno.test("A flag and a one-off option ignore the environment", () => {
  const parsed = parse(["ks"], { COUNTD_FOLLOW: "1", COUNTD_COMMAND: "rm" });
  assertEquals(parsed.options["follow"], false);
  assertEquals(parsed.options["command"], undefined);
});

Deno.test("Negative numbers and words after -- are arguments", () => {
  assertEquals(parse(["ks", "-5"]).positionals["n"], -5n);
  const parsed = parse(["--follow", "--", "--port"]);
  assertEquals(parsed.positionals["keyspace"], new TextEncoder().encode("--port"));
  assertEquals(parsed.options["follow"], true);
  assertEquals(parse(["ks", "--amount", "-9223372036854775808"]).options["amount"], -(2n ** 63n));
});

Deno.test("Sizes, times and addresses are read with their units", () => {
  const { options } = parse(["ks", "--log-size", "16MiB", "--every", "2s", "--connect", "[::1]:9"]);
  assertEquals(options["logSize"], 16 * 2 ** 20);
  assertEquals(options["every"], 2000);
  assertEquals(options["connect"], { hostname: "::1", port: 9 });
  assertEquals(parse(["ks", "--every", "5"]).options["every"], 5);
  assertEquals(parse(["ks", "--every", "5ms"]).options["every"], 5);
  assertEquals(parse(["ks", "--every", "1m"]).options["every"], 60_000);
  assertEquals(parse(["ks", "--connect", "there"]).options["connect"], {
    hostname: "there",
    port: 48879,
  });
});

Deno.test("The message about a bad option names it", () => {
  const cases: [string[], string][] = [
    [["ks", "--nothing"], "Unknown option --nothing; see countd sample --help"],
    [["ks", "-x"], "Unknown option -x; see countd sample --help"],
    [["ks", "--port", "1", "--port=2"], "Option --port is given twice"],
    [["ks", "--follow", "--follow"], "Option --follow is given twice"],
    [["ks", "--follow=yes"], "Option --follow takes no value"],
    [["ks", "--port"], "Option --port needs a value"],
    [["ks", "--port", "x"], 'Option --port must be a whole number, not "x"'],
    [["ks", "--port", "1.5"], 'Option --port must be a whole number, not "1.5"'],
    [["ks", "--port", ""], 'Option --port must be a whole number, not ""'],
    [["ks", "--port", "65536"], "Option --port must be between 0 and 65535, not 65536"],
    [["ks", "--port", "-1"], "Option --port must be between 0 and 65535, not -1"],
    [["ks", "--sync", "never"], 'Option --sync must be one of always, os, not "never"'],
    [["ks", "--log-size", "1KiB"], "Option --log-size must be between 64KiB and 1GiB, not 1KiB"],
    [
      ["ks", "--log-size", "big"],
      'Option --log-size must be a size in bytes such as 65536, 64KiB or 16MiB, not "big"',
    ],
    [
      ["ks", "--every", "1d"],
      'Option --every must be a time in milliseconds such as 500, 500ms or 2s, not "1d"',
    ],
    [["ks", "--every", "0"], "Option --every must be between 1ms and 60s, not 0ms"],
    [
      ["ks", "--connect", "a:b:c"],
      'Option --connect must be HOST:PORT with a port from 1 to 65535, not "a:b:c"',
    ],
    [
      ["ks", "--connect", "a:70000"],
      'Option --connect must be HOST:PORT with a port from 1 to 65535, not "a:70000"',
    ],
    [["ks", "--data", ""], "Option --data must not be empty"],
    [
      ["ks", "--amount", "9223372036854775808"],
      "Option --amount must be between -9223372036854775808 and 9223372036854775807, " +
      "not 9223372036854775808",
    ],
    [["ks", "x"], 'Argument N must be a whole number, not "x"'],
    [[], "Argument KEYSPACE is missing"],
    [["ks", "1", "more"], 'Unexpected argument "more"'],
  ];
  for (const [texts, message] of cases) assertEquals(refusal(texts), message);
});

Deno.test("The message about a bad value from the environment names the variable", () => {
  assertEquals(
    refusal(["ks"], { COUNTD_PORT: "http" }),
    'Environment variable COUNTD_PORT must be a whole number, not "http"',
  );
  // A variable that the command line overrides is not checked.
  assertEquals(parse(["ks", "--port", "5"], { COUNTD_PORT: "http" }).options["port"], 5);
});

Deno.test("--help wins over any mistake after it", () => {
  assertEquals(parse(["--help", "--nothing"]).help, true);
});

Deno.test("Keys are spelled in kebab-case and in capitals", () => {
  assertEquals(optionName("maxConnections"), "max-connections");
  assertEquals(environmentName("maxConnections"), "COUNTD_MAX_CONNECTIONS");
});
