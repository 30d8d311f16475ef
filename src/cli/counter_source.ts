/** The source of the answers of `top`, `get`, `rank` and `keyspaces`: the data directory or a server. */

import { UsageError } from "../base/errors.ts";
import {
  clientKeySizeOption,
  clientKeyspaceSizeOption,
  connectToReadOption,
  dataOption,
  staleOption,
  waitElsewhereOption,
} from "./options.ts";
import type { Context } from "./verb.ts";

/** The questions that both can answer. Numbers of rows are exact below 2^53, values always. */
export interface CounterSource extends Disposable {
  /** Returns rows from `offset` on, possibly fewer than asked for; an unknown keyspace has the total 0. */
  page(
    keyspace: Uint8Array,
    range: { readonly offset: number; readonly length: number },
  ): Promise<{
    readonly total: number;
    readonly rows: readonly { readonly key: Uint8Array; readonly value: bigint }[];
  }>;
  /** Returns null if the counter does not exist. */
  key(
    keyspace: Uint8Array,
    key: Uint8Array,
  ): Promise<{ readonly rank: number; readonly value: bigint } | null>;
  value(keyspace: Uint8Array, key: Uint8Array): Promise<bigint | null>;
  /** Returns some of the keyspaces behind a name, in byte order; an empty list at the end. */
  keyspaces(
    after: Uint8Array,
  ): Promise<readonly { readonly name: Uint8Array; readonly counters: number | null }[]>;
}

/** For verbs that send no key. */
export const pageSourceOptions = {
  data: dataOption,
  connect: connectToReadOption,
  wait: waitElsewhereOption,
  stale: staleOption,
  keyspaceSize: clientKeyspaceSizeOption,
} as const;

export const sourceOptions = { ...pageSourceOptions, keySize: clientKeySizeOption } as const;

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
): Promise<CounterSource> {
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
  const { DataDirectory, describeSelf } = await import("../counters/commitlog/mod.ts");
  const { Reader } = await import("../counters/view/mod.ts");
  const directory = DataDirectory.open(storage, options.data, { self: describeSelf(storage) });
  const reader = new Reader(directory, { stale: options.stale, clock, events });
  return {
    page: (keyspace, range) => reader.page(keyspace, range),
    key: (keyspace, key) => reader.key(keyspace, key),
    value: (keyspace, key) => reader.value(keyspace, key),
    keyspaces: (after) => reader.keyspaces(after),
    [Symbol.dispose]() {
      reader[Symbol.dispose]();
      directory.close();
    },
  };
}
