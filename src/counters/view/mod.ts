/** Keyspaces as they are now: the deltas of the logs over a snapshot of the file, ranked. */

export {
  CHANGED_KEYS_MAX,
  type CounterReader,
  FOLD_WAIT_MS,
  Reader,
  type ReaderOptions,
} from "./reader.ts";
export type { KeyspaceTotal } from "./keyspace_list.ts";
export { NEEDS_FOLD, NEEDS_TIME } from "./keyspace_view.ts";
export type { Overlay } from "./ranking/overlay.ts";
export type { RowCopy } from "./row_copy.ts";
export { RowBuffer } from "./ranking/row_buffer.ts";
