import { type Command, commandsOf } from "../commands.ts";
import { EXIT_CODES } from "../exit_codes.ts";
import { optionalNameArgument } from "../option.ts";
import { NotFoundError } from "../../base/errors.ts";
import { textOfName } from "../../base/printable.ts";
import { parseVerb } from "../parse.ts";
import { defineVerb, environmentName, optionName, type ValueOrigin } from "../verb.ts";

interface Setting {
  readonly verb: string;
  readonly option: string;
  /** Null where nothing is set and the verb itself decides. */
  readonly value: string | null;
  readonly origin: ValueOrigin;
  readonly variable: string;
}

export const config = defineVerb({
  name: "config",
  summary: "show the effective value of every option, and where it came from",
  details: [
    "Shows what each verb would take now: the value of the environment where there is one, else the " +
    "default. A value that its verb would refuse is refused here too. Options given on a command " +
    "line win over both.",
  ],
  positionals: { verb: optionalNameArgument("only this verb, such as write") },
  options: {},
  answersJson: true,
  examples: [
    { command: "countd config write", meaning: "what countd write would use" },
    { command: "COUNTD_SYNC=always countd config --json", meaning: "everything, for a program" },
  ],
  run({ positionals, environment, table, json, stdout }) {
    const name = positionals.verb === undefined ? null : textOfName(positionals.verb) ?? "";
    const commands = commandsOf(table).filter(({ path }) =>
      name === null || path.join(" ") === name || path[0] === name
    );
    if (commands.length === 0) throw new NotFoundError(`No verb ${name}; see countd --help`);
    const settings = commands.flatMap((command) => settingsOf(command, environment));
    if (json) {
      stdout.json({ settings });
    } else {
      for (const { verb, option, value, origin, variable } of settings) {
        const from = origin === "environment" ? `environment ${variable}` : origin;
        stdout.line([verb, "--" + option, value ?? "-", from].join("\t"));
      }
    }
    return Promise.resolve(EXIT_CODES.ok);
  },
});

function settingsOf(
  { path, verb }: Command,
  environment: (name: string) => string | undefined,
): Setting[] {
  const settable = Object.entries(verb.options).filter(([, option]) =>
    !option.isFlag && option.fromEnvironment
  );
  // Read as the verb reads it, so that what it would refuse is refused here with the same words.
  const { origins } = parseVerb({ ...verb, positionals: {} }, [], { prefix: "", environment });
  return settable.map(([key, option]): Setting => ({
    verb: path.join(" "),
    option: optionName(key),
    value: environment(environmentName(key)) ?? option.defaultText,
    origin: origins[key] ?? "default",
    variable: environmentName(key),
  }));
}
