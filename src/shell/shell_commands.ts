/** The commands about the shell itself, and the list of all commands. */

import { NotFoundError, UsageError } from "../base/errors.ts";
import { type Answer, done } from "./answer.ts";
import { type Command, findCommand, usageOf } from "./commands.ts";
import { counterCommands } from "./counter_commands.ts";
import { MODES } from "./render.ts";
import { tableCommands } from "./table_commands.ts";

const text = new TextDecoder();

function choice<Word extends string>(word: string, words: readonly Word[], command: string): Word {
  const found = words.find((known) => known === word.toLowerCase());
  if (found !== undefined) return found;
  throw new UsageError(`${command} must be one of ${words.join(", ")}, not "${word}"`);
}

const shellCommands: readonly Command[] = [
  {
    name: ".help",
    parameters: [{ name: "COMMAND", kind: "command", isOptional: true }],
    summary: "list the commands, or show one",
    aliases: ["help", "?"],
    run(_session, [word]): Answer {
      return { kind: "text", text: word === undefined ? helpOfAll() : helpOf(text.decode(word)) };
    },
  },
  {
    name: ".mode",
    parameters: [{ name: "MODE", kind: "mode" }],
    summary: `set the form of answers: ${MODES.join(", ")}`,
    run(session, [word]) {
      session.mode = choice(text.decode(word), MODES, ".mode");
      return done;
    },
  },
  {
    name: ".timing",
    parameters: [{ name: "on|off", kind: "switch" }],
    summary: "switch the time of each command on or off",
    run(session, [word]) {
      session.timing = choice(text.decode(word), ["on", "off"], ".timing") === "on";
      return done;
    },
  },
  {
    name: ".quit",
    parameters: [],
    summary: "leave the shell, as exit, \\q and Ctrl-D do",
    aliases: [".exit", "exit", "quit", "\\q"],
    run(session) {
      session.isLeaving = true;
      return done;
    },
  },
];

/** All commands, in the order of the help. */
export const commands: readonly Command[] = [
  ...tableCommands,
  ...counterCommands,
  ...shellCommands,
];

function helpOfAll(): string {
  const group = (title: string, list: readonly Command[]) => `${title}\n${helpLines(list)}`;
  return [
    group("Tables: a key is a file, a table is a directory", tableCommands),
    group("Counters: exact 64-bit sums, ranked", counterCommands),
    group("The shell", shellCommands),
    "Several commands on one line are separated by ;\n" +
    'Quotes: "a b", "\\x00\\n" with escapes, \'as it is\'\n',
  ].join("\n");
}

function helpLines(list: readonly Command[]): string {
  const width = Math.max(...commands.map((command) => usageOf(command).length));
  return list.map((command) => `  ${usageOf(command).padEnd(width)}  ${command.summary}\n`).join(
    "",
  );
}

function helpOf(word: string): string {
  const command = findCommand(commands, word);
  if (command === null) throw new NotFoundError(`No command "${word}"; see .help`);
  const others = command.aliases === undefined ? "" : `; also ${command.aliases.join(", ")}`;
  return `${usageOf(command)}\n  ${command.summary}${others}\n`;
}
