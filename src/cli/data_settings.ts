/** Turns options of the command line into settings of the rooms that use them. */
import type { DirectorySizes } from "../counters/commitlog/mod.ts";
import type { LogWriterOptions } from "../counters/write/mod.ts";
import type { Patience } from "../counters/client/mod.ts";
import { DEFAULT_ADDRESS_WAIT_MS, type logOptions } from "./options.ts";
import type { ValueOrigin, ValuesOf } from "./verb.ts";

/** Returns the sizes that were given; the data directory keeps the stored value of the others. */
export function wantedSizes(
  options: { readonly [Name in keyof DirectorySizes]?: number | undefined },
): Partial<DirectorySizes> {
  const { keyspaceSize, keySize, logSize } = options;
  const sizes = Object.entries({ keyspaceSize, keySize, logSize });
  return Object.fromEntries(sizes.filter(([, size]) => size !== undefined));
}

export function logWriterOptions(options: ValuesOf<typeof logOptions>): LogWriterOptions {
  return {
    sync: options.sync,
    syncIntervalMs: options.syncInterval,
    logs: options.logs,
    backlogBytes: options.backlog,
    sealAfterMs: options.sealAfter,
  };
}

/** Without --connect, waits for the server at the default address: it may still be starting. */
export function writePatience({ options, originOf }: {
  readonly options: { readonly wait: number | undefined };
  originOf(option: "connect"): ValueOrigin;
}): Patience {
  const usualMs = originOf("connect") === "default" ? DEFAULT_ADDRESS_WAIT_MS : 0;
  return { waitMs: options.wait ?? usualMs };
}
