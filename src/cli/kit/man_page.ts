/** countd(1), made from the table of verbs, as roff for `man -l`. */
import { VERSION } from "../../base/version.ts";
import { commandsOf, prefixOf, settableOptions } from "./commands.ts";
import { EXIT_CODE_MEANINGS } from "../exit_codes.ts";
import { optionRows, usageLine } from "./help.ts";
import { environmentName, optionName, positionalName, type Verb, type VerbTable } from "../verb.ts";

/** Variables that do not set an option. */
const OTHER_VARIABLES: readonly (readonly [string, string])[] = [
  ["NO_COLOR", "If set and not empty, output has no colour, even on a terminal."],
  ["XDG_STATE_HOME, HOME", "The shell keeps its history below these directories."],
  ["NOTIFY_SOCKET, WATCHDOG_USEC", "Set by systemd for services that report when they are ready."],
];

export function manPage(table: VerbTable): string {
  const commands = commandsOf(table);
  const lines = [
    `.TH COUNTD 1 "" "countd ${VERSION}" "User Commands"`,
    ".SH NAME",
    "countd \\- durable counters, sorted by rank; a file key/value store; a map\\-and\\-log database",
    ".SH SYNOPSIS",
    ".B countd",
    ".I VERB",
    "[options]",
    ".br",
    ".B countd \\-\\-help",
    "|",
    ".B \\-\\-version",
    ".SH DESCRIPTION",
    ...paragraph(
      "Increments arrive over TCP and are appended to a pool of commit logs. A worker folds the " +
        "logs into one sorted file for each keyspace, from which counters are read by rank. All " +
        "processes work on one data directory.",
    ),
    ...paragraph(
      "The value of an option comes from the command line, else from the environment, else from " +
        "the default. Data goes to standard output, everything else to standard error.",
    ),
    ".SH VERBS",
  ];
  for (const entry of table) {
    if ("verbs" in entry && entry.details !== undefined) {
      lines.push(`.SS "countd ${escape(entry.name)}"`, ...entry.details.flatMap(paragraph));
    }
    for (const command of commands.filter(({ verb, group }) => (group ?? verb) === entry)) {
      lines.push(...verbLines(command.verb, prefixOf(command)));
    }
  }
  lines.push(".SH EXIT STATUS");
  for (const [code, meaning] of EXIT_CODE_MEANINGS) lines.push(...tagged(String(code), meaning));
  lines.push(".SH ENVIRONMENT", ...environmentLines(commands.map(({ verb }) => verb)));
  lines.push(".SH FILES");
  lines.push(...tagged("./countd-data", "The default data directory."));
  return lines.join("\n") + "\n";
}

function verbLines(verb: Verb, prefix: string): string[] {
  const lines = [
    `.SS "${escape(usageLine(verb, prefix))}"`,
    ...paragraph(sentence(verb.summary)),
    ...(verb.details ?? []).flatMap(paragraph),
  ];
  for (const [key, positional] of Object.entries(verb.positionals)) {
    lines.push(...tagged(positionalName(key), positional.summary));
  }
  for (const [spelling, meaning] of optionRows(verb)) lines.push(...tagged(spelling, meaning));
  for (const { command, meaning } of verb.examples) {
    lines.push(".PP", `${escape(sentence(meaning))}`, ".PP", ".RS 4", ".nf");
    lines.push(`$ ${escape(command)}`, ".fi", ".RE");
  }
  return lines;
}

/** Lists the variables that set options. */
function environmentLines(verbs: readonly Verb[]): string[] {
  const keys = new Set(verbs.flatMap((verb) => settableOptions(verb).map(([key]) => key)));
  const rows = [...keys].map((key) =>
    [environmentName(key), `Sets --${optionName(key)}.`] as const
  );
  return [...rows, ...OTHER_VARIABLES].flatMap(([name, meaning]) => tagged(name, meaning));
}

function paragraph(text: string): string[] {
  return [".PP", escape(text)];
}

function tagged(tag: string, text: string): string[] {
  return [".TP", `\\fB${escape(tag)}\\fR`, escape(text)];
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1) + ".";
}

/** Escapes a text, so that nothing in it is read as a roff command. */
function escape(text: string): string {
  const escaped = text.replaceAll("\\", "\\e").replaceAll("-", "\\-").replaceAll('"', "\\(dq")
    .replaceAll("'", "\\(aq");
  return escaped.startsWith(".") ? "\\&" + escaped : escaped;
}
