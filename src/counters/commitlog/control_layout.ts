/** The layout of `DATA/control`. Offsets are in bytes, integers are little-endian. */

import { SLOTS_MAX } from "../../base/pool_defaults.ts";

export const CONTROL_MAGIC = new TextEncoder().encode("countdDB");

/** Version of the data directory as a whole. The formats inside it have versions of their own. */
export const DIRECTORY_VERSION = 2;

/** From version 2 on the place of magic, version, feature words and checksum never changes. */
export const controlLayout = {
  magic: { offset: 0, size: 8 },
  version: { offset: 8, size: 4 },
  compat: { offset: 12, size: 4 },
  incompat: { offset: 16, size: 4 },
  keyspaceSize: { offset: 20, size: 4 },
  keySize: { offset: 24, size: 4 },
  reserved: { offset: 28, size: 4 },
  logSize: { offset: 32, size: 8 },
  identity: { offset: 40, size: 16 },
  streamId: { offset: 56, size: 16 },
  zeros: { offset: 72, size: 436 },
  checksum: { offset: 508, size: 4 },
} as const;

export const CONTROL_HEAD_BYTES = 512;

/** What format 1 had in its place of the checksum: it covers the bytes before it. */
export const CHECKSUM_OFFSET_1 = 56;

/** The order counter: outside the checksum of the head, because each claim stores it. */
export const orderLayout = {
  order: { offset: 512, size: 8 },
  complement: { offset: 520, size: 8 },
  zeros: { offset: 528, size: 3568 },
} as const;

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

/** The live words: 16 bytes each, a value and its complement. Zero until they are first stored. */
export const liveWordsLayout = {
  epoch: { offset: 8192, size: 16 },
  tails: { offset: 8208, size: 16 * SLOTS_MAX },
  zeros: { offset: 24_592, size: 4080 },
} as const;

/** The holder of each lock: 64 bytes for each, for messages only. */
export const HOLDERS_OFFSET = 28_672;
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
  /** Held while the order counter is raised. */
  order: 4,
} as const;
