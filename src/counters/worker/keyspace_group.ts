/**
 * Keyspaces that go through steps 3 to 6 of Fold together, so that their syncs are one sync of the file system.
 * A fold may take a million keyspaces through it, a group at a time: between two groups it can stop, and the
 * open files stay bounded.
 */

import { assert } from "../../base/assert.ts";
import type { Clock } from "../../base/clock.ts";
import type { DataDirectory } from "../commitlog/mod.ts";
import { isOutOfResources, isPassing } from "../../file/mod.ts";
import type { AppliedGenerations, KeyspaceBatch, KeyspaceWriter } from "../keyspace/mod.ts";
import type { FoldLogs } from "./fold_logs.ts";
import type { KeyspaceWriters } from "./keyspace_writers.ts";
import { isFailureOf, type Quarantine } from "./quarantine.ts";

/** Above this number of files one sync of the file system is cheaper than a sync of each. */
const SYNC_EACH_MAX = 4;
/** Keyspaces of a group. Each has a file open. */
const GROUP_MIN = 32;
const GROUP_USUAL = 128;
const GROUP_MAX = 256;
/** A group that takes longer makes the next one smaller: a signal waits for the end of the group. */
const GROUP_MS_MAX = 400;

/**
 * Thrown if the system does not let a fold of this size through now: the disk is full, for example. The cause says why.
 * This group and later ones have not changed.
 */
export class FoldTooLargeError extends Error {
  override readonly name = "FoldTooLargeError";
}

/** A keyspace whose pages are written. */
interface Written {
  readonly writer: KeyspaceWriter;
  readonly generations: AppliedGenerations;
  /** Its file has no name before step 5. */
  readonly isUnnamed: boolean;
}

export interface GroupEnvironment {
  readonly directory: DataDirectory;
  readonly writers: KeyspaceWriters;
  readonly quarantine: Quarantine;
  readonly logs: FoldLogs;
  readonly clock: Clock;
  /** A backup reads the files. */
  readonly pinned: boolean;
}

export class KeyspaceGroup {
  readonly #environment: GroupEnvironment;
  #written: Written[] = [];
  #sizeMax = GROUP_USUAL;
  #sinceMs = 0;
  /** Keyspaces that were published, in all groups. */
  published = 0;
  saturated = 0;

  constructor(environment: GroupEnvironment) {
    this.#environment = environment;
  }

  get isFull(): boolean {
    return this.#written.length >= this.#sizeMax;
  }

