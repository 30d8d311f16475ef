/** Opening a log for reading, whatever its mode is. */

import { CorruptError, FailedError } from "../../base/errors.ts";
import { isFormatError } from "../../base/format.ts";
import { concernsOneFile, hasCode, nullIfCode, type StoredFile } from "../../file/mod.ts";
import { slotLock } from "./control.ts";
import type { DataDirectory } from "./directory.ts";
import { headerOfFile, type LogHeader } from "./header.ts";
import type { LogFile } from "../../file/checked_log/mod.ts";
import { HEAD_PAGE_BYTES } from "./layout.ts";
import { HELD_MODE, lockPathOfSlot, pathOfSlot } from "./slot_files.ts";
import { wasInUse } from "./was_in_use.ts";

/**
 * Opens a slot for reading. If the plain name is missing, the lock name may lead to a log that lost it: see
 * `listReadableSlots`. Null if the file is not a complete log (it is
 * being made, or is damaged). Also null if its label forbids reading and its byte is held: the holder has
 * set 0600 or is about to, so try again shortly.
 */
export function openSlot(directory: DataDirectory, slot: number): LogFile | null {
  const { storage, paths } = directory;
  const plainPath = pathOfSlot(paths.logs, slot);
  let path = plainPath;
  let status = storage.statusOrNull(path);
  if (status === null) {
    path = lockPathOfSlot(paths.logs, slot);
    status = storage.statusOrNull(path);
  }
  if (status === null || status.kind !== "file" || !hasLogSize(directory, status.size)) return null;
  const file = openDespiteLabel(directory, slot, path);
  if (file === null) return null;
  try {
    if (path !== plainPath && !wasInUse(file)) {
      file.close();
      return null;
    }
    return { path, size: status.size, file };
  } catch (error) {
    file.close();
    throw error;
  }
}

/** True for the length of a log: in a backup it is without the zeros that follow the frames. */
export function hasLogSize(
  { isBackup, sizes: { logSize } }: DataDirectory,
  size: number,
): boolean {
  return size === logSize || isBackup && size >= HEAD_PAGE_BYTES && size < logSize;
}

/**
 * The newest header of a log: null if none is valid, the log has another format, lies on a bad sector, or
 * may not be opened, which to take it says. "held" if its mode forbids reading and another process holds it.
 */
export function headerOfSlot(directory: DataDirectory, slot: number): LogHeader | null | "held" {
  const path = pathOfSlot(directory.paths.logs, slot);
  if (directory.storage.status(path).kind !== "file") return null;
  try {
    using file = openDespiteLabel(directory, slot, path);
    return file === null ? "held" : headerOfFile(file, path);
  } catch (error) {
    const isOfLog = isFormatError(error) || error instanceof CorruptError ||
      concernsOneFile(error, "log");
    if (isOfLog) return null;
    throw error;
  }
}

/**
 * Opens a log for reading whatever its mode is. An ordinary user cannot open a sealed log (0200), so the
 * slot's byte is taken, the mode widened, the file opened, and the mode restored. Null if the byte is held.
 */
export function openDespiteLabel(
  { storage, control }: DataDirectory,
  slot: number,
  path: string,
): StoredFile | null {
  let refusal: unknown;
  try {
    return storage.open(path, { access: "read" });
  } catch (error) {
    if (!hasCode(error, "EACCES")) throw error;
    refusal = error;
  }
  if (control.isReadOnly) throw closedByMode(path);
  if (!control.tryLock(slotLock(slot))) return null;
  try {
    const { mode } = storage.status(path);
    // The log of another owner: that its mode cannot be widened either says less.
    if (nullIfCode(() => (storage.chmod(path, HELD_MODE), true), "EPERM") === null) throw refusal;
    try {
      return storage.open(path, { access: "read" });
    } finally {
      storage.chmod(path, mode);
    }
  } finally {
    control.unlock(slotLock(slot));
  }
}

/** The error for a log whose mode forbids reading, in a directory in which no mode can be changed. */
function closedByMode(path: string): FailedError {
  return new FailedError(
    `Cannot read ${path}: its mode forbids it, and this user cannot change the mode here; run countd as ` +
      "root, or make the directory writable",
  );
}
