/**
 * Turns arguments into typed values. A value comes from the command line, else from the environment,
 * else from the default. Whatever is wrong is named by a `UsageError`.
 */
import { UsageError } from "../../base/errors.ts";
import { optionsOf } from "./commands.ts";
import type { Option } from "./option.ts";
import {
  environmentName,
  optionName,
  type OptionTable,
  positionalName,
  type PositionalTable,
  type ValueOrigin,
  type Verb,
} from "../verb.ts";

export interface Parsed {
  readonly options: Readonly<Record<string, unknown>>;
  readonly origins: Readonly<Record<string, ValueOrigin>>;
  readonly positionals: Readonly<Record<string, unknown>>;
  readonly json: boolean;
  /** True if `--help` was given: everything else is then ignored and unchecked. */
  readonly help: boolean;
}

/**
 * Parses the words after the verb's name. `environment` returns a variable or undefined; `prefix` is
 * the name of the verb's group and a space, for messages.
 */
export function parseVerb(
  verb: Verb,
  words: readonly string[],
  { prefix, environment }: {
    prefix: string;
    environment: (name: string) => string | undefined;
  },
): Parsed {
  const { given, rest } = split(verb, words, prefix);
  if (given.has("help")) {
    return { options: {}, origins: {}, positionals: {}, json: false, help: true };
  }
  const { values, origins } = resolveOptions(verb.options, given, environment);
  return {
    options: values,
    origins,
    positionals: parsePositionals(verb.positionals, rest),
    json: given.has("json"),
    help: false,
  };
}

/** Separates options (key → text) from the other words. */
function split(verb: Verb, words: readonly string[], prefix: string) {
  const given = new Map<string, string>();
  const rest: string[] = [];
  const remember = (key: string, shown: string, value: string) => {
    if (given.has(key)) throw new UsageError(`Option ${shown} is given twice`);
    given.set(key, value);
  };
  for (let index = 0; index < words.length; index++) {
    const word = words[index] as string;
    if (word === "--") {
      rest.push(...words.slice(index + 1));
      break;
    }
    // A lone "-" and a negative number are arguments; any other word with a dash is an option.
    if (!word.startsWith("-") || /^-(\d.*)?$/.test(word)) {
      rest.push(word);
      continue;
    }
    const equals = word.startsWith("--") ? word.indexOf("=") : -1;
    const shown = equals < 0 ? word : word.slice(0, equals);
    const inline = equals < 0 ? undefined : word.slice(equals + 1);
    const [key, option] = optionFor(verb, shown, prefix);
    if (option.isFlag) {
      if (inline !== undefined) throw new UsageError(`Option ${shown} takes no value`);
      remember(key, shown, "");
      if (key === "help") break;
      continue;
    }
    const value = inline ?? words[++index];
    if (value === undefined) throw new UsageError(`Option ${shown} needs a value`);
    remember(key, shown, value);
  }
  return { given, rest };
}

/** The option with this spelling, and its key. */
function optionFor(verb: Verb, shown: string, prefix: string): [string, Option<unknown>] {
  const found = optionsOf(verb).find(([key, { short }]) =>
    shown === "--" + optionName(key) || short !== null && shown === "-" + short
  );
  if (found !== undefined) return found;
  throw new UsageError(`Unknown option ${shown}; see countd ${prefix}${verb.name} --help`);
}

function resolveOptions(
  table: OptionTable,
  given: ReadonlyMap<string, string>,
  environment: (name: string) => string | undefined,
) {
  const values: Record<string, unknown> = {};
  const origins: Record<string, ValueOrigin> = {};
  for (const [key, option] of Object.entries(table)) {
    const typed = given.get(key);
    const variable = environmentName(key);
    // An empty variable counts as unset, so that a program can unset one for its children.
    const inherited = option.fromEnvironment ? environment(variable) || undefined : undefined;
    if (typed !== undefined) {
      origins[key] = "command line";
      values[key] = parseValue(option, typed, `Option --${optionName(key)}`);
    } else if (inherited !== undefined) {
      origins[key] = "environment";
      values[key] = parseValue(option, inherited, `Environment variable ${variable}`);
    } else {
      origins[key] = "default";
      values[key] = option.default;
    }
  }
  return { values, origins };
}

function parseValue(
  { parse }: Pick<Option<unknown>, "parse">,
  text: string,
  subject: string,
): unknown {
  try {
    return parse(text);
  } catch (error) {
    throw new UsageError(`${subject} ${(error as Error).message}`);
  }
}

function parsePositionals(table: PositionalTable, words: readonly string[]) {
  const values: Record<string, unknown> = {};
  let next = 0;
  for (const [key, positional] of Object.entries(table)) {
    const name = positionalName(key);
    if (next < words.length) {
      values[key] = parseValue(positional, words[next++] as string, `Argument ${name}`);
    } else if (positional.presence === "required") {
      throw new UsageError(`Argument ${name} is missing`);
    } else {
      values[key] = positional.absent;
    }
  }
  if (next < words.length) {
    throw new UsageError(`Unexpected argument "${words[next]}"`);
  }
  return values;
}
