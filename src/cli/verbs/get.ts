import {
  counterArguments,
  printCounter,
  SOURCE_DETAILS,
  sourceOptions,
} from "../counter_source.ts";
import { defineVerb, examplesOf } from "../verb.ts";

export const get = defineVerb({
  name: "get",
  summary: "print the value of a counter",
  details: [SOURCE_DETAILS],
  positionals: counterArguments,
  options: sourceOptions,
  answersJson: true,
  examples: examplesOf({
    "countd get pages /index.html": "print how often /index.html was counted",
    "countd get pages /index.html --stale": "leave out what is still in the logs",
  }),
  run: (context) =>
    printCounter(context, "value", async (source, keyspace, key) => {
      const value = await source.value(keyspace, key);
      return value === null ? null : { value };
    }),
});
