/**
 * A new keyspace file while it is made: its first bytes are collected in memory and written by one call. A
 * fold may make thousands of files of one counter, and each of them would need six writes otherwise.
 *
 * Invariant: after `writeOut` the file has the content, and every later call goes to the file itself.
 */

import type { FileStatus, StoredFile } from "../../file/mod.ts";
import type { PageFile } from "../tree/mod.ts";

const BYTES_MIN = 4096;
/** A larger file is written page by page, after it has found space for them. */
const BYTES_MAX = 64 * 1024;

export class DraftFile implements PageFile {
  readonly #file: StoredFile;
  readonly #status: FileStatus;
  /** Null once everything is in the file. */
  #bytes: Uint8Array | null = new Uint8Array(BYTES_MIN);
  #size = 0;

  /** `file` is new: nothing in it is kept. */
  constructor(file: StoredFile, status: FileStatus) {
    this.#file = file;
    this.#status = status;
  }

  get path(): string {
    return this.#file.path;
  }

  status(): FileStatus {
    return this.#bytes === null ? this.#file.status() : { ...this.#status, size: this.#size };
  }

  read(into: Uint8Array, offset: number): number {
    if (this.#bytes === null) return this.#file.read(into, offset);
    const found = this.#bytes.subarray(Math.min(offset, this.#size), this.#size);
    const length = Math.min(found.length, into.length);
    into.set(found.subarray(0, length));
    return length;
  }

  write(bytes: Uint8Array, offset: number): void {
    const draft = this.#upTo(offset + bytes.length);
    if (draft === null) this.#file.write(bytes, offset);
    else draft.set(bytes, offset);
  }

  /** The bytes of a draft get their space before they are written. */
  allocate(offset: number, length: number): void {
    if (this.#upTo(offset + length) === null) this.#file.allocate(offset, length);
  }

  deallocate(offset: number, length: number): boolean {
    this.writeOut();
    return this.#file.deallocate(offset, length);
  }

  /** Writes what was collected. Throws `OsError`, also for a full disk. */
  writeOut(): void {
    if (this.#bytes === null) return;
    // A full disk shows here. It is also faster: a sync of many files need not find space for each.
    this.#file.allocate(0, this.#size);
    this.#file.write(this.#bytes.subarray(0, this.#size), 0);
    this.#bytes = null;
  }

  /** The draft, with space for bytes up to `end`; null if the file has taken its place. */
  #upTo(end: number): Uint8Array | null {
    if (end > BYTES_MAX) this.writeOut();
    if (this.#bytes === null) return null;
    if (end > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(end, this.#bytes.length * 2));
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#size = Math.max(this.#size, end);
    return this.#bytes;
  }
}
