/**
 * What every part of a repair uses: a damaged file is saved before anything is changed, and every action is
 * reported.
 */

import { basename, dirname } from "node:path/posix";
import { publishFile, type Storage } from "../file/mod.ts";
import { Control, directoryPaths } from "../counters/commitlog/mod.ts";
import { isTemporaryName } from "../counters/keyspace/mod.ts";
import { makePlace, removeTree } from "./copy_files.ts";
import type { Noun } from "./violation.ts";

/** One thing that was repaired, or could not be. */
export interface RepairAction {
  readonly noun: Noun;
  readonly path: string;
  readonly what: string;
  /** Path of the damaged file now; null if nothing had to be kept. */
  readonly saved: string | null;
}

/**
 * Prefix of the name of a file that will replace a damaged one. An unfinished keyspace has it too: no
 * user's name begins with a dot, and folds, check and backup ignore it.
 */
const TEMPORARY_PREFIX = ".new-";

export class RepairContext {
  readonly actions: RepairAction[] = [];
  /** The directory in which keyspaces are made again. */
  readonly scratch: string;
  readonly #saved: string;

  constructor(readonly storage: Storage, readonly data: string) {
    this.scratch = `${data}/repair-scratch`;
    this.#saved = freeName(storage, `${data}/repair-saved`);
  }

  /** Removes what a killed repair has left unfinished. Only while daemons are locked out. */
  sweep(): void {
    const { control, logs, keyspaces } = directoryPaths(this.data);
    removeTree(this.storage, this.scratch);
    for (const directory of [logs, keyspaces]) {
      if (this.storage.statusOrNull(directory)?.kind !== "directory") continue;
      for (const name of this.storage.readDirectory(directory)) {
        if (isTemporaryName(name)) removeTree(this.storage, `${directory}/${name}`);
      }
    }
    Control.sweep(this.storage, control);
  }

  /**
   * Replaces a damaged file by a new one, and keeps the damaged one. `make` writes the new file under a
   * temporary name and leaves it there. `what` is called when it is in place.
   */
  replace(
    noun: Noun,
    path: string,
    make: (temporaryPath: string) => void,
    what: () => string,
  ): void {
    const temporaryPath = `${dirname(path)}/${TEMPORARY_PREFIX}${basename(path)}`;
    make(temporaryPath);
    this.storage.reach("repair.keep.before");
    const saved = this.keep(path);
    this.storage.reach("repair.keep.after");
    const { mode } = this.storage.status(temporaryPath);
    this.storage.chmod(temporaryPath, 0o600);
    {
      using file = this.storage.open(temporaryPath, { access: "write" });
      file.chmod(mode);
      this.storage.reach("repair.publish.before");
      publishFile(this.storage, file, { temporaryPath, path });
      this.storage.reach("repair.publish.after");
    }
    this.actions.push({ noun, path, what: what(), saved });
  }

  /** Moves a file that does not belong here to `repair-saved`. */
  moveToSaved(noun: Noun, path: string, what: string): void {
    const saved = this.#placeFor(path);
    this.storage.rename(path, saved);
    this.storage.syncDirectory(dirname(saved));
    this.storage.syncDirectory(dirname(path));
    this.actions.push({ noun, path, what, saved });
  }

  note(noun: Noun, path: string, what: string): void {
    this.actions.push({ noun, path, what, saved: null });
  }

  /**
   * Gives the damaged file a second name, durable before the first name leads elsewhere; null if there is
   * none.
   */
  keep(path: string): string | null {
    if (this.storage.statusOrNull(path) === null) return null;
    const saved = this.#placeFor(path);
    this.storage.link(path, saved);
    this.storage.syncDirectory(dirname(saved));
    return saved;
  }

  #placeFor(path: string): string {
    const below = path.startsWith(`${this.data}/`) ? path.slice(this.data.length + 1) : path;
    const saved = `${this.#saved}/${below}`;
    makePlace(this.storage, dirname(saved));
    return saved;
  }
}

/** `name`, or `name-2`, `name-3` … if earlier repairs have saved something. */
function freeName(storage: Storage, name: string): string {
  if (storage.statusOrNull(name) === null) return name;
  for (let number = 2;; number++) {
    if (storage.statusOrNull(`${name}-${number}`) === null) return `${name}-${number}`;
  }
}
