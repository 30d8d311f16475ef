/** The layout of `DATA/control`. Offsets are in bytes, integers are little-endian. */

export const CONTROL_MAGIC = new TextEncoder().encode("countdDB");

/** Version of the data directory as a whole. The formats inside it have versions of their own. */
export const DIRECTORY_VERSION = 1;

export const controlLayout = {
  magic: { offset: 0, size: 8 },
  version: { offset: 8, size: 4 },
  keyspaceSize: { offset: 12, size: 4 },
  keySize: { offset: 16, size: 4 },
  reserved: { offset: 20, size: 4 },
  logSize: { offset: 24, size: 8 },
  identity: { offset: 32, size: 16 },
  createdWallMs: { offset: 48, size: 8 },
  checksum: { offset: 56, size: 4 },
} as const;

export const CONTROL_BYTES = 4096;

/** The failed mark: a page of its own, so that storing it never touches the sizes. */
export const FAILED_MARK_OFFSET = 4096;
export const failedMarkLayout = {
  mark: { offset: 0, size: 8 },
  wallMs: { offset: 8, size: 8 },
  reasonLength: { offset: 16, size: 4 },
  checksum: { offset: 20, size: 4 },
  reason: { offset: 24, size: 488 },
} as const;
export const FAILED_MARK_BYTES = 512;
export const FAILED_MAGIC = new TextEncoder().encode("FAILED!\n");

/** The holder of each lock: 64 bytes for each, for messages only. */
export const HOLDERS_OFFSET = 8192;
export const holderLayout = {
  pid: { offset: 0, size: 4 },
  reserved: { offset: 4, size: 4 },
  startTicks: { offset: 8, size: 8 },
  bootId: { offset: 16, size: 36 },
  zeros: { offset: 52, size: 12 },
} as const;
export const HOLDER_BYTES = 64;

/**
 * Locks are one byte each, far beyond the content. The first sixteen are for the directory, the others for
 * the slots.
 */
export const LOCKS_OFFSET = 2 ** 40;
export const SLOT_LOCKS_OFFSET = 16;

/** Locks of the directory as a whole. */
export const directoryLocks = {
  /** One process folds. */
  fold: 0,
  /** While a backup holds it, no page of a keyspace is used again. */
  pin: 1,
  /** Every daemon holds it shared; `check --clear-failed` and repair need it exclusively. */
  daemon: 2,
  /** Held while slots are being added. */
  growth: 3,
} as const;
