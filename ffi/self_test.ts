/**
 * Tests the table of `abi.ts` against the running system before any data depends on it: a wrong offset or
 * constant must be refused at the start, and not become a lock that keeps no process out.
 */

import {
  close,
  fstat,
  ftruncate,
  mkdir,
  open,
  pread,
  pwrite,
  rmdir,
  stat,
  unlink,
} from "./file.ts";
import { rangeLockConflicts, setRangeLock, tryFlock } from "./lock.ts";
import { MappedMemory, PAGE_SIZE_BYTES } from "./mmap.ts";

/**
 * Runs in a temporary directory below `directory` and removes it. Returns one sentence for each problem;
 * an empty list means that the platform matches the table.
 */
export function selfTest(directory: string): string[] {
  const wrong: string[] = [];
  const expect = (truth: boolean, sentence: string) => {
    if (!truth) wrong.push(sentence);
  };
  const own = `${directory}/self-test-${Deno.pid}`;
  mkdir(own, 0o700);
  const path = `${own}/file`;
  const first = open(path, { write: true, create: true, exclusive: true }, 0o640);
  const second = open(path, { write: true });
  try {
    ftruncate(first, PAGE_SIZE_BYTES * 3, path);
    const status = fstat(first, path);
    expect(status.size === PAGE_SIZE_BYTES * 3, "fstat gives a wrong size");
    expect((status.mode & 0o170000) === 0o100000, "fstat gives a wrong file type");
    expect((status.mode & 0o777 & ~0o640) === 0, "open passes a wrong mode");
    expect(status.links === 1, "fstat gives a wrong number of links");
    expect(stat(path).inode === status.inode, "stat and fstat disagree about the inode");

    const word = Uint8Array.of(1, 2, 3, 4);
    pwrite(first, word, PAGE_SIZE_BYTES * 2, path);
    const memory = MappedMemory.map(second, PAGE_SIZE_BYTES * 3, { writable: true, path });
    const bytes = new Uint8Array(memory.buffer);
    expect(bytes[PAGE_SIZE_BYTES * 2 + 3] === 4, "a mapping does not show what pwrite wrote");
    bytes[5] = 7;
    memory.flush(0, PAGE_SIZE_BYTES);
    const back = new Uint8Array(8);
    pread(first, back, 0, path);
    expect(back[5] === 7, "pread does not see a store into a mapping");
    memory.unmap();
    expect(bytes.length === 0, "a view survives its mapping");

    const range = { start: 2 ** 33, length: 1, path };
    expect(setRangeLock(first, "exclusive", range), "a free range cannot be locked");
    expect(!setRangeLock(second, "exclusive", range), "a range can be locked twice");
    expect(rangeLockConflicts(second, "shared", range), "a held range does not show");
    expect(setRangeLock(second, "exclusive", { ...range, start: 0 }), "a lock reaches too far");
    setRangeLock(first, "none", range);
    expect(setRangeLock(second, "exclusive", range), "a released range stays locked");
    expect(tryFlock(first, "exclusive", path), "flock refuses a free file");
    expect(!tryFlock(second, "shared", path), "flock allows two conflicting locks");
  } finally {
    close(first);
    close(second);
    unlink(path);
    rmdir(own);
  }
  return wrong;
}
