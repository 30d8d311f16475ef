/**
 * A disk in memory for tests. Several "processes" use it, each through its own `SimulatedStorage`. Any of
 * them can be killed, and at any moment a power cut can leave any image that a real disk could leave.
 *
 *     const disk = new SimulatedDisk();
 *     const storage = disk.process("writer");
 *     disk.observer = (event) => { if (event.index === 7 && event.when === "before") throw disk.crash(cut); };
 *     try { workload(storage) } catch (error) { if (!(error instanceof SimulatedCrash)) throw error; }
 *     const after = error.disk;
 *
 * Names: a path from the root, `/` between the parts. There are no symbolic links and one file system.
 */

import { OsError } from "../../src/file/mod.ts";
import type { Random } from "./random.ts";
import type { Cut } from "./simulated_cut.ts";
import { DirectoryInode, FileInode, type Inode } from "./simulated_inode.ts";
import { SimulatedLocks } from "./simulated_locks.ts";
import {
  applyDurably,
  type Change,
  type NameChange,
  pathParts,
  setName,
} from "./simulated_names.ts";
import {
  type DiskEvent,
  type OperationKind,
  persistenceKinds,
  syscallOf,
} from "./simulated_operations.ts";
import { PAGE_BYTES, type Space } from "./simulated_space.ts";
import { SimulatedStorage } from "./simulated_storage.ts";

export type { DiskEvent } from "./simulated_operations.ts";

/** Is thrown out of the calls of a program whose computer stopped. `disk` is what the next start finds. */
export class SimulatedCrash extends Error {
  override readonly name = "SimulatedCrash";
  constructor(message: string, readonly disk: SimulatedDisk) {
    super(message);
  }
}

export interface DiskOptions {
  /** Space of the whole disk; 64 MiB if not given. */
  readonly sizeBytes?: number;
  /** Mapped files can grow to this many bytes under a mapping. */
  readonly mappingReserveBytes?: number;
  /** "ordinary" obeys permission bits as the owner of every file; "root" (default) ignores them. */
  readonly user?: "root" | "ordinary";
  /** "process" plants POSIX locks, which vanish with any close. */
  readonly lockOwner?: "description" | "process";
}

const SIZE_BYTES_DEFAULT = 64 * 1024 * 1024;

export class SimulatedDisk {
  readonly options: DiskOptions;
  readonly space: Space;
  root = new DirectoryInode(1n, 0o755);
  /** Sees every call; may throw a `SimulatedCrash`, or return the name of an errno to fail the call. */
  observer: ((event: DiskEvent) => string | void) | null = null;
  /** Chance that after an operation the kernel writes some dirty page by itself. */
  writeBack: { readonly random: Random; readonly chance: number } | null = null;
  /** Fault points in the order in which they were reached. */
  readonly reached: string[] = [];
  /** Set when the computer stopped: the disk that its next start finds. */
  crashed: SimulatedCrash | null = null;
  #operations = 0;
  #changes: Change[] = [];
  #locks = new Map<Inode, SimulatedLocks>();
  #processes = new Set<SimulatedStorage>();
  #lastInode = 1n;
  #timeMs = 0;

  constructor(options: DiskOptions = {}) {
    this.options = options;
    const totalPages = Math.floor((options.sizeBytes ?? SIZE_BYTES_DEFAULT) / PAGE_BYTES);
    this.space = { freePages: totalPages, totalPages, storesIntoHoles: 0 };
  }

  /** Persistence operations up to now. */
  get operations(): number {
    return this.#operations;
  }

  /** A new process, named for messages. */
  process(name: string): SimulatedStorage {
    const storage = new SimulatedStorage(this, name);
    this.#processes.add(storage);
    return storage;
  }

  forget(storage: SimulatedStorage): void {
    this.#processes.delete(storage);
  }

