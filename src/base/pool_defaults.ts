/**
 * Bounds and defaults of the commit logs. They are here because the command line shows them before it loads
 * a room; the embedded engine has the same.
 */

/** A log has at least 16 pages, so that the largest record fits many times. */
export const LOG_SIZE_MIN = 65_536;
/** Offsets in a log fit into 31 bits, also those of the live words. */
export const LOG_SIZE_MAX = 2 ** 30;
/** Every log size is a multiple of it. */
export const LOG_SIZE_UNIT_BYTES = 4096;
export const LOG_SIZE_DEFAULT = 16 * 2 ** 20;

/** Most slots of a pool: `control` has a live word for each. */
export const SLOTS_MAX = 1024;

/** What a writer of the pool does without options. */
export const poolDefaults = {
  logs: 4,
  backlogBytes: 4 * 2 ** 30,
  syncIntervalMs: 1000,
  sealAfterMs: 1000,
} as const;
