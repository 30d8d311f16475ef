/** Options of the command line in the words of the rooms that take them. */
import type { DirectorySizes } from "../commitlog/mod.ts";
import type { LogWriterOptions } from "../write/mod.ts";
import type { logOptions } from "./options.ts";
import type { ValuesOf } from "./verb.ts";

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
