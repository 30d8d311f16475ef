/**
 * Any `Storage`, but with calls that fail where a test says so:
 *
 *     const faults = new Faults();
 *     const storage = faultyStorage(systemStorage(), faults);
 *     faults.failAt("allocate", 3, "ENOSPC");   // the third one from now on, once
 *     faults.failFrom("sync", 1, "EIO");        // every one
 *
 * A failing call does nothing. The simulated disk has faults of its own (`SimulatedDisk.observer`),
 * which also know what a failed sync does to the pages.
 */

import {
  type Mapping,
  type OpenOptions,
  OsError,
  type Storage,
  type StoredFile,
} from "../../src/file/mod.ts";

export const failingKinds = [
  "open",
  "read",
  "write",
  "allocate",
  "truncate",
  "sync",
  "map",
  "lock",
  "link",
  "unlink",
  "rename",
  "chmod",
  "make directory",
  "read directory",
] as const;

export type FailingKind = typeof failingKinds[number];

interface Rule {
  readonly kind: FailingKind;
  readonly from: number;
  readonly to: number;
  readonly code: string;
}

export class Faults {
  readonly #counts = new Map<FailingKind, number>();
  #rules: Rule[] = [];
  /** Calls that were made to fail up to now. */
  failed = 0;

  /** Calls of a kind up to now. */
  count(kind: FailingKind): number {
    return this.#counts.get(kind) ?? 0;
  }

  /** The `nth` call from now on (1 is the next) fails once with `code`. */
  failAt(kind: FailingKind, nth: number, code: string): void {
    const at = this.count(kind) + nth;
    this.#rules.push({ kind, from: at, to: at, code });
  }

  /** The `nth` call from now on fails, and all after it. */
  failFrom(kind: FailingKind, nth: number, code: string): void {
    this.#rules.push({ kind, from: this.count(kind) + nth, to: Infinity, code });
  }

  /** No call fails any more. */
  heal(): void {
    this.#rules = [];
  }

  /** Throws if the call that is about to be made must fail. */
  pass(kind: FailingKind, path: string): void {
    const count = this.count(kind) + 1;
    this.#counts.set(kind, count);
    for (const rule of this.#rules) {
      if (rule.kind !== kind || count < rule.from || rule.to < count) continue;
      this.failed++;
      throw new OsError(kind, path, rule.code);
    }
  }
}

export function faultyStorage(inner: Storage, faults: Faults): Storage {
  const pass = (kind: FailingKind, path: string) => faults.pass(kind, path);
  return {
    pageSize: inner.pageSize,
    open(path: string, options: OpenOptions) {
      pass("open", path);
      return faultyFile(inner.open(path, options), faults);
    },
    status: (path) => inner.status(path),
    statusOrNull: (path) => inner.statusOrNull(path),
    isLink: (path) => inner.isLink(path),
    link(from, to) {
      pass("link", to);
      inner.link(from, to);
    },
    unlink(path) {
      pass("unlink", path);
      inner.unlink(path);
    },
    rename(from, to) {
      pass("rename", to);
      inner.rename(from, to);
    },
    chmod(path, mode) {
      pass("chmod", path);
      inner.chmod(path, mode);
    },
    makeDirectory(path, mode) {
      pass("make directory", path);
      inner.makeDirectory(path, mode);
    },
    removeDirectory: (path) => inner.removeDirectory(path),
    readDirectory(path) {
      pass("read directory", path);
      return inner.readDirectory(path);
    },
    walkDirectory(path) {
      pass("read directory", path);
      return inner.walkDirectory(path);
    },
    syncDirectory(path) {
      pass("sync", path);
      inner.syncDirectory(path);
    },
    openFileSystem(path) {
      pass("open", path);
      const opened = inner.openFileSystem(path);
      return {
        device: opened.device,
        sync() {
          pass("sync", path);
          opened.sync();
        },
        close: () => opened.close(),
        [Symbol.dispose]: () => opened.close(),
      };
    },
    space: (path) => inner.space(path),
    reach: (point) => inner.reach(point),
  };
}

function faultyFile(inner: StoredFile, faults: Faults): StoredFile {
  const pass = (kind: FailingKind) => faults.pass(kind, inner.path);
  return {
    path: inner.path,
    status: () => inner.status(),
    read(into, offset) {
      pass("read");
      return inner.read(into, offset);
    },
    nextData: (offset) => inner.nextData(offset),
    write(bytes, offset) {
      pass("write");
      inner.write(bytes, offset);
    },
    allocate(offset, length) {
      pass("allocate");
      inner.allocate(offset, length);
    },
    avoidCopyOnWrite: () => inner.avoidCopyOnWrite(),
    deallocate: (offset, length) => inner.deallocate(offset, length),
    truncate(size) {
      pass("truncate");
      inner.truncate(size);
    },
    chmod(mode) {
      pass("chmod");
      inner.chmod(mode);
    },
    syncData() {
      pass("sync");
      inner.syncData();
    },
    async syncDataAsync() {
      pass("sync");
      await inner.syncDataAsync();
    },
    sync() {
      pass("sync");
      inner.sync();
    },
    map(length, access) {
      pass("map");
      return faultyMapping(inner.map(length, access), { path: inner.path, faults });
    },
    tryLockRange(start, length, kind) {
      pass("lock");
      return inner.tryLockRange(start, length, kind);
    },
    unlockRange: (start, length) => inner.unlockRange(start, length),
    rangeIsHeld: (start, length, kind) => inner.rangeIsHeld(start, length, kind),
    tryFlock(kind) {
      pass("lock");
      return inner.tryFlock(kind);
    },
    releaseFlock: () => inner.releaseFlock(),
    close: () => inner.close(),
    [Symbol.dispose]: () => inner.close(),
  };
}

function faultyMapping(inner: Mapping, options: { path: string; faults: Faults }): Mapping {
  return {
    get length() {
      return inner.length;
    },
    get bytes() {
      return inner.bytes;
    },
    flush(offset, length) {
      options.faults.pass("sync", options.path);
      inner.flush(offset, length);
    },
    release: () => inner.release(),
    [Symbol.dispose]: () => inner.release(),
  };
}
