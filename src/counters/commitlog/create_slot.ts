/**
 * Making one more slot. A log gets its plain name only when it is complete. Until then it has only its lock
 * name; an unfinished log is recognised by that and made again.
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
 * Allocates the log of `slot`, fills it with zeros and publishes it as free. If only the lock name leads to
 * a log that was in use, its plain name is restored instead. False if another process holds the slot's byte
 * or has already made the slot. Throws on a full disk, and leaves nothing behind.
 */
export async function createSlot(directory: DataDirectory, slot: number): Promise<boolean> {
  const { storage, control, paths } = directory;
  if (!control.tryLock(slotLock(slot))) return false;
  try {
    if (storage.statusOrNull(pathOfSlot(paths.logs, slot)) !== null) return false;
    const lockPath = lockPathOfSlot(paths.logs, slot);
    if (restoreName(directory, slot)) return true;
    storage.reach("create.1.before");
    unlinkLockName(storage, paths.logs, slot); // left by a maker that died
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
    // Synced while the log has both names. A process that finds both knows that the maker died before this
    // sync.
    storage.syncDirectory(paths.logs);
    unlinkLockName(storage, paths.logs, slot);
    storage.reach("create.4.after");
    return true;
  } finally {
    control.unlock(slotLock(slot));
  }
}

/**
 * Writes every byte once, so that later syncs change no metadata of the file. It yields to the event loop
 * between steps, because a writer may be busy.
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
    order: 0n,
  });
  file.write(header, 0);
}
