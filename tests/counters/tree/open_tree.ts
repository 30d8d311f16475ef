/** Tree files for tests, on the real disk. */

import { type Storage, type StoredFile, systemStorage } from "../../../src/file/mod.ts";
import { checkTreeFile, TreeReader, TreeWriter } from "../../../src/counters/tree/mod.ts";
import { assertEquals } from "@std/assert";

export class TreeFixture implements Disposable {
  readonly path: string;
  readonly storage: Storage;
  readonly pageSize: number;
  writer: TreeWriter;
  readonly #files: StoredFile[] = [];

  constructor(
    directory: string,
    { pageSize = 1024, storage = systemStorage(), name = "toy" }: {
      readonly pageSize?: number;
      readonly storage?: Storage;
      readonly name?: string;
    } = {},
  ) {
    this.path = `${directory}/tree`;
    this.storage = storage;
    this.pageSize = pageSize;
    const file = this.#open("write", "exclusive");
    this.writer = TreeWriter.format(file, { name: new TextEncoder().encode(name), pageSize });
  }

  /** A writer as another process opens it, from the file alone. */
  reopenWriter(): TreeWriter {
    this.writer = TreeWriter.open(this.#open("write", "never"));
    return this.writer;
  }

  openReader(cacheBytes?: number): TreeReader {
    return new TreeReader(
      this.#open("read", "never"),
      cacheBytes === undefined ? {} : { cacheBytes },
    );
  }

  get size(): number {
    return this.storage.status(this.path).size;
  }

  /** Every test that made a file ends with this check. */
  assertSound(): void {
    assertEquals(checkTreeFile(this.storage, this.path), []);
  }

  #open(access: "read" | "write", create: "never" | "exclusive"): StoredFile {
    const file = this.storage.open(this.path, { access, create });
    this.#files.push(file);
    return file;
  }

  [Symbol.dispose](): void {
    for (const file of this.#files) file.close();
  }
}