  /** Runs one call: tells the observer before and after it, and lets the kernel write back. */
  perform<T>(storage: SimulatedStorage, kind: OperationKind, path: string, body: () => T): T {
    const finish = this.begin(storage, kind, path);
    const result = body();
    finish();
    return result;
  }

  /** The first half of `perform`; returns the second half as a function. */
  begin(storage: SimulatedStorage, kind: OperationKind, path: string): () => void {
    const persistent = (persistenceKinds as readonly string[]).includes(kind);
    const index = persistent ? this.#operations++ : -1;
    const point = kind === "reach" ? path : null;
    if (point !== null) this.reached.push(point);
    const process = storage.name;
    const code = this.observer?.({ index, when: "before", kind, process, path, point });
    if (typeof code === "string") throw new OsError(syscallOf(kind), path, code);
    return () => {
      storage.assertAlive();
      if (persistent) this.#writeBackSome();
      const late = this.observer?.({ index, when: "after", kind, process, path, point });
      if (typeof late === "string") throw new OsError(syscallOf(kind), path, late);
    };
  }

  #writeBackSome(): void {
    const plan = this.writeBack;
    if (plan === null || !plan.random.chance(plan.chance)) return;
    const files = [...this.#files(this.root)];
    if (files.length === 0) return;
    const file = plan.random.pick(files);
    for (const page of file.dirtyPages()) if (plan.random.chance(0.5)) file.writeBack(page);
  }

