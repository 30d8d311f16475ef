/**
 * The keyspaces that a worker has open for writing. Opening one walks its branches, so the recently
 * folded ones stay open; the number of descriptors stays bounded.
 */

import { byteText } from "../../base/byte_text.ts";
import { type Events, noEvents } from "../../base/events.ts";
import { printableName } from "../../base/printable.ts";
import {
  type FileIdentity,
  isSameFile,
  leadsTo,
  makeDirectories,
  type OpenFileSystem,
  OsError,
  type Storage,
} from "../../file/mod.ts";
import { mapKey } from "../../base/map_key.ts";
import { KeyspaceWriter } from "../keyspace/mod.ts";

const OPEN_MAX = 128;

/** Bytes as a text with one character a byte: a key for maps, whatever the bytes are. */
export function nameKey(name: Uint8Array): string {
  return mapKey(byteText(name));
}

export class KeyspaceWriters {
  /** In the order of their last use. */
  readonly #open = new Map<string, KeyspaceWriter>();
  #fileSystem: OpenFileSystem | null = null;
  /** The directory when it was followed last. */
  #followed: FileIdentity | null = null;

  constructor(
    readonly storage: Storage,
    readonly directory: string,
    readonly events: Events = noEvents,
  ) {}

  /**
   * The file system of the keyspaces, for `syncfs`. It is open before the first page is written, and stays
   * open until `close`, which is as long as the fold lease is held. The kernel reports a failed write once
   * to each descriptor that was open: a new one would not hear of it.
   */
  get fileSystem(): OpenFileSystem {
    return this.#openFileSystem();
  }

  #openFileSystem(): OpenFileSystem {
    return this.#fileSystem ??= this.storage.openFileSystem(this.directory);
  }

  /**
   * Makes the directory again if it was removed. Returns true if it is another one than before: what is applied
   * there may not be on disk. If it is on another file system, everything is closed: the descriptor of `syncfs` must
   * be open before the first page is written there.
   */
  followDirectory(): boolean {
    const { directory: path, storage, events } = this;
    if (storage.statusOrNull(path) === null) {
      events.report("warn", "directory of keyspaces was removed: it is made again", { path });
      makeDirectories(storage, path, 0o700);
    }
    const before = this.#followed;
    const status = this.#followed = storage.status(path);
    const device = this.#fileSystem?.device;
    if (device !== undefined && status.device !== device) {
      this.close();
      return true;
    }
    return before !== null && !isSameFile(before, status);
  }

  /** Whether the directory was removed or replaced since it was followed. */
  get hasLostDirectory(): boolean {
    return this.#followed !== null && !leadsTo(this.storage, this.directory, this.#followed);
  }

  /**
   * Applied generations, by slot, in the file that has the keyspace's name now; null if the keyspace does not
   * exist, and then no file is made. Throws `CorruptError` for a damaged one. Not to be called between apply
   * and publish.
   */
  generations(name: Uint8Array): Readonly<BigUint64Array> | null {
    this.#dropIfLost(name);
    const key = nameKey(name);
    const known = this.#open.get(key);
    if (known !== undefined) return known.generations;
    const { device } = this.#openFileSystem();
    // Copied, because the name may be a view of a log that is released before the keyspace is closed.
    const writer = KeyspaceWriter.openOrNull(this.storage, this.directory, name.slice());
    if (writer === null) return null;
    syncElsewhere(writer, device);
    this.#open.set(key, writer);
    this.trim();
    return writer.generations;
  }

  /**
   * The writer of the file that has the keyspace's name now, between two transactions; of a new file, if
   * `generations` has returned null. Throws `CorruptError` for a damaged keyspace.
   */
  get(name: Uint8Array, { isMissing = false } = {}): KeyspaceWriter {
    this.#dropIfLost(name);
    const key = nameKey(name);
    let writer = this.#open.get(key);
    // Copied, because the name may be a view of a log that is released before the keyspace is closed.
    if (writer === undefined) {
      const { device } = this.#openFileSystem();
      const make = isMissing ? KeyspaceWriter.create : KeyspaceWriter.open;
      writer = make(this.storage, this.directory, name.slice());
      syncElsewhere(writer, device);
    } else this.#open.delete(key);
    this.#open.set(key, writer);
    return writer;
  }

  #dropIfLost(name: Uint8Array): void {
    const writer = this.#open.get(nameKey(name));
    if (writer !== undefined && !writer.isInPlace()) this.dropLost(writer);
  }

  /**
   * Returns free space of every open keyspace to the system. To find what is free, its branches are read. If
   * that fails, the keyspace is closed and `onFailure` is called.
   */
  releaseSpace(onFailure: (name: Uint8Array, error: unknown) => void): void {
    for (const writer of this.#open.values()) {
      try {
        if (writer.isInPlace()) writer.trim();
        else this.dropLost(writer);
      } catch (error) {
        this.drop(writer.name);
        onFailure(writer.name, error);
      }
    }
  }

  /** Closes a keyspace, so that the next `get` reads its file again. */
  drop(name: Uint8Array): void {
    const key = nameKey(name);
    const writer = this.#open.get(key);
    if (writer !== undefined) closeQuietly(writer);
    this.#open.delete(key);
  }

  /** As `drop`, for a file that has lost its name, or its content. Reports it. */
  dropLost(writer: KeyspaceWriter): void {
    const { name, path } = writer;
    this.events.report("warn", "keyspace file was removed or replaced: its name is opened again", {
      keyspace: printableName(name),
      path,
    });
    this.drop(name);
  }

  /**
   * Closes the least recently used ones, but keeps `inUse`: those that were got last and are between apply and
   * publish.
   */
  trim(inUse = 0): void {
    const keptMax = Math.max(OPEN_MAX, inUse);
    for (const [key, writer] of this.#open) {
      if (this.#open.size <= keptMax) return;
      closeQuietly(writer);
      this.#open.delete(key);
    }
  }

  /** Closes all keyspaces, so that each is read again. */
  dropAll(): void {
    for (const writer of this.#open.values()) closeQuietly(writer);
    this.#open.clear();
  }

  close(): void {
    this.dropAll();
    this.#fileSystem?.close();
    this.#fileSystem = null;
  }
}

/** A link leads to a file system of which no sync was made yet: what is applied there may not be on disk. */
function syncElsewhere(writer: KeyspaceWriter, device: bigint): void {
  if (writer.device !== device) writer.syncMeta();
}

/**
 * Closes a writer. An unfinished file that the disk does not remove is swept with the next lease; that must not
 * hide why the fold ended.
 */
function closeQuietly(writer: KeyspaceWriter): void {
  try {
    writer.close();
  } catch (error) {
    if (!(error instanceof OsError)) throw error;
  }
}
