/**
 * The reading side of one keyspace, for any process at any time: one snapshot of its file, which `refresh`
 * replaces. An answer costs O(log n) pages and what it copies.
 */

import type { FileIdentity, Storage, StoredFile } from "../../file/mod.ts";
import { TreeReader } from "../tree/mod.ts";

export class KeyspaceReader extends TreeReader implements Disposable {
  readonly path: string;
  readonly identity: FileIdentity;
  readonly #file: StoredFile;

  private constructor(file: StoredFile, options: { readonly cacheBytes?: number }) {
    super(file, options);
    this.path = file.path;
    this.identity = file.status();
    this.#file = file;
  }

  /**
   * Opens the file of a keyspace. `cacheBytes` bounds the pages that are kept in memory. Throws `OsError`
   * (ENOENT if the keyspace does not exist) and `CorruptError`.
   */
  static open(
    storage: Storage,
    path: string,
    options: { readonly cacheBytes?: number } = {},
  ): KeyspaceReader {
    const file = storage.open(path, { access: "read" });
    try {
      return new KeyspaceReader(file, options);
    } catch (error) {
      file.close();
      throw error;
    }
  }

  close(): void {
    this.#file.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
