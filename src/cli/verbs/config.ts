import type { Storage } from "../../file/mod.ts";
import { type Command, commandsOf, settableOptions } from "../kit/commands.ts";
import { EXIT_CODES } from "../exit_codes.ts";
import { optional, textArgument } from "../kit/argument.ts";
import { NotFoundError } from "../../base/errors.ts";
import { parseVerb } from "../kit/parse.ts";
import { showSize } from "../kit/option.ts";
import { dataOption } from "../options.ts";
import { defineVerb, environmentName, examplesOf, optionName, type ValueOrigin } from "../verb.ts";

interface Setting {
  readonly verb: string;
  readonly option: string;
  /** Null if nothing is set and the verb itself decides. */
  readonly value: string | null;
  readonly origin: ValueOrigin | "data directory";
  readonly variable: string;
  /** True if the verb has no default of its own. */
  readonly isOpen: boolean;
}

export const config = defineVerb({
  name: "config",
  summary: "show the effective value of every option, and its origin",
  details: [
    "Shows the value that each verb would use now: from the environment, else the default; the sizes " +
    "of an existing data directory are read from it. A value that a verb would refuse is refused " +
    "here too. An option on the command line of a verb overrides all of them.",
    "Reports each COUNTD_* variable that no verb knows on stderr, and then exits 2.",
  ],
  positionals: { verb: optional(textArgument("show this verb only, such as write")) },
  options: { data: dataOption },
  answersJson: true,
  examples: examplesOf({
    "countd config write": "show what countd write would use",
    "COUNTD_SYNC=always countd config --json": "show everything as JSON",
  }),
  async run(context) {
    const { positionals, options, environment, originOf, storage, table, json, stdout } = context;
    const { verb: name } = positionals;
    const commands = commandsOf(table).filter(({ path }) =>
      name === undefined || path.join(" ") === name || path[0] === name
    );
    if (commands.length === 0) throw new NotFoundError(`No verb ${name}; see countd --help`);
    const stored = await storedSizes(storage, options.data);
    const data = { value: options.data, origin: originOf("data") };
    const settings = commands.flatMap((command) =>
      settingsOf(command, environment).map((setting) => withDirectory(setting, { stored, data }))
    );
    if (json) {
      stdout.json({ settings: settings.map(({ isOpen: _, ...setting }) => setting) });
    } else {
      for (const { verb, option, value, origin, variable } of settings) {
        const from = origin === "environment" ? `environment ${variable}` : origin;
        stdout.row(verb, "--" + option, value ?? "-", from);
      }
    }
    const unknown = await unknownVariables(storage, commandsOf(table));
    for (const variable of unknown) context.stderr.line(`countd: No verb knows ${variable}`);
    return unknown.length === 0 ? EXIT_CODES.ok : EXIT_CODES.usage;
  },
});

/** Limit for the bytes of the environment that are searched. */
const ENVIRONMENT_BYTES_MAX = 2 ** 20;

/** Variables that only tests set; `src/file/fault.ts` reads `COUNTD_FAULT`. */
const OTHER_VARIABLES = /^COUNTD_(FAULT$|TEST_)/;

/** Lists misspelt variables, if the system shows the whole environment to a process. */
async function unknownVariables(
  storage: Storage,
  commands: readonly Command[],
): Promise<string[]> {
  const { readKernelFile } = await import("../../admin/mod.ts");
  const known = new Set(
    commands.flatMap(({ verb }) => settableOptions(verb).map(([key]) => environmentName(key))),
  );
  const text = readKernelFile(storage, "/proc/self/environ", ENVIRONMENT_BYTES_MAX) ?? "";
  return text.split("\0").map((pair) => pair.split("=")[0] as string)
    .filter((name) => name.startsWith("COUNTD_"))
    .filter((name) => !known.has(name) && !OTHER_VARIABLES.test(name));
}

/** Returns the sizes in the data directory by option name; empty if it does not exist. */
async function storedSizes(storage: Storage, data: string): Promise<Map<string, string>> {
  const { DataDirectory, describeSelf } = await import("../../counters/commitlog/mod.ts");
  using directory = DataDirectory.openOrNull(storage, data, {
    self: describeSelf(storage),
    access: "read",
  });
  if (directory === null) return new Map();
  const { keyspaceSize, keySize, logSize } = directory.sizes;
  return new Map([
    ["keyspace-size", String(keyspaceSize)],
    ["key-size", String(keySize)],
    ["log-size", showSize(logSize)],
  ]);
}

/** Fills in what the data directory decides: its path, and the stored sizes. */
function withDirectory(
  setting: Setting,
  { stored, data }: {
    readonly stored: ReadonlyMap<string, string>;
    readonly data: { readonly value: string; readonly origin: ValueOrigin };
  },
): Setting {
  if (setting.option === "data") return { ...setting, ...data };
  const size = stored.get(setting.option);
  return setting.isOpen && size !== undefined
    ? { ...setting, value: size, origin: "data directory" }
    : setting;
}

function settingsOf(
  { path, verb }: Command,
  environment: (name: string) => string | undefined,
): Setting[] {
  // Parsed as the verb does it, so that a bad value gets the same message.
  const { origins } = parseVerb({ ...verb, positionals: {} }, [], { prefix: "", environment });
  return settableOptions(verb).map(([key, option]): Setting => ({
    verb: path.join(" "),
    option: optionName(key),
    value: environment(environmentName(key)) ?? option.defaultText,
    origin: origins[key] ?? "default",
    variable: environmentName(key),
    isOpen: option.default === undefined && origins[key] === "default",
  }));
}
