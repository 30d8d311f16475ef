import { RefusedError } from "../../base/errors.ts";
import { writePatience } from "../data_settings.ts";
import { nameArgument, optionalInt64Argument } from "../kit/argument.ts";
import { showAddress } from "../kit/option.ts";
import { writeClientOptions } from "../options.ts";
import { defineVerb, examplesOf } from "../verb.ts";

export const incr = defineVerb({
  name: "incr",
  summary: "add to one counter",
  details: [
    "Sends one increment to a server and waits until it is durable. Prints nothing. A negative " +
    "increment needs no --, as in `countd incr stock apples -5`; a name that begins with a dash " +
    "does.",
  ],
  positionals: {
    keyspace: nameArgument("the keyspace"),
    key: nameArgument("the key"),
    increment: optionalInt64Argument("a signed 64-bit number to add; 1 if left out", 1n),
  },
  options: writeClientOptions,
  examples: examplesOf({
    "countd incr pages /index.html": "one more view of /index.html",
    "countd incr stock apples 250 --connect counters.example:48879": "add 250 on another machine",
  }),
  async run(context) {
    const { options, positionals: { keyspace, key, increment } } = context;
    const { WriteClient } = await import("../../counters/client/mod.ts");
    // Validate before connecting.
    WriteClient.check(keyspace, key, options);
    using client = await WriteClient.connect(options.connect, options, writePatience(context));
    await client.increment(keyspace, key, increment);
    const totals = await client.finish();
    if (totals.refused > 0n) {
      const server = showAddress(options.connect);
      throw new RefusedError(
        `${server} refused the increment: check that --keyspace-size and --key-size match the server's, ` +
          "and whether the server has as many keyspaces as its --max-keyspaces allows",
      );
    }
  },
});
