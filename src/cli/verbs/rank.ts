import { NotFoundError } from "../../base/errors.ts";
import { nameField, printableName } from "../../base/printable.ts";
import { openSource, SOURCE_DETAILS, sourceOptions } from "../counter_source.ts";
import { EXIT_CODES } from "../exit_codes.ts";
import { nameArgument } from "../kit/argument.ts";
import { defineVerb } from "../verb.ts";

export const rank = defineVerb({
  name: "rank",
  summary: "print the rank of a counter",
  details: [
    "The largest counter of a keyspace has rank 0, as with `countd top --offset`. " +
    SOURCE_DETAILS,
  ],
  positionals: { keyspace: nameArgument("the keyspace"), key: nameArgument("the key") },
  options: sourceOptions,
  answersJson: true,
  examples: [
    {
      command: "countd rank pages /index.html",
      meaning: "print 0 if no page was counted more often",
    },
    {
      command: "countd rank pages /index.html --json",
      meaning: "print rank and value as one JSON object",
    },
  ],
  async run(context) {
    const { positionals: { keyspace, key }, stdout } = context;
    using source = await openSource(context);
    const found = await source.key(keyspace, key);
    if (found === null) {
      throw new NotFoundError(`No counter ${printableName(key)} in ${printableName(keyspace)}`);
    }
    if (context.json) {
      stdout.json({
        ...nameField("keyspace", keyspace),
        ...nameField("key", key),
        rank: String(found.rank),
        value: String(found.value),
      });
    } else {
      stdout.line(String(found.rank));
    }
    return EXIT_CODES.ok;
  },
});
