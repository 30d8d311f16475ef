/** The sorted counter structure inside a keyspace file. */

export {
  Batch,
  ENTRY_HIGH_WORD,
  ENTRY_KEY_WORD,
  ENTRY_LENGTH_MASK,
  ENTRY_LOW_WORD,
  INT64_MAX,
  INT64_MIN,
} from "./batch.ts";
export { checkTreeFile } from "./check.ts";
export type { Violation } from "./violation.ts";
export { compareBytes, compareRank, highHalf, joinCount, lowHalf } from "./compare.ts";
export type { MarkMap } from "./marks.ts";
export { type SalvagedTree, salvageTree } from "./salvage.ts";
export { COPY_BYTES_MIN, type RowRun, SnapshotLostError, TreeReader } from "./tree_reader.ts";
export { type ApplyFigures, TreeWriter } from "./tree_writer.ts";
