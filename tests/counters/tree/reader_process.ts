/**
 * A reader in a process of its own: `reader_process.ts PATH COUNTERS`. Takes snapshots until it has seen 50
 * different ones, checks what must be true of each, and prints what it saw.
 */

import { assert, assertEquals } from "@std/assert";
import { systemStorage } from "../../../src/file/mod.ts";
import { SnapshotLostError, TreeReader } from "../../../src/counters/tree/mod.ts";
import { bytesOf, decodeRows } from "./toy_counters.ts";

const SNAPSHOTS = 50;
const path = Deno.args[0] as string;
const counters = Number(Deno.args[1]);

using file = systemStorage().open(path, { access: "read" });
const reader = new TreeReader(file, { cacheBytes: 0 });
const deadline = performance.now() + 120_000;
let snapshots = 0;
let lost = 0;
while (snapshots < SNAPSHOTS && performance.now() < deadline) {
  if (!reader.refresh()) continue;
  try {
    lookAt(reader);
    snapshots++;
  } catch (error) {
    if (!(error instanceof SnapshotLostError)) throw error;
    lost++;
  }
}
console.log(JSON.stringify({ snapshots, lost }));

function lookAt(reader: TreeReader): void {
  assertEquals(reader.total, counters);
  const { bytes, rows } = reader.page(0, counters + 1);
  assertEquals(rows, counters);
  const all = decodeRows(bytes);
  assertEquals(all.reduce((sum, { count }) => sum + count, 0n), 0n);
  for (let rank = 1; rank < all.length; rank++) {
    const [before, row] = [all[rank - 1]!, all[rank]!];
    const inOrder = before.count > row.count ||
      (before.count === row.count && before.key < row.key);
    assert(inOrder, `rows ${rank - 1} and ${rank} are in order`);
  }
  for (let rank = 0; rank < all.length; rank += 37) {
    assertEquals(reader.rankOf(bytesOf(all[rank]!.key)), rank);
    assertEquals(reader.get(bytesOf(all[rank]!.key)), all[rank]!.count);
  }
}
