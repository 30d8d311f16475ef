/** The source of the answers of `top`, `get`, `rank` and `keyspaces`: the data directory or a server. */

import { NotFoundError, UsageError } from "../base/errors.ts";
import { nameField, printableName } from "../base/printable.ts";
import type { CounterReader } from "../counters/view/mod.ts";
import { nameArgument } from "./kit/argument.ts";
import {
  clientKeySizeOption,
  clientKeyspaceSizeOption,
  connectToReadOption,
  dataOption,
  staleOption,
  waitElsewhereOption,
} from "./options.ts";
import { decimal } from "./output.ts";
import type { Context } from "./verb.ts";

/** For verbs that send no key. */
export const pageSourceOptions = {
  data: dataOption,
  connect: connectToReadOption,
  wait: waitElsewhereOption,
  stale: staleOption,
  keyspaceSize: clientKeyspaceSizeOption,
} as const;

export const sourceOptions = { ...pageSourceOptions, keySize: clientKeySizeOption } as const;

export const counterArguments = {
  keyspace: nameArgument("the keyspace"),
  key: nameArgument("the key"),
} as const;

type SourceContext = Pick<
  Context<typeof pageSourceOptions>,
  "options" | "storage" | "clock" | "events" | "originOf"
>;

/** A paragraph in the help of each of these verbs. */
export const SOURCE_DETAILS =
  "Reads the data directory itself, while daemons may write and fold there, and sees every increment " +
  "that was accepted before; with --connect it asks a server instead.";

/** Opens what the options name. Throws `NotFoundError` if the data directory does not exist. */
export async function openSource(
  { options, storage, clock, events, originOf }: SourceContext & {
    readonly options: { readonly keySize?: number };
  },
): Promise<CounterReader> {
  // A directory on the command line overrides a server in the environment.
  const asksHere = originOf("connect") === "environment" &&
    (originOf("data") === "command line" || originOf("stale") === "command line");
  if (options.connect !== undefined && !asksHere) {
    if (options.stale) {
      throw new UsageError(
        "Option --stale is for reading a data directory: a server answers as it was started",
      );
    }
    const { ReadClient } = await import("../counters/client/mod.ts");
    const { connect, wait: waitMs, keyspaceSize, keySize = clientKeySizeOption.default } = options;
    return await ReadClient.connect(connect, { keyspaceSize, keySize }, { waitMs });
  }
  const { Reader } = await import("../counters/view/mod.ts");
  return Reader.open(storage, options.data, { stale: options.stale, clock, events });
}

/** Prints the number `shown` of those that `find` returns; with `--json` all of them. */
export async function printCounter<Shown extends string>(
  context: Context<typeof sourceOptions, typeof counterArguments>,
  shown: Shown,
  find: (
    source: CounterReader,
    keyspace: Uint8Array,
    key: Uint8Array,
  ) => Promise<Readonly<Record<Shown, bigint | number>> | null>,
): Promise<void> {
  const { positionals: { keyspace, key }, stdout } = context;
  using source = await openSource(context);
  const found = await find(source, keyspace, key);
  if (found === null) {
    throw new NotFoundError(`No counter ${printableName(key)} in ${printableName(keyspace)}`);
  }
  if (context.json) {
    const names = { ...nameField("keyspace", keyspace), ...nameField("key", key) };
    stdout.json({ ...names, ...decimal(found) });
  } else stdout.line(String(found[shown]));
}
