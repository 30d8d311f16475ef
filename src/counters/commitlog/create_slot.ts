/**
 * Making one more slot. The log appears under its own name only when it is whole: until then it has
 * only its lock name, so a half-made one is recognised by that and made again.
 */

import { OsError, type StoredFile } from "../../file/mod.ts";
import { slotLock } from "./control.ts";
import type { DataDirectory } from "./directory.ts";
import { encodeHeader } from "./header.ts";
import { HEAD_PAGE_BYTES } from "./layout.ts";
import { restoreName } from "./lost_logs.ts";
import { FREE_MODE, HELD_MODE, lockPathOfSlot, pathOfSlot, unlinkLockName } from "./slot_files.ts";

const STEP_BYTES = 2 ** 20;

/**
 * Allocates, writes with zeros and publishes slot `slot` as a free log. If its lock name alone leads to a
 * log that was in use, that one gets its plain name back instead. False if another process holds the slot's
 * byte or has made the slot meanwhile. A full disk throws and leaves nothing behind.
 */
export async function createSlot(directory: DataDirectory, slot: number): Promise<boolean> {
  const { storage, control, paths } = directory;
  if (!control.tryLock(slotLock(slot))) return false;
  try {
    if (storage.statusOrNull(pathOfSlot(paths.logs, slot)) !== null) return false;
    const lockPath = lockPathOfSlot(paths.logs, slot);
    if (restoreName(directory, slot)) return true;
    storage.reach("create.1.before");
    unlinkLockName(storage, paths.logs, slot); // what a dead maker left
    const file = storage.open(lockPath, { access: "write", create: "exclusive", mode: HELD_MODE });
    try {
      await fillWithZeros(file, directory.sizes.logSize);
      writeFirstHeader(file, slot, directory.sizes.logSize);
      file.chmod(FREE_MODE);
      storage.reach("create.1.after");
      storage.reach("create.2.before");
      await file.syncDataAsync();
      storage.reach("create.2.after");
      storage.reach("create.3.before");
      storage.link(lockPath, pathOfSlot(paths.logs, slot));
      storage.reach("create.3.after");
      storage.reach("create.4.before");
    } catch (error) {
      if (error instanceof OsError) unlinkLockName(storage, paths.logs, slot);
      throw error;
    } finally {
      file.close();
    }
    // Synced while it has both names: whoever finds it so knows that its maker died before that.
    storage.syncDirectory(paths.logs);
    unlinkLockName(storage, paths.logs, slot);
    storage.reach("create.4.after");
    return true;
  } finally {
    control.unlock(slotLock(slot));
  }
}

/**
 * Written once, so that later syncs need not change any metadata of the file. In steps, so that the
 * event loop of a busy writer breathes between them.
 */
async function fillWithZeros(file: StoredFile, size: number): Promise<void> {
  file.allocate(0, size);
  const zeros = new Uint8Array(Math.min(STEP_BYTES, size));
  for (let offset = 0; offset < size; offset += zeros.length) {
    file.write(zeros.subarray(0, Math.min(zeros.length, size - offset)), offset);
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
}

function writeFirstHeader(file: StoredFile, slot: number, logSize: number): void {
  const header = encodeHeader({
    slot,
    generation: 0n,
    sequence: 1n,
    state: "free",
    logSize,
    length: HEAD_PAGE_BYTES,
    durable: HEAD_PAGE_BYTES,
    claimedWallMs: 0,
    records: 0,
  });
  file.write(header, 0);
}
