/**
 * What every part of a repair works with: nothing is changed before its original is saved, and everything
 * that is done is reported.
 */

import { directoryOf, publishFile, type Storage } from "../file/mod.ts";
import { makePlace } from "./copy_files.ts";
import type { Noun } from "./violation.ts";

/** One thing that was repaired, or could not be. */
export interface RepairAction {
  readonly noun: Noun;
  readonly path: string;
  readonly what: string;
  /** Where the original lies now; null where nothing had to be kept. */
  readonly saved: string | null;
}

export class RepairContext {
  readonly actions: RepairAction[] = [];
  readonly #saved: string;

  constructor(readonly storage: Storage, readonly data: string) {
    this.#saved = freeName(storage, `${data}/repair-saved`);
  }

  /**
   * Puts a new file in the place of a damaged one, which is kept. `make` writes it under a temporary
   * name and leaves it there.
   */
  replace(noun: Noun, path: string, make: (temporaryPath: string) => void, what: string): void {
    const temporaryPath = `${path}.repaired`;
    if (this.storage.statusOrNull(temporaryPath) !== null) this.storage.unlink(temporaryPath);
    make(temporaryPath);
    const saved = this.keep(path);
    const { mode } = this.storage.status(temporaryPath);
    this.storage.chmod(temporaryPath, 0o600);
    {
      using file = this.storage.open(temporaryPath, { access: "write" });
      file.chmod(mode);
      this.storage.reach("repair.publish.before");
      publishFile(this.storage, file, { temporaryPath, path });
      this.storage.reach("repair.publish.after");
    }
    this.actions.push({ noun, path, what, saved });
  }

  /** Moves something out of the way that has no place here. */
  setAside(noun: Noun, path: string, what: string): void {
    const saved = this.#placeFor(path);
    this.storage.rename(path, saved);
    this.storage.syncDirectory(directoryOf(saved));
    this.storage.syncDirectory(directoryOf(path));
    this.actions.push({ noun, path, what, saved });
  }

  note(noun: Noun, path: string, what: string): void {
    this.actions.push({ noun, path, what, saved: null });
  }

  /** A second name for the original, durable before the first one leads elsewhere. */
  keep(path: string): string | null {
    if (this.storage.statusOrNull(path) === null) return null;
    const saved = this.#placeFor(path);
    this.storage.link(path, saved);
    this.storage.syncDirectory(directoryOf(saved));
    return saved;
  }

  #placeFor(path: string): string {
    const below = path.startsWith(`${this.data}/`) ? path.slice(this.data.length + 1) : path;
    const saved = `${this.#saved}/${below}`;
    makePlace(this.storage, directoryOf(saved));
    return saved;
  }
}

/** `name`, or `name-2`, `name-3` … where earlier repairs have saved something. */
function freeName(storage: Storage, name: string): string {
  if (storage.statusOrNull(name) === null) return name;
  for (let number = 2;; number++) {
    if (storage.statusOrNull(`${name}-${number}`) === null) return `${name}-${number}`;
  }
}