  *#files(directory: DirectoryInode): Iterable<FileInode> {
    for (const inode of directory.entries.values()) {
      if (inode.kind === "file") yield inode;
      else yield* this.#files(inode);
    }
  }

  newFile(mode: number): FileInode {
    const file = new FileInode(++this.#lastInode, mode, this.space);
    file.modifiedMs = this.tick();
    return file;
  }

  newDirectory(mode: number): DirectoryInode {
    return new DirectoryInode(++this.#lastInode, mode);
  }

  tick(): number {
    return ++this.#timeMs;
  }

  /** The inode at a path, or null. Throws ENOTDIR if a part of the path is a file. */
  find(path: string, syscall: string): Inode | null {
    let inode: Inode = this.root;
    for (const part of pathParts(path, syscall)) {
      if (inode.kind !== "directory") throw new OsError(syscall, path, "ENOTDIR");
      const next: Inode | undefined = inode.entries.get(part);
      if (next === undefined) return this.#missing(path, part, inode, syscall);
      inode = next;
    }
    return inode;
  }

  /** Null for a missing last part; ENOENT for a missing directory on the way. */
  #missing(path: string, part: string, inside: DirectoryInode, syscall: string): null {
    const { directory, name } = this.place(path, syscall);
    if (directory !== inside || name !== part) throw new OsError(syscall, path, "ENOENT");
    return null;
  }

  /** The directory that holds the last part of a path, and that part. */
  place(path: string, syscall: string): { directory: DirectoryInode; name: string } {
    const parts = pathParts(path, syscall);
    const name = parts.pop();
    if (name === undefined) throw new OsError(syscall, path, "EBUSY");
    let inode: Inode = this.root;
    for (const part of parts) {
      if (inode.kind !== "directory") throw new OsError(syscall, path, "ENOTDIR");
      const next: Inode | undefined = inode.entries.get(part);
      if (next === undefined) throw new OsError(syscall, path, "ENOENT");
      inode = next;
    }
    if (inode.kind !== "directory") throw new OsError(syscall, path, "ENOTDIR");
    return { directory: inode, name };
  }

  /** One atomic change of names, durable when one of its directories is synced. */
  changeNames(names: readonly NameChange[]): void {
    for (const { directory, name, inode } of names) {
      const before = directory.entries.get(name);
      if (inode === null) directory.entries.delete(name);
      else directory.entries.set(name, inode);
      directory.modifiedMs = this.tick();
      if (inode?.kind === "file") inode.links++;
      if (before?.kind === "file") {
        before.links--;
        this.freeIfUnused(before);
      }
    }
    this.#changes.push({ kind: "names", names });
  }

  changeMode(inode: Inode, mode: number): void {
    inode.mode = mode;
    this.#changes.push({ kind: "mode", inode, mode });
  }

  freeIfUnused(file: FileInode): void {
    if (file.links > 0 || file.descriptors > 0 || file.mapped) return;
    file.free();
    this.#locks.delete(file);
  }

  /** Makes the mode of a file or directory durable. */
  syncMode(inode: Inode): void {
    inode.durableMode = inode.mode;
    this.#changes = this.#changes.filter((each) => each.kind !== "mode" || each.inode !== inode);
  }

  syncDirectory(directory: DirectoryInode): void {
    const touched = new Set([directory]);
    const belongs = (change: Change) =>
      change.kind === "names" && change.names.some((each) => touched.has(each.directory));
    for (let before = 0; before !== touched.size;) {
      before = touched.size;
      for (const change of this.#changes) {
        if (change.kind !== "names" || !belongs(change)) continue;
        for (const each of change.names) touched.add(each.directory);
      }
    }
    const now = this.#changes.filter(belongs);
    this.#changes = this.#changes.filter((change) => !now.includes(change));
    for (const change of now) applyDurably(change);
    this.syncMode(directory);
  }

  syncEverything(): void {
    for (const change of this.#changes.splice(0)) applyDurably(change);
    for (const file of this.#files(this.root)) file.sync();
  }

  locksOf(inode: Inode): SimulatedLocks {
    let locks = this.#locks.get(inode);
    if (locks === undefined) this.#locks.set(inode, locks = new SimulatedLocks());
    return locks;
  }

  /**
   * Stops the computer: every process is dead from now on. The returned error has the disk that the next
   * start finds. Without a cut, every process was killed and nothing else was lost.
   */
  crash(cut: Cut | null): SimulatedCrash {
    const disk = cut === null ? this.twin() : this.powerCut(cut);
    const error = new SimulatedCrash(cut === null ? "Killed" : `Power cut: ${cut.name}`, disk);
    for (const storage of this.#processes) storage.die(error);
    this.crashed = error;
    return error;
  }

  /** The image that a power cut would leave now. Does not change this disk. */
  powerCut(cut: Cut): SimulatedDisk {
    const names = new Map<DirectoryInode, Map<string, Inode>>();
    const modes = new Map<Inode, number>();
    const entriesOf = (directory: DirectoryInode) => {
      let entries = names.get(directory);
      if (!entries) names.set(directory, entries = new Map(directory.durable));
      return entries;
    };
    this.#changes.forEach((change, index) => {
      if (!cut.keepsChange(index, this.#changes.length)) return;
      if (change.kind === "mode") modes.set(change.inode, change.mode);
      else for (const each of change.names) setName(entriesOf(each.directory), each);
    });
    return this.#copy(entriesOf, (file, number, space) => {
      file.checkStores();
      const size = file.sizes[cut.sizeIndex(file.sizes.length)] ?? file.durableSize;
      const mode = modes.get(file) ?? file.durableMode;
      return file.image(number, space, { size, mode, takes: (page) => cut.sectors(page) });
    }, (directory) => modes.get(directory) ?? directory.durableMode);
  }

  /** The same disk without processes: what was not synced is still in the page cache. */
  twin(): SimulatedDisk {
    const copies = new Map<Inode, Inode>();
    const disk = this.#copy(
      (directory) => directory.entries,
      (file, number, space) => {
        file.checkStores();
        return file.twin(number, space);
      },
      (directory) => directory.mode,
      copies,
    );
    for (const [from, to] of copies) {
      if (from.kind !== "directory" || to.kind !== "directory") continue;
      to.durable.clear();
      for (const [name, inode] of from.durable) {
        to.durable.set(name, copies.get(inode) ?? this.#unnamed(inode, disk, copies));
      }
      to.durableMode = from.durableMode;
    }
    disk.#changes = this.#changes.flatMap((change) => this.#changeFor(change, disk, copies));
    return disk;
  }

  /** A pending change may refer to a file that has lost its last name. */
  #unnamed(inode: Inode, disk: SimulatedDisk, copies: Map<Inode, Inode>): Inode {
    const copy = inode.kind === "file"
      ? inode.twin(++disk.#lastInode, { ...disk.space, freePages: Infinity })
      : new DirectoryInode(++disk.#lastInode, inode.mode);
    copies.set(inode, copy);
    return copy;
  }

  #changeFor(change: Change, disk: SimulatedDisk, copies: Map<Inode, Inode>): Change[] {
    const copyOf = (inode: Inode) => copies.get(inode) ?? this.#unnamed(inode, disk, copies);
    if (change.kind === "mode") return [{ ...change, inode: copyOf(change.inode) }];
    const names = change.names.map((each) => ({
      name: each.name,
      directory: copyOf(each.directory) as DirectoryInode,
      inode: each.inode === null ? null : copyOf(each.inode),
    }));
    return [{ kind: "names", names }];
  }

  #copy(
    entriesOf: (directory: DirectoryInode) => Map<string, Inode>,
    copyFile: (file: FileInode, number: bigint, space: Space) => FileInode,
    modeOf: (directory: DirectoryInode) => number,
    copies = new Map<Inode, Inode>(),
  ): SimulatedDisk {
    const disk = new SimulatedDisk(this.options);
    disk.space.storesIntoHoles = this.space.storesIntoHoles;
    disk.#timeMs = this.#timeMs;
    const copyOf = (inode: Inode): Inode => {
      const known = copies.get(inode);
      if (known) return known;
      const number = ++disk.#lastInode;
      if (inode.kind === "file") {
        const file = copyFile(inode, number, disk.space);
        copies.set(inode, file);
        return file;
      }
      const directory = new DirectoryInode(number, modeOf(inode));
      copies.set(inode, directory);
      for (const [name, child] of entriesOf(inode)) {
        const copy = copyOf(child);
        if (copy.kind === "file") copy.links++;
        directory.entries.set(name, copy);
      }
      directory.durable = new Map(directory.entries);
      return directory;
    };
    disk.root = copyOf(this.root) as DirectoryInode;
    return disk;
  }

  /** Equal for disks on which every program would behave the same from now on. */
  digest(): string {
    const parts: string[] = [];
    const walk = (directory: DirectoryInode, path: string) => {
      const durable = [...directory.durable].map(([name, inode]) => `${name}=${inode.number}`);
      parts.push(`${path}/ ${directory.mode} ${directory.durableMode} ${durable.sort()}`);
      for (const name of [...directory.entries.keys()].sort()) {
        const inode = directory.entries.get(name) as Inode;
        parts.push(`${path}/${name} ${inode.number}`);
        if (inode.kind === "directory") walk(inode, `${path}/${name}`);
        else parts.push(inode.digest());
      }
    };
    walk(this.root, "");
    for (const change of this.#changes) {
      const text = change.kind === "mode"
        ? `${change.inode.number} ${change.mode}`
        : change.names.map((each) => `${each.directory.number} ${each.name} ${each.inode?.number}`);
      parts.push(`${change.kind} ${text}`);
    }
    return parts.join("\n");
  }

  /** Every file by path, for oracles that look at the disk from outside. */
  files(): Map<string, FileInode> {
    const found = new Map<string, FileInode>();
    const walk = (directory: DirectoryInode, path: string) => {
      for (const [name, inode] of directory.entries) {
        if (inode.kind === "file") found.set(`${path}/${name}`, inode);
        else walk(inode, `${path}/${name}`);
      }
    };
    walk(this.root, "");
    return found;
  }
}
