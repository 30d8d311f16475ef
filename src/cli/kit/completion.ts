/** Completions for bash, zsh and fish, made from the table of verbs. */
import { type Command, commandsOf, optionsOf } from "./commands.ts";
import type { Completion } from "./option.ts";
import { isGroup, optionName, type Verb, type VerbGroup, type VerbTable } from "../verb.ts";

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

export function completionFor(shell: Shell, table: VerbTable): string {
  const lines = { bash: bashLines, zsh: zshLines, fish: fishLines }[shell](table);
  return [...lines, ""].join("\n");
}

/** Lists every spelling of every option, with the completion of its value (null for a flag). */
function spellingsOf(verb: Verb): [string, Completion | null][] {
  return optionsOf(verb).flatMap(([key, option]) => {
    const completion = option.isFlag ? null : option.completion;
    const spellings = ["--" + optionName(key)];
    if (option.short !== null) spellings.push("-" + option.short);
    return spellings.map((spelling): [string, Completion | null] => [spelling, completion]);
  });
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function bashLines(table: VerbTable): string[] {
  const commands = commandsOf(table);
  const groups = table.filter(isGroup);
  return [
    "# bash completion for countd: source it, or put it under bash-completion/completions/countd",
    "_countd() {",
    "  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}",
    "  local command=${COMP_WORDS[1]} options= words= kind=",
    "  COMPREPLY=()",
    "  if ((COMP_CWORD == 1)); then",
    `    words=${quote([...table.map(({ name }) => name), "--help", "--version"].join(" "))}`,
    '    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")',
    "    return",
    "  fi",
    '  case "$command" in',
    ...groups.flatMap((group) => [
      `  ${group.name})`,
      `    words=${quote([...group.verbs.map(({ name }) => name), "--help"].join(" "))}`,
      "    if ((COMP_CWORD == 2)); then",
      '      mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")',
      "      return",
      "    fi",
      "    words=",
      '    command="$command ${COMP_WORDS[2]}"',
      "    ;;",
    ]),
    "  esac",
    '  case "$command $previous" in',
    ...commands.flatMap(bashValueCases),
    "  *)",
    '    case "$command" in',
    ...commands.flatMap(bashCommandCase),
    "    esac",
    "    ;;",
    "  esac",
    "  if [[ $current == -* ]]; then words=$options kind=; fi",
    "  if [[ $kind == file || $kind == directory ]]; then compopt -o filenames; fi",
    "  case $kind in",
    '  file) mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;',
    '  directory) mapfile -t COMPREPLY < <(compgen -d -- "$current") ;;',
    '  *) mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current") ;;',
    "  esac",
    "}",
    "complete -F _countd countd",
  ];
}

function bashValueCases({ path, verb }: Command): string[] {
  return spellingsOf(verb).flatMap(([spelling, completion]) => {
    if (completion === null) return [];
    return [`  ${quote([...path, spelling].join(" "))}) ${bashSource(completion)} ;;`];
  });
}

function bashSource(completion: Completion): string {
  if (completion === "nothing") return ":";
  return typeof completion === "string"
    ? `kind=${completion}`
    : `words=${quote(completion.join(" "))}`;
}

function bashCommandCase({ path, verb }: Command): string[] {
  const options = spellingsOf(verb).map(([spelling]) => spelling).join(" ");
  const sources = Object.values(verb.positionals)
    .filter(({ completion }) => completion !== "nothing")
    .map(({ completion }) => bashSource(completion));
  const statements = [`options=${quote(options)}`, ...sources.slice(0, 1)];
  return [`    ${quote(path.join(" "))}) ${statements.join("; ")} ;;`];
}

function zshLines(table: VerbTable): string[] {
  return [
    "#compdef countd",
    "# zsh completion for countd: put it as _countd into a directory of $fpath, or source it",
    "_countd() {",
    "  local -a verbs",
    "  if (( CURRENT == 2 )); then",
    `    verbs=(${table.map(zshDescription).join(" ")})`,
    "    _describe verb verbs",
    "    _arguments '--help[show the help]' '--version[show the versions]'",
    "    return",
    "  fi",
    "  local command=$words[2]",
    "  shift words; (( CURRENT-- ))",
    "  case $command in",
    ...table.flatMap((entry) =>
      isGroup(entry) ? zshGroup(entry) : [`  ${entry.name})`, ...zshArguments(entry), "    ;;"]
    ),
    "  esac",
    "}",
    'if [[ $funcstack[1] == _countd ]]; then _countd "$@"; else compdef _countd countd; fi',
  ];
}

function zshGroup(group: VerbGroup): string[] {
  return [
    `  ${group.name})`,
    "    if (( CURRENT == 2 )); then",
    `      verbs=(${group.verbs.map(zshDescription).join(" ")})`,
    "      _describe verb verbs",
    "      return",
    "    fi",
    "    command=$words[2]",
    "    shift words; (( CURRENT-- ))",
    "    case $command in",
    ...group.verbs.flatMap((verb) => [`    ${verb.name})`, ...zshArguments(verb), "    ;;"]),
    "    esac",
    "    ;;",
  ];
}

function zshDescription({ name, summary }: { name: string; summary: string }): string {
  return quote(`${name}:${summary.replaceAll(":", "\\:")}`);
}

function zshArguments(verb: Verb): string[] {
  const specifications = optionsOf(verb).flatMap(([key, option]) => {
    const text = `[${zshText(option.summary)}]`;
    const value = `:${zshText(option.placeholder)}:${zshAction(option.completion)}`;
    const spelling = "--" + optionName(key);
    if (option.isFlag) return [`${spelling}${text}`];
    const long = `${spelling}=${text}${value}`;
    return option.short === null ? [long] : [long, `-${option.short}${text}${value}`];
  });
  for (const [key, positional] of Object.entries(verb.positionals)) {
    const colons = positional.presence === "optional" ? "::" : ":";
    specifications.push(`${colons}${zshText(key)}:${zshAction(positional.completion)}`);
  }
  return [
    "    _arguments \\",
    ...specifications.map((one, index) =>
      `      ${quote(one)}${index < specifications.length - 1 ? " \\" : ""}`
    ),
  ];
}

function zshText(text: string): string {
  return text.replace(/[\\:[\]]/g, "\\$&");
}

function zshAction(completion: Completion): string {
  if (completion === "nothing") return " ";
  if (completion === "file") return "_files";
  return completion === "directory" ? "_directories" : `(${completion.join(" ")})`;
}

function fishLines(table: VerbTable): string[] {
  return [
    "# fish completion for countd: put it as countd.fish into ~/.config/fish/completions",
    "function __countd_in --description 'the command line begins with these words'",
    "  set -l words (commandline -opc)",
    "  set -e words[1]",
    "  set -l last (count $argv)",
    "  test $last -eq 0; and return 0",
    "  test (count $words) -ge $last; or return 1",
    '  test "$words[1..$last]" = "$argv"',
    "end",
    "function __countd_next --description 'the command line is these words and the next one'",
    "  __countd_in $argv; and test (count (commandline -opc)) -eq (math (count $argv) + 1)",
    "end",
    "complete -c countd -f",
    "complete -c countd -n __countd_next -l help -d 'show the help'",
    "complete -c countd -n __countd_next -l version -d 'show the versions'",
    ...table.map((entry) => fishVerb("__countd_next", entry)),
    ...table.filter(isGroup).flatMap((group) =>
      group.verbs.map((verb) => fishVerb(`__countd_next ${group.name}`, verb))
    ),
    ...commandsOf(table).flatMap(fishOptions),
  ];
}

function fishVerb(condition: string, { name, summary }: { name: string; summary: string }): string {
  return `complete -c countd -n '${condition}' -a ${name} -d ${fishQuote(summary)}`;
}

function fishOptions({ path, verb }: Command): string[] {
  const head = `complete -c countd -n '__countd_in ${path.join(" ")}'`;
  const lines = optionsOf(verb).map(([key, option]) => {
    const short = option.short === null ? "" : ` -s ${option.short}`;
    // -x: a value must follow; -F adds the names of files.
    const value = option.isFlag
      ? ""
      : option.completion === "file"
      ? " -r -F"
      : " -x" + fishSource(option.completion);
    const text = fishQuote(option.summary);
    return `${head}${short} -l ${optionName(key)}${value} -d ${text}`;
  });
  for (const { completion } of Object.values(verb.positionals)) {
    if (completion !== "nothing") lines.push(head + fishSource(completion));
  }
  return lines;
}

function fishSource(completion: Completion): string {
  if (completion === "nothing") return "";
  if (completion === "file") return " -F";
  return completion === "directory"
    ? " -a '(__fish_complete_directories)'"
    : ` -a '${completion.join(" ")}'`;
}

function fishQuote(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
