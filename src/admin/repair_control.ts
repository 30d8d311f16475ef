/**
 * Repairs the control file, and takes the lock on it that keeps daemons out during a repair. A lock is on the
 * file and not on its name, so a file that replaces a damaged one is locked before it has the name, and the
 * damaged one stays locked as well.
 */

import { BusyError, CorruptError } from "../base/errors.ts";
import { undoOnError } from "../base/undo_on_error.ts";
import {
  Control,
  DataDirectory,
  directoryPaths,
  type DirectorySizes,
  directorySizesDefault,
  headerOfFile,
  type Holder,
  holdsCounters,
  isLogSize,
  listSlots,
  lockPathOfSlot,
  pathOfSlot,
} from "../counters/commitlog/mod.ts";
import { hasCode, nullIfCode, type Storage } from "../file/mod.ts";
import { lockOutDaemons } from "./clear_failed.ts";
import { openWhateverTheMode } from "./copy_files.ts";
import type { RepairContext } from "./repair_context.ts";

/**
 * Keeps daemons out, even if the control file is damaged. Null if the control file is missing, or if it is on
 * a read-only file system and nothing of it `changes`: no daemon writes there. Throws `BusyError` while a
 * daemon runs.
 */
export function takeAlone(
  storage: Storage,
  data: string,
  { self, changes }: { readonly self: Holder; readonly changes: boolean },
): Disposable | null {
  const alone = () => lockAlone(storage, data, self);
  return changes ? alone() : nullIfCode(alone, "EROFS");
}

function lockAlone(storage: Storage, data: string, self: Holder): Disposable | null {
  try {
    const directory = DataDirectory.openOrNull(storage, data, { self });
    return directory === null ? null : holdAlone(directory);
  } catch (error) {
    if (!(error instanceof CorruptError)) throw error;
    const lock = Control.lockDaemonsOut(storage, directoryPaths(data).control);
    if (lock === null) throw inUse(data, error);
    return lock;
  }
}

/** Takes the daemons' lock; to dispose it closes the directory too. */
function holdAlone(directory: DataDirectory): Disposable {
  undoOnError(() => directory.close(), () => lockOutDaemons(directory, "repaired"));
  return directory;
}

function inUse(data: string, cause: unknown): BusyError {
  return new BusyError(
    `Data directory ${data} is in use and cannot be repaired now: end all daemons first`,
    { cause },
  );
}

/**
 * Makes a damaged or missing control file again. Returns the lock of the file that is there then; null if
 * there is none, or if `isAlone` says that the lock is held already. Throws `BusyError` if a daemon has made
 * a missing file in between.
 */
export function repairControl(
  context: RepairContext,
  self: Holder,
  isAlone: boolean,
): Disposable | null {
  const { storage, data } = context;
  const { control: path, logs } = directoryPaths(data);
  let damage: string;
  try {
    const directory = DataDirectory.openOrNull(storage, data, { self });
    if (directory !== null) {
      const { control } = directory;
      const least = greatestOrder(storage, data);
      if ((control.order() ?? -1n) < least) {
        control.storeOrder(least);
        control.file.syncData();
        context.note("control", path, `the order counter was damaged: it is ${least} again`);
      }
      if (!isAlone) return holdAlone(directory);
      directory.close();
      return null;
    }
    if (!holdsCounters(storage, directoryPaths(data))) return null;
    damage = "it was missing";
  } catch (error) {
    if (!(error instanceof CorruptError)) throw error;
    damage = error.message;
  }
  const head = Control.soundHead(storage, path);
  const sizes = head?.sizes ??
    { ...directorySizesDefault, logSize: likelyLogSize(storage, logs) };
  const saved = context.keep(path);
  const control = remake(storage, data, { sizes, order: greatestOrder(storage, data), self });
  const guessed = `log size ${sizes.logSize}, names up to ${sizes.keySize} bytes; make ` +
    "sure that clients send messages of these sizes";
  const what = head === null ? guessed : "its sizes and its identity were kept";
  context.actions.push({ noun: "control", path, what: `made again (${damage}): ${what}`, saved });
  return control;
}

function remake(
  storage: Storage,
  data: string,
  options: { readonly sizes: DirectorySizes; readonly order: bigint; readonly self: Holder },
): Control {
  try {
    return Control.remake(storage, directoryPaths(data).control, options);
  } catch (error) {
    if (!hasCode(error, "EEXIST")) throw error;
    throw inUse(data, error);
  }
}

function logPaths(storage: Storage, logs: string): string[] {
  if (storage.statusOrNull(logs) === null) return [];
  const { slots, unfinished } = listSlots(storage, logs);
  return [
    ...slots.map((slot) => pathOfSlot(logs, slot)),
    // One of these may be a log that lost its plain name.
    ...unfinished.map((slot) => lockPathOfSlot(logs, slot)),
  ];
}

/**
 * The greatest order that a log says, 0 if none does. Throws `OldFormatError` or `NewerFormatError` if a log
 * has another format: nothing may be repaired then.
 */
export function greatestOrder(storage: Storage, data: string): bigint {
  let greatest = 0n;
  for (const path of logPaths(storage, directoryPaths(data).logs)) {
    if (storage.statusOrNull(path)?.kind !== "file") continue;
    using file = openWhateverTheMode(storage, path);
    const order = headerOfFile(file, path)?.order ?? 0n;
    if (order > greatest) greatest = order;
  }
  return greatest;
}

/** The size that most logs have. */
function likelyLogSize(storage: Storage, logs: string): number {
  const counts = new Map<number, number>();
  for (const path of logPaths(storage, logs)) {
    const { size } = storage.status(path);
    if (isLogSize(size)) counts.set(size, (counts.get(size) ?? 0) + 1);
  }
  const [most] = [...counts].sort((left, right) => right[1] - left[1]);
  return most?.[0] ?? directorySizesDefault.logSize;
}
