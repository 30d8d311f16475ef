/** The texts of `--help`, made from the table of verbs. */
import { EXIT_CODE_MEANINGS } from "../exit_codes.ts";
import { optionsOf } from "./commands.ts";
import type { Option } from "./option.ts";
import {
  environmentName,
  type Example,
  examplesOf,
  optionName,
  positionalName,
  type Verb,
  type VerbGroup,
  type VerbTable,
} from "../verb.ts";

/** Columns of the help on a pipe, and at most on a terminal. */
const WIDTH = 80;

/** `countd --help`. */
export function helpOfAll(table: VerbTable): string {
  const lines = [
    "countd: durable counters, sorted by rank; a file key/value store; a map-and-log database",
    "",
    "Usage: countd VERB [options]",
    "",
    "Verbs:",
    ...columns(table.map((entry) => [entry.name, entry.summary])),
    "",
    "Options:",
    ...columns([
      ["--help", "show this help, or the help of a verb: countd VERB --help"],
      ["--version", "show the versions of countd, Deno, V8 and the data format"],
    ]),
    "",
    "Examples:",
    ...exampleLines(examplesOf({
      "countd serve --data ./counters": "run all three daemons on one directory",
      "countd incr pages /index.html": "count a view of /index.html",
    })),
    "",
    "Exit codes:",
    ...columns(EXIT_CODE_MEANINGS.map(([code, meaning]) => [String(code), meaning])),
  ];
  return lines.join("\n") + "\n";
}

/** `countd kv --help`. */
export function helpOfGroup(group: VerbGroup): string {
  const named = group.defaultVerb === undefined ? "VERB" : "[VERB]";
  const lines = [
    ...wrap(`countd ${group.name}: ${group.summary}`, WIDTH),
    "",
    `Usage: countd ${group.name} ${named} [options]`,
    ...paragraphs(group.details ?? []),
    "",
    "Verbs:",
    ...columns(group.verbs.map((verb) => {
      const isDefault = verb.name === group.defaultVerb;
      return [verb.name, verb.summary + (isDefault ? " (the default)" : "")];
    })),
    "",
    "Examples:",
    ...exampleLines(group.verbs.slice(0, 2).map((verb) => verb.examples[0])),
  ];
  return lines.join("\n") + "\n";
}

/** `countd top --help`; `prefix` is the group's name and a space for a verb in a group. */
export function helpOfVerb(verb: Verb, prefix = ""): string {
  const positionals = Object.entries(verb.positionals);
  const args = positionals.map(([key, { summary }]) => [positionalName(key), summary] as const);
  const lines = [
    ...wrap(`countd ${prefix}${verb.name}: ${verb.summary}`, WIDTH),
    "",
    `Usage: ${usageLine(verb, prefix)}`,
    ...paragraphs(verb.details ?? []),
    ...(args.length === 0 ? [] : ["", "Arguments:", ...columns(args)]),
    "",
    "Options:",
    ...columns(optionRows(verb)),
    "",
    "Examples:",
    ...exampleLines(verb.examples),
  ];
  return lines.join("\n") + "\n";
}

/** `countd top KEYSPACE [options]`. */
export function usageLine(verb: Verb, prefix = ""): string {
  const words = Object.entries(verb.positionals).map(([key, positional]) => {
    const name = positionalName(key);
    return positional.presence === "required" ? name : `[${name}]`;
  });
  return ["countd", prefix + verb.name, ...words, "[options]"].join(" ");
}

/** Lists the options of a verb: the spelling of each, and what it does. */
export function optionRows(verb: Verb): [string, string][] {
  return optionsOf(verb, "show this help").map(([key, option]) => [
    optionSpelling(key, option),
    optionMeaning(key, option),
  ]);
}

/** `-c, --command TEXT`. */
export function optionSpelling(key: string, option: Option<unknown>): string {
  const short = option.short === null ? "" : `-${option.short}, `;
  const value = option.isFlag ? "" : ` ${option.placeholder}`;
  return `${short}--${optionName(key)}${value}`;
}

function optionMeaning(key: string, option: Option<unknown>): string {
  const notes = [];
  if (option.defaultText !== null) notes.push(`default ${option.defaultText}`);
  if (option.fromEnvironment) notes.push(`env ${environmentName(key)}`);
  return option.summary + (notes.length > 0 ? ` [${notes.join(", ")}]` : "");
}

function paragraphs(details: readonly string[]): string[] {
  return details.flatMap((paragraph) => ["", ...wrap(paragraph, WIDTH)]);
}

function exampleLines(examples: readonly Example[]): string[] {
  return examples.flatMap(({ command, meaning }) => [`  $ ${command}`, `    ${meaning}`]);
}

/** Two columns; a left text that is too long gets a line of its own. */
function columns(rows: readonly (readonly [string, string])[]): string[] {
  const widest = Math.max(...rows.map(([left]) => left.length));
  const indent = Math.min(widest, 26) + 4;
  return rows.flatMap(([left, right]) => {
    const [first = "", ...others] = wrap(right, WIDTH - indent);
    const rest = others.map((line) => " ".repeat(indent) + line);
    const head = "  " + left;
    return head.length + 2 <= indent
      ? [head.padEnd(indent) + first, ...rest]
      : [head, " ".repeat(indent) + first, ...rest];
  });
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = "";
    }
    line += (line === "" ? "" : " ") + word;
  }
  return [...lines, line];
}
