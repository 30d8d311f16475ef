/**
 * Bugs to plant between the code under test and the disk. A real program has had each of them; a harness
 * that does not detect one is broken.
 */

import {
  FRAME_HEAD_BYTES,
  FRAME_MAGIC,
  HEAD_PAGE_BYTES,
} from "../../src/counters/commitlog/layout.ts";
import { BatchCursor, batchSeed } from "../../src/counters/commitlog/frame.ts";
import { newestHeader } from "../../src/counters/commitlog/header.ts";
import { listSlots, pathOfSlot } from "../../src/counters/commitlog/mod.ts";
import {
  FRAME_ALIGNMENT_BYTES,
  frameLayout,
  LogBytes,
  sealFrame,
  validFrames,
} from "../../src/file/checked_log/mod.ts";
import type { Storage, StoredFile } from "../../src/file/mod.ts";
import { overridden } from "../support/overridden.ts";

export type StorageBug =
  | "skip the data sync"
  | "skip the directory sync"
  | "skip the sync of the file system"
  | "full before the data is durable"
  | "write before the generation is durable"
  | "checksum not seeded with the generation"
  | "no checksum"
  | "retry a failed sync"
  | "skip sync A of the fold"
  | "skip sync B of the fold"
  | "skip the sync of the logs of the fold";

/** Makes syncs of files do nothing while `when()` is true. */
function withoutFileSyncs(inner: Storage, when: () => boolean): Storage {
  return overridden(inner, {
    open(path, options) {
      const file = inner.open(path, options);
      const skipping = {
        syncData: () => when() || file.syncData(),
        sync: () => when() || file.sync(),
        syncDataAsync: async () => void (when() || await file.syncDataAsync()),
      };
      return overridden(file, skipping as unknown as Partial<StoredFile>);
    },
  });
}

/** Repeats a failed sync, and believes its second answer. */
function retryingSyncs(inner: Storage): Storage {
  return overridden(inner, {
    open(path, options) {
      const file = inner.open(path, options);
      const twice = (sync: () => void) => {
        try {
          sync();
        } catch {
          sync();
        }
      };
      return overridden(file, {
        syncData: () => twice(() => file.syncData()),
        sync: () => twice(() => file.sync()),
        syncDataAsync: () => file.syncDataAsync().catch(() => file.syncDataAsync()),
      } as Partial<StoredFile>);
    },
  });
}

/** Runs an action at a named point; everything else passes through. */
function atPoint(inner: Storage, order: (point: string) => void): Storage {
  return overridden(inner, {
    reach(point) {
      inner.reach(point);
      order(point);
    },
  });
}

/** Between two points of the protocol, syncs of files do nothing. */
function skippingBetween(inner: Storage, from: string, to: string): Storage {
  let skipping = false;
  const watched = atPoint(inner, (point) => {
    if (point === from) skipping = true;
    if (point === to) skipping = false;
  });
  return withoutFileSyncs(watched, () => skipping);
}

/** Between two points of the protocol, nothing is synced: no file, no directory, no file system. */
function syncingNothingBetween(inner: Storage, from: string, to: string): Storage {
  let skipping = false;
  const watched = atPoint(inner, (point) => {
    if (point === from) skipping = true;
    if (point === to) skipping = false;
  });
  return overridden(withoutFileSyncs(watched, () => skipping), {
    openFileSystem(path) {
      const fileSystem = inner.openFileSystem(path);
      return overridden(fileSystem, { sync: () => void (skipping || fileSystem.sync()) });
    },
    syncDirectory: (path) => void (skipping || inner.syncDirectory(path)),
  });
}

export function plantedStorage(inner: Storage, bug: StorageBug, logs: string): Storage {
  switch (bug) {
    case "skip the data sync":
      return withoutFileSyncs(inner, () => true);
    case "skip the directory sync":
      return overridden(inner, { syncDirectory: () => {} });
    case "skip the sync of the file system":
      return overridden(inner, {
        openFileSystem: (path) => overridden(inner.openFileSystem(path), { sync: () => {} }),
      });
    case "skip sync A of the fold":
      return syncingNothingBetween(inner, "fold.4.before", "fold.4.after");
    case "skip sync B of the fold":
      return syncingNothingBetween(inner, "fold.6.before", "fold.6.after");
    case "skip the sync of the logs of the fold":
      return skippingBetween(inner, "fold.4.logs.before", "fold.4.logs.after");
    case "retry a failed sync":
      return retryingSyncs(inner);
    case "full before the data is durable":
      return skippingBetween(inner, "seal.2.before", "seal.3.before");
    case "write before the generation is durable":
      return skippingBetween(inner, "claim.4.before", "claim.4.after");
    case "checksum not seeded with the generation":
      return atPoint(inner, (point) => {
        if (point === "claim.4.after") forEachLog(inner, logs, adoptOldFrames);
      });
    case "no checksum":
      return atPoint(inner, (point) => {
        if (point === "recover.1.before") forEachLog(inner, logs, forgiveFrames);
      });
  }
}

function forEachLog(
  storage: Storage,
  logs: string,
  visit: (log: LogBytes, slot: number, generation: bigint) => void,
): void {
  for (const slot of listSlots(storage, logs).slots) {
    using file = storage.open(pathOfSlot(logs, slot), { access: "write" });
    using mapping = file.map(file.status().size, "write");
    const newest = newestHeader(mapping.bytes.subarray(0, HEAD_PAGE_BYTES), "log");
    if (newest === null) continue;
    visit(new LogBytes(mapping.bytes), slot, newest.header.generation);
  }
}

/** The effect of an unseeded checksum: frames of the last use pass as frames of this one. */
function adoptOldFrames(log: LogBytes, slot: number, generation: bigint): void {
  if (generation < 2n) return;
  const old = new BatchCursor(log, { slot, generation: generation - 1n });
  const seed = batchSeed({ slot, generation });
  for (const { offset, end, durable } of validFrames(old, HEAD_PAGE_BYTES, log.size)) {
    sealFrame(log, offset, { magic: FRAME_MAGIC, seed, offset, end, durable });
  }
}

/** The effect of a missing checksum: everything that looks like a frame passes. */
function forgiveFrames(log: LogBytes, slot: number, generation: bigint): void {
  const seed = batchSeed({ slot, generation });
  for (let offset = HEAD_PAGE_BYTES; offset + FRAME_HEAD_BYTES < log.size;) {
    const length = log.view.getUint32(offset, true);
    const looksRight = length > FRAME_HEAD_BYTES && length % FRAME_ALIGNMENT_BYTES === 0 &&
      offset + length <= log.size &&
      log.view.getUint16(offset + frameLayout.magic.offset, true) === FRAME_MAGIC;
    if (!looksRight) {
      offset += FRAME_ALIGNMENT_BYTES;
      continue;
    }
    const durable = Math.min(log.view.getUint32(offset + frameLayout.durable.offset, true), offset);
    const frame = { magic: FRAME_MAGIC, seed, offset, end: offset + length, durable };
    offset = sealFrame(log, offset, frame);
  }
}
