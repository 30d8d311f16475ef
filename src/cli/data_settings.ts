/** Options of the command line in the words of the rooms that take them. */
import type { DirectorySizes } from "../counters/commitlog/mod.ts";
import type { LogWriterOptions } from "../counters/write/mod.ts";
import type { Patience } from "../counters/client/mod.ts";
import { DEFAULT_ADDRESS_WAIT_MS, type logOptions } from "./options.ts";
import type { ValueOrigin, ValuesOf } from "./verb.ts";

/** The sizes that were asked for; one that was not takes the stored value. */
export function wantedSizes(
  options: { readonly [Name in keyof DirectorySizes]?: number | undefined },
): Partial<DirectorySizes> {
  const { keyspaceSize, keySize, logSize } = options;
  return {
    ...(keyspaceSize === undefined ? {} : { keyspaceSize }),
    ...(keySize === undefined ? {} : { keySize }),
    ...(logSize === undefined ? {} : { logSize }),
  };
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

/** A server is waited for at the address that is meant if none is named: it may be starting just now. */
export function writePatience({ options, originOf }: {
  readonly options: { readonly wait: number | undefined };
  originOf(option: "connect"): ValueOrigin;
}): Patience {
  const usualMs = originOf("connect") === "default" ? DEFAULT_ADDRESS_WAIT_MS : 0;
  return { waitMs: options.wait ?? usualMs };
}
