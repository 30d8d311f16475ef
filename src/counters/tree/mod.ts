/** The sorted counter structure inside a keyspace file. */

export {
  Batch,
  ENTRY_HIGH_WORD,
  ENTRY_KEY_WORD,
  ENTRY_LENGTH_MASK,
  ENTRY_LOW_WORD,
} from "./write/batch.ts";
export { checkTreeFile } from "./check/check.ts";
export type { Violation } from "./check/violation.ts";
export { compareBytes } from "./pages/compare.ts";
export type { AppliedGenerations } from "./pages/applied_generations.ts";
export { readTreeHead, type TreeHead } from "./pages/meta.ts";
export type { PageFile } from "./pages/page.ts";
export { type SalvagedTree, salvageTree } from "./check/salvage.ts";
export { COPY_BYTES_MIN, type RowRun, SnapshotLostError, TreeReader } from "./read/tree_reader.ts";
export { type ApplyResult, TreeWriter } from "./write/tree_writer.ts";
