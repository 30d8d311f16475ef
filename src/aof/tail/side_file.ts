/**
 * NAME.size beside an append-only file NAME: how far the data reaches, for tailers of other processes.
 * It is made when a file is first opened as shared, and every later writer goes on publishing there.
 * It is never replaced, so a reader keeps the one it has opened.
 *
 *   1. Every byte of NAME below the published size is stored and final.
 *   2. The size is that of the file whose inode and device are beside it. Both are set while the published
 *      size is 0 and the state 0, so a reader of another file never takes it for its own. They are 0 while
 *      a file has no bytes, because its inode may be that of an older one.
 *   3. A state of 1 is stored after the last size: the file is finished.
 */

import { BusyError, CorruptError, NotFoundError } from "../../base/errors.ts";
import { undoOnError } from "../../base/undo_on_error.ts";
import type { FileStatus, Mapping, Storage, StoredFile } from "../../file/mod.ts";
import {
  type Field,
  refuseNewerSideFile,
  SIDE_FILE_FORMAT,
  SIDE_FILE_SIZE,
  SIDE_FILE_SUFFIX,
  sideFileLayout as layout,
} from "../marks/layout.ts";
import { PublishedSize } from "./published_size.ts";

const APPENDING = 0;
const FINISHED = 1;

export function sideFilePath(path: string): string {
  return path + SIDE_FILE_SUFFIX;
}

export class SideFile implements Disposable {
  readonly #file: StoredFile;
  readonly #mapping: Mapping;
  readonly size: PublishedSize;

  private constructor(file: StoredFile, access: "read" | "write") {
    this.#file = file;
    this.#mapping = file.map(SIDE_FILE_SIZE, access);
    this.size = new PublishedSize(this.#mapping.bytes, layout.publishedSize.offset);
  }

  /**
   * Open it for the writer, or make it if `create` is set. Null if there is none. Throws `NewerFormatError`
   * for one of a newer format, which is left as it is.
   */
  static forWriter(
    storage: Storage,
    path: string,
    { create, mode }: { readonly create: boolean; readonly mode: number },
  ): SideFile | null {
    const sidePath = sideFilePath(path);
    if (!create && storage.statusOrNull(sidePath) === null) return null;
    const file = storage.open(sidePath, { access: "write", create: "missing", mode });
    return undoOnError(() => file.close(), () => {
      if (file.status().size < SIDE_FILE_SIZE) {
        file.avoidCopyOnWrite();
        file.allocate(0, SIDE_FILE_SIZE);
      }
      const side = new SideFile(file, "write");
      return undoOnError(() => side.#mapping.release(), () => {
        refuseNewerSideFile(sidePath, side.#load32(layout.format));
        return side;
      });
    });
  }

  /**
   * Make the side file describe no file. The writer of an empty file calls this before the file gets any
   * bytes: the system may have given it the inode of an older file, which NAME.size still describes.
   */
  static invalidate(storage: Storage, path: string): void {
    using side = SideFile.forWriter(storage, path, { create: false, mode: 0o600 });
    if (side !== null) side.#invalidate();
  }

  /**
   * Open it for a tailer of another process. Throws `NotFoundError` if the file is not shared, `BusyError`
   * while its writer is making it, `NewerFormatError`, `CorruptError` if its format is not known.
   */
  static forReader(storage: Storage, path: string): SideFile {
    const sidePath = sideFilePath(path);
    const status = storage.statusOrNull(sidePath);
    if (status === null) {
      throw new NotFoundError(
        `Cannot follow ${path}: ${sidePath} does not exist; only a file that is opened as shared ` +
          "publishes how far it is written",
      );
    }
    if (status.size < SIDE_FILE_SIZE) {
      throw new BusyError(`Cannot follow ${path} yet: ${sidePath} is being made`);
    }
    using undo = new DisposableStack();
    const file = undo.use(storage.open(sidePath, { access: "read" }));
    const side = undo.use(new SideFile(file, "read"));
    const format = side.#load32(layout.format);
    if (format === 0) {
      throw new BusyError(`Cannot follow ${path} yet: ${sidePath} is being made`);
    }
    refuseNewerSideFile(sidePath, format);
    if (format !== SIDE_FILE_FORMAT) {
      throw new CorruptError(`${sidePath} is not a side file of version 1`, {
        path: sidePath,
        offset: layout.format.offset,
      });
    }
    undo.move();
    return side;
  }

  /** Publish, when a writer starts, which file the size is of and how far its data reaches. */
  publish(status: FileStatus, { size, upperSize }: {
    readonly size: number;
    readonly upperSize: number;
  }): void {
    const isOther = !this.describes(status);
    if (isOther) this.#invalidate();
    this.#store64(layout.upperSize, BigInt(upperSize));
    this.#store32(layout.state, APPENDING);
    if (isOther) {
      this.#store64(layout.inode, status.inode);
      this.#store64(layout.device, status.device);
    }
    this.size.store(size);
    this.#store32(layout.format, SIDE_FILE_FORMAT);
  }

  /** Make the fields describe no file. They described another one, or an older one with this inode. */
  #invalidate(): void {
    this.#store32(layout.state, APPENDING);
    this.size.store(0);
    this.#store64(layout.inode, 0n);
    this.#store64(layout.device, 0n);
  }

  publishFinished(size: number): void {
    this.size.store(size);
    this.#store32(layout.state, FINISHED);
  }

  describes(status: FileStatus): boolean {
    return this.#load64(layout.inode) === status.inode &&
      this.#load64(layout.device) === status.device;
  }

  get isFinished(): boolean {
    return this.#load32(layout.state) === FINISHED;
  }

  get upperSize(): number {
    return Number(this.#load64(layout.upperSize));
  }

  [Symbol.dispose](): void {
    this.#mapping.release();
    this.#file.close();
  }

  #load32({ offset }: Field): number {
    return Atomics.load(this.#view(Int32Array, offset), 0);
  }

  #store32({ offset }: Field, value: number): void {
    Atomics.store(this.#view(Int32Array, offset), 0, value);
  }

  #load64({ offset }: Field): bigint {
    return Atomics.load(this.#view(BigUint64Array, offset), 0);
  }

  #store64({ offset }: Field, value: bigint): void {
    Atomics.store(this.#view(BigUint64Array, offset), 0, value);
  }

  #view<View>(
    kind: new (buffer: ArrayBufferLike, offset: number, length: number) => View,
    offset: number,
  ): View {
    const { buffer, byteOffset } = this.#mapping.bytes;
    return new kind(buffer, byteOffset + offset, 1);
  }
}
