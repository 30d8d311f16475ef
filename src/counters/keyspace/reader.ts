/**
 * The reading side of one keyspace, for any process at any time: one snapshot of its file, which `refresh`
 * replaces. An answer costs O(log n) pages and what it copies.
 */

import { CorruptError } from "../../base/errors.ts";
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
   * (ENOENT if the keyspace does not exist), `CorruptError`, also if it is not a regular file, and
   * `NewerFormatError` and `OldFormatError`.
   */
  static open(
    storage: Storage,
    path: string,
    options: { readonly cacheBytes?: number } = {},
  ): KeyspaceReader {
    // To open a FIFO would wait for a writer of it.
    const kind = storage.statusOrNull(path)?.kind ?? "file";
    if (kind !== "file") throw notRegular(path);
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

/** The error for something else than a file under the name of a keyspace. */
export function notRegular(path: string): CorruptError {
  return new CorruptError(`Keyspace ${path} is not a regular file: move it away`, {
    path,
    offset: 0,
  });
}