  /**
   * Fold, step 3, for one keyspace. If the process has no descriptor left, the group is published first.
   * `isMissing` says that the keyspace did not exist when its records were summed. Throws `FoldTooLargeError` if
   * there is no space, and what `publish` throws.
   */
  write(
    item: KeyspaceBatch,
    { generations, isMissing }: {
      readonly generations: AppliedGenerations;
      readonly isMissing: boolean;
    },
  ): void {
    const { writers, quarantine, logs, clock, pinned } = this.#environment;
    if (this.#written.length === 0) this.#sinceMs = clock.nowMs();
    const { keyspace, batch } = item;
    let writer: KeyspaceWriter | null = null;
    try {
      writer = writers.get(keyspace, { isMissing });
      writers.trim(this.#written.length + 1);
      // So an applied generation never falls.
      if (hasAny(writer, generations)) {
        // Not between apply and publish, so it must not be among those that `trim` keeps.
        writers.drop(keyspace);
        return logs.defer(generations.keys());
      }
      this.saturated += writer.apply(batch, generations, { pinned }).saturated;
      this.#written.push({ writer, generations, isUnnamed: writer.isUnnamed });
    } catch (error) {
      if (isFailureOf("keyspace", error)) {
        quarantine.addKeyspace(keyspace, error);
        writers.drop(keyspace);
        return logs.block(generations.keys());
      }
      if (isOutOfResources(error) && this.#written.length > 0) {
        this.#sizeMax = Math.max(1, this.#written.length >> 1);
        this.publish();
        writers.dropAll();
        return this.write(item, { generations, isMissing });
      }
      this.#rollBack(writer);
      if (!isPassing(error)) throw error;
      throw new FoldTooLargeError(`This fold is too large: ${error.message}`, { cause: error });
    }
  }

  #rollBack(last: KeyspaceWriter | null): void {
    const others = this.#written.map(({ writer }) => writer);
    this.#written = [];
    for (const writer of last === null ? others : [...others, last]) {
      if (writer.isUnnamed) this.#environment.writers.drop(writer.name);
      else writer.rollBack();
    }
  }

  /** Fold, steps 4 to 6. Throws what a sync throws: then the page cache cannot be trusted any more. */
  publish(): void {
    const { directory, writers, quarantine, logs, clock } = this.#environment;
    const written = this.#written;
    this.#written = [];
    logs.sync(directory.storage);
    this.#syncPages(written);
    const published: Written[] = [];
    for (const each of written) {
      if (!each.writer.isInPlace()) {
        writers.dropLost(each.writer);
        logs.defer(each.generations.keys());
        continue;
      }
      each.writer.publish();
      published.push(each);
    }
    this.#syncMeta(published);
    for (const { writer, generations } of published) {
      for (const [slot, generation] of generations) {
        assert(writer.applied(slot) === generation, "A published keyspace has applied its logs");
      }
      logs.noteSynced(generations.keys());
      quarantine.removeKeyspace(writer.name);
    }
    this.published += published.length;
    writers.trim();
    const isSlow = clock.nowMs() - this.#sinceMs > GROUP_MS_MAX;
    if (isSlow) this.#sizeMax = Math.max(Math.min(GROUP_MIN, this.#sizeMax), this.#sizeMax >> 1);
    else if (written.length >= this.#sizeMax) {
      this.#sizeMax = Math.min(GROUP_MAX, 2 * this.#sizeMax);
    }
  }

  /** Fold, step 4: sync A. A file without a name is synced as a whole. */
  #syncPages(written: readonly Written[]): void {
    if (written.length > SYNC_EACH_MAX) {
      this.#syncFileSystem(4, written, (writer) => writer.syncPages());
    } else for (const { writer } of written) writer.syncPages();
  }

  /** Fold, step 6: sync B. A file that has got its name in step 5 has been on disk since sync A. */
  #syncMeta(published: readonly Written[]): void {
    const inPlace = published.filter(({ isUnnamed }) => !isUnnamed);
    const named = published.filter(({ isUnnamed }) => isUnnamed);
    const { directory: { storage, paths }, writers } = this.#environment;
    // The file system of the open descriptor has the directory, unless another one was mounted over it since.
    const isCovered = named.every(({ writer }) => writer.device === writers.fileSystem.device);
    if (inPlace.length > SYNC_EACH_MAX) {
      this.#syncFileSystem(6, inPlace, (writer) => writer.syncMeta());
      if (isCovered) return;
    } else for (const { writer } of inPlace) writer.syncMeta();
    if (named.length === 0) return;
    storage.reach("fold.6.before");
    try {
      storage.syncDirectory(paths.keyspaces);
    } catch (error) {
      // It opens the directory; the descriptor of the file system is open.
      if (!isCovered || !isPassing(error)) throw error;
      writers.fileSystem.sync();
    }
    storage.reach("fold.6.after");
  }

  #syncFileSystem(
    step: 4 | 6,
    written: readonly Written[],
    sync: (writer: KeyspaceWriter) => void,
  ): void {
    const { directory: { storage }, writers: { fileSystem } } = this.#environment;
    storage.reach(`fold.${step}.before`);
    fileSystem.sync();
    storage.reach(`fold.${step}.after`);
    // A symbolic link, or a later mount, may lead to another file system.
    for (const { writer } of written) if (writer.device !== fileSystem.device) sync(writer);
  }
}

/** Whether a keyspace has applied one of these logs: only if its file was replaced during the fold. */
function hasAny(writer: KeyspaceWriter, generations: AppliedGenerations): boolean {
  for (const [slot, generation] of generations) {
    if (writer.applied(slot) >= generation) return true;
  }
  return false;
}
