/** Keyspaces, one file each: counters in both orders, and the applied generations. */

export {
  type AppliedGenerations,
  Batch,
  compareBytes,
  COPY_BYTES_MIN,
  type RowRun,
  SnapshotLostError,
  type Violation,
} from "../tree/mod.ts";
export { Aggregator, type AggregatorLimits, DEFAULT_AGGREGATOR_LIMITS } from "./aggregator.ts";
export {
  isHiddenName,
  isTemporaryName,
  type KeyspaceEntry,
  keyspacePath,
  listKeyspaces,
  sweepKeyspaces,
} from "./catalog.ts";
export { check, checkKeyspaces } from "./check.ts";
export { keyspaceHead } from "./head.ts";
export { KeyspaceListing } from "./listing.ts";
export { decodeKeyspaceName, encodeKeyspaceName } from "./name.ts";
export type { KeyspaceBatch } from "./keyspace_batches.ts";
export { rebuildKeyspace, type Rebuilt } from "./rebuild.ts";
export { KeyspaceReader } from "./reader.ts";
export { DEFAULT_PAGE_SIZE, KeyspaceWriter } from "./writer.ts";
