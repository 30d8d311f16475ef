import {
  counterArguments,
  printCounter,
  SOURCE_DETAILS,
  sourceOptions,
} from "../counter_source.ts";
import { defineVerb, examplesOf } from "../verb.ts";

export const rank = defineVerb({
  name: "rank",
  summary: "print the rank of a counter",
  details: [
    "The largest counter of a keyspace has rank 0, as with `countd top --offset`. " +
    SOURCE_DETAILS,
  ],
  positionals: counterArguments,
  options: sourceOptions,
  answersJson: true,
  examples: examplesOf({
    "countd rank pages /index.html": "print 0 if no page was counted more often",
    "countd rank pages /index.html --json": "print rank and value as one JSON object",
  }),
  run: (context) =>
    printCounter(context, "rank", (source, keyspace, key) => source.key(keyspace, key)),
});
