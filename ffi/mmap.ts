/**
 * Shared mappings of files. A view must never outlive its mapping, so `unmap` detaches the buffer
 * before it unmaps the memory: every typed array over it has length 0 from then on, and a late access
 * finds `undefined` instead of unmapped memory.
 */

import { checkOnce, checkRetrying, OsError } from "./errno.ts";
import { libc } from "./libc.ts";

/** Bytes of a page on this platform. */
export const PAGE_SIZE_BYTES = Deno.build.os === "darwin" && Deno.build.arch === "aarch64"
  ? 16_384
  : 4_096;

/** `(void *) -1`, the result of an `mmap` that failed. */
const MAP_FAILED = 0xffff_ffff_ffff_ffffn;

export class MappedMemory {
  #address: Deno.PointerValue;
  readonly #buffer: ArrayBuffer;

  private constructor(
    address: NonNullable<Deno.PointerValue>,
    readonly length: number,
    readonly writable: boolean,
    readonly path: string,
  ) {
    this.#address = address;
    this.#buffer = Deno.UnsafePointerView.getArrayBuffer(address, length);
  }

  /** Maps the first `length` bytes of the file, shared. Throws `OsError`. */
  static map(
    descriptor: number,
    length: number,
    options: { readonly writable: boolean; readonly path: string },
  ): MappedMemory {
    const { abi, call } = libc();
    const protection = abi.PROT_READ | (options.writable ? abi.PROT_WRITE : 0);
    let address: Deno.PointerValue = null;
    const mmap = () => {
      address = call.mmap(null, BigInt(length), protection, abi.MAP_SHARED, descriptor, 0n);
      return address === null || Deno.UnsafePointer.value(address) === MAP_FAILED ? -1 : 0;
    };
    checkRetrying(mmap, "mmap", options.path);
    return new MappedMemory(
      address as unknown as Deno.PointerObject,
      length,
      options.writable,
      options.path,
    );
  }

  get isMapped(): boolean {
    return this.#address !== null;
  }

  /** The mapped memory; length 0 once it is unmapped. */
  get buffer(): ArrayBuffer {
    return this.#buffer;
  }

  /** msync that waits for the disk. The range must be whole pages. */
  flush(offset: number, length: number): void {
    const { abi, call } = libc();
    const address = this.#at(offset);
    checkOnce(() => call.msync(address, BigInt(length), abi.MS_SYNC), "msync", this.path);
  }

  /** Detaches every view, then unmaps the memory. A second call does nothing. */
  unmap(): void {
    if (this.#address === null) return;
    const address = this.#address;
    this.#address = null;
    this.#buffer.transfer(0);
    checkOnce(() => libc().call.munmap(address, BigInt(this.length)), "munmap", this.path);
  }

  #at(offset: number): Deno.PointerObject {
    if (this.#address === null) throw new OsError("use mapping of", this.path, "EBADF");
    return Deno.UnsafePointer.offset(this.#address, offset) as Deno.PointerObject;
  }
}
