/**
 * Opens a log to inspect it: an append-only file, or a commit log, whose mode may forbid reading even to its
 * owner.
 */

import { basename, dirname } from "node:path/posix";
import { BusyError, NotFoundError } from "../base/errors.ts";
import { DataDirectory, type Holder, LogReader, pathOfSlot } from "../counters/commitlog/mod.ts";
import { hasCode, type Storage, type StoredFile } from "../file/mod.ts";

/** A file that is open for reading. To dispose it closes what was opened with it. */
export interface OpenedLog extends Disposable {
  readonly file: StoredFile;
}

/**
 * Opens a log for reading, and leaves its mode as it is. Throws `NotFoundError` if it does not exist, and
 * `BusyError` if its mode forbids reading while another process holds it.
 */
export function openLog(storage: Storage, path: string, self: Holder): OpenedLog {
  const status = storage.statusOrNull(path);
  if (status === null) throw new NotFoundError(`No file at ${path}`);
  try {
    const file = storage.open(path, { access: "read" });
    return { file, [Symbol.dispose]: () => file.close() };
  } catch (error) {
    const opened = hasCode(error, "EACCES") ? openSlot(storage, path, self) : null;
    if (opened === null) throw error;
    return opened;
  }
}

/** Opens it as a reader does (the slot's lock is held while the mode is wide); null if it is not a slot. */
function openSlot(storage: Storage, path: string, self: Holder): OpenedLog | null {
  const place = slotOf(path);
  if (place === null) return null;
  using stack = new DisposableStack();
  const directory = stack.use(
    DataDirectory.openOrNull(storage, place.data, { self, access: "read" }),
  );
  if (directory === null || pathOfSlot(directory.paths.logs, place.slot) !== path) return null;
  const reader = stack.use(openReader(directory, place.slot, path));
  const opened = stack.move();
  return { file: reader.file, [Symbol.dispose]: () => opened.dispose() };
}

/** Opens the log of a slot. Throws `BusyError` while another process locks it. */
export function openReader(directory: DataDirectory, slot: number, path: string): LogReader {
  const reader = LogReader.open(directory, slot);
  if (reader !== null) return reader;
  throw new BusyError(`Cannot read ${path}: another process is locking it; try again`);
}

/** The data directory and slot of a path of the form DATA/logs/0000000000, or null. */
export function slotOf(path: string): { readonly data: string; readonly slot: number } | null {
  const logs = dirname(path);
  const name = basename(path);
  if (!/^[0-9]{10}$/.test(name) || !/(^|\/)logs$/.test(logs)) return null;
  return { data: dirname(logs), slot: Number(name) };
}
