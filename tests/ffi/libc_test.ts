/** libc as countd calls it: widths, errno, locks, mappings, and the table of platforms. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  abiOf,
  abis,
  allocate,
  close,
  deallocate,
  fstat,
  ftruncate,
  link,
  MappedMemory,
  open,
  OsError,
  PAGE_SIZE_BYTES,
  pread,
  pwrite,
  rangeLockConflicts,
  releaseFlock,
  rename,
  selfTest,
  setRangeLock,
  stat,
  statvfs,
  tryFlock,
  unlink,
} from "../../ffi/mod.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";

function create(path: string): number {
  return open(path, { write: true, create: true, exclusive: true }, 0o600);
}

Deno.test("This platform matches the table", async () => {
  await withTemporaryDirectory((directory) => {
    assertEquals(selfTest(directory), []);
    assertEquals([...Deno.readDirSync(directory)], []);
  });
});

Deno.test("A platform that is not in the table is refused with a message", () => {
  assertThrows(() => abiOf("windows", "x86_64"), Error, "windows on x86_64 is not supported");
  assertEquals(abiOf("darwin", "aarch64").variadicOnStack, true);
  assert(Object.values(abis).some((abi) => abi.verified));
});

Deno.test("Struct fields of every platform lie within their structs and do not overlap", () => {
  for (const abi of Object.values(abis)) {
    const { stat: layout, flock, statvfs: volume } = abi;
    const fields = [
      [layout.device.offset, layout.device.bytes],
      [layout.inode, 8],
      [layout.links.offset, layout.links.bytes],
      [layout.mode.offset, layout.mode.bytes],
      [layout.owner, 4],
      [layout.length, 8],
      [layout.blocks, 8],
      [layout.modified, 16],
    ] as const;
    assertApart(abi.name, fields, layout.size);
    assertApart(
      abi.name,
      [[flock.type, 2], [flock.whence, 2], [flock.start, 8], [flock.length, 8], [flock.pid, 4]],
      flock.size,
    );
    const { blocks, available, fragmentSize } = volume;
    assertApart(
      abi.name,
      [[fragmentSize, 8], [blocks.offset, blocks.bytes], [available.offset, available.bytes]],
      volume.size,
    );
  }
});

function assertApart(
  name: string,
  fields: readonly (readonly [number, number])[],
  size: number,
): void {
  const sorted = [...fields].sort(([left], [right]) => left - right);
  for (const [index, [offset, bytes]] of sorted.entries()) {
    assert(offset + bytes <= (sorted[index + 1]?.[0] ?? size), `${name}: field at ${offset}`);
  }
}

Deno.test("An error names the call, the path and the errno", () => {
  const error = assertThrows(() => open("/nowhere/at/all", {}), OsError);
  assertEquals([error.syscall, error.path, error.code], ["open", "/nowhere/at/all", "ENOENT"]);
  assertEquals(
    error.message,
    "Cannot open /nowhere/at/all: no such file or directory (ENOENT)",
  );
  for (const path of ["a\0b", "\ud800"]) {
    assertEquals(assertThrows(() => open(path, {}), OsError).code, "EINVAL");
  }
});

Deno.test("Offsets and sizes keep all their bits beyond 2^31 and 2^32", async () => {
  await withTemporaryDirectory((directory) => {
    const path = `${directory}/sparse`;
    const file = create(path);
    for (const size of [2 ** 31 - 1, 2 ** 31 + 5, 2 ** 32 + 7, 2 ** 40 + 11]) {
      ftruncate(file, size, path);
      assertEquals(fstat(file, path).size, size);
      assertEquals(pwrite(file, Uint8Array.of(1, 2, 3), size - 3, path), 3);
      const back = new Uint8Array(8);
      assertEquals(pread(file, back, size - 3, path), 3);
      assertEquals(back.subarray(0, 3), Uint8Array.of(1, 2, 3));
      assert(setRangeLock(file, "exclusive", { start: size, length: 1, path }));
    }
    const other = open(path, { write: true });
    const conflicts = (start: number) =>
      rangeLockConflicts(other, "exclusive", { start, length: 1, path });
    assertEquals([2 ** 32 + 7, 2 ** 32 + 8, 7].map(conflicts), [true, false, false]);
    close(file);
    assertEquals(conflicts(2 ** 32 + 7), false);
    close(other);
  });
});

Deno.test("Closing another descriptor of the same file drops no lock", async () => {
  await withTemporaryDirectory((directory) => {
    const path = `${directory}/lock`;
    const holder = create(path);
    const range = { start: 0, length: 1, path };
    assert(setRangeLock(holder, "exclusive", range));
    close(open(path, { write: true })); // with POSIX locks this would release it
    const other = open(path, { write: true });
    assertEquals(setRangeLock(other, "exclusive", range), false);
    assertEquals(setRangeLock(other, "shared", range), false);
    close(holder);
    assertEquals(setRangeLock(other, "exclusive", range), true);
    close(other);
  });
});

Deno.test("flock keeps two descriptors of one process apart, and ignores the range locks", async () => {
  await withTemporaryDirectory((directory) => {
    const path = `${directory}/lock`;
    const first = create(path);
    const second = open(path, { write: true });
    assert(tryFlock(first, "shared", path) && tryFlock(second, "shared", path));
    assertEquals(tryFlock(first, "exclusive", path), false);
    releaseFlock(second);
    assert(tryFlock(first, "exclusive", path));
    if (Deno.build.os === "linux") {
      assert(setRangeLock(second, "exclusive", { start: 0, length: 1, path }));
    }
    close(first);
    close(second);
  });
});

Deno.test("A view of a mapping ends with it, and unmapping twice is harmless", async () => {
  await withTemporaryDirectory((directory) => {
    const path = `${directory}/mapped`;
    const file = create(path);
    allocate(file, 0, 2 * PAGE_SIZE_BYTES, path);
    const memory = MappedMemory.map(file, 2 * PAGE_SIZE_BYTES, { writable: true, path });
    const bytes = new Uint8Array(memory.buffer);
    const words = new BigInt64Array(memory.buffer, PAGE_SIZE_BYTES, 1);
    bytes[3] = 9;
    Atomics.store(words, 0, -5n);
    memory.flush(0, 2 * PAGE_SIZE_BYTES);
    memory.unmap();
    memory.unmap();
    assertEquals([bytes.length, words.length, bytes[3]], [0, 0, undefined]);
    assertThrows(() => memory.flush(0, PAGE_SIZE_BYTES), OsError, "EBADF");
    const back = new Uint8Array(4);
    pread(file, back, 0, path);
    assertEquals(back[3], 9);
    close(file);
  });
});

Deno.test("Allocation reports a lack of space before anything is stored", async () => {
  await withTemporaryDirectory((directory) => {
    const path = `${directory}/file`;
    const file = create(path);
    allocate(file, 0, 10_000, path);
    assertEquals(fstat(file, path).size, 10_000);
    assert(fstat(file, path).allocatedBytes >= 10_000);
    const error = assertThrows(() => allocate(file, 0, 2 ** 50, path), OsError);
    assert(["EFBIG", "ENOSPC"].includes(error.code), error.code);
    assertEquals(fstat(file, path).size, 10_000);
    deallocate(file, 0, 8192);
    assertEquals(fstat(file, path).size, 10_000);
    close(file);
  });
});

Deno.test("Links, renames and removals are visible in status", async () => {
  await withTemporaryDirectory((directory) => {
    const [first, second] = [`${directory}/first`, `${directory}/second`];
    close(create(first));
    link(first, second);
    assertEquals(stat(first).links, 2);
    assertEquals(stat(first).inode, stat(second).inode);
    assertEquals(assertThrows(() => link(first, second), OsError).code, "EEXIST");
    unlink(first);
    rename(second, first);
    assertEquals(stat(first).links, 1);
    assertEquals(assertThrows(() => stat(second), OsError).code, "ENOENT");
    const { freeBytes, totalBytes } = statvfs(directory);
    assert(freeBytes > 0 && freeBytes <= totalBytes);
  });
});
