import { NotFoundError } from "../../base/errors.ts";
import { nameField, printableName } from "../../base/printable.ts";
import { openSource, SOURCE_DETAILS, sourceOptions } from "../counter_source.ts";
import { EXIT_CODES } from "../exit_codes.ts";
import { nameArgument } from "../kit/argument.ts";
import { defineVerb } from "../verb.ts";

export const get = defineVerb({
  name: "get",
  summary: "print the value of a counter",
  details: [SOURCE_DETAILS],
  positionals: { keyspace: nameArgument("the keyspace"), key: nameArgument("the key") },
  options: sourceOptions,
  answersJson: true,
  examples: [
    { command: "countd get pages /index.html", meaning: "print how often /index.html was counted" },
    {
      command: "countd get pages /index.html --stale",
      meaning: "leave out what is still in the logs",
    },
  ],
  async run(context) {
    const { positionals: { keyspace, key }, stdout } = context;
    using source = await openSource(context);
    const value = await source.value(keyspace, key);
    if (value === null) {
      throw new NotFoundError(`No counter ${printableName(key)} in ${printableName(keyspace)}`);
    }
    if (context.json) {
      stdout.json({
        ...nameField("keyspace", keyspace),
        ...nameField("key", key),
        value: String(value),
      });
    } else {
      stdout.line(String(value));
    }
    return EXIT_CODES.ok;
  },
});
