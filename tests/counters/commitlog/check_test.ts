/** `check` beside living writers and workers: it ends, and reports damage only. */

import { assert, assertEquals } from "@std/assert";
import {
  checkCommitLogs,
  DataDirectory,
  describeSelf,
} from "../../../src/counters/commitlog/mod.ts";
import type { Storage } from "../../../src/file/mod.ts";
import {
  batchOf,
  claim,
  poolOn,
  takeSealed,
  type TestDirectory,
  withDataDirectory,
} from "../../support/data_directory.ts";
import { overridden } from "../../support/overridden.ts";

/** Bytes of a log under check: they tell when a frame's checksum is about to be taken. */
class WatchedBytes extends Uint8Array<ArrayBuffer> {
  onChecksum: () => void = () => {};
  onBatch: () => void = () => {};

  override subarray(start = 0, end = this.length): Uint8Array<ArrayBuffer> {
    const part = new Uint8Array(super.buffer, this.byteOffset + start, end - start);
    if (start === 0) return part;
    const before = part.slice();
    this.onChecksum();
    return before;
  }

  override get buffer(): ArrayBuffer {
    this.onBatch();
    return super.buffer;
  }
}

/** Every byte of the only log, read whatever its mode is. */
function logBytes({ storage, data }: TestDirectory): Uint8Array<ArrayBuffer> {
  const path = `${data}/logs/0000000000`;
  const { mode } = storage.status(path);
  storage.chmod(path, 0o600);
  using file = storage.open(path, { access: "read" });
  const bytes = new Uint8Array(file.status().size);
  file.read(bytes, 0);
  storage.chmod(path, mode);
  return bytes;
}

/** As `inner`, but a log that is opened for reading is mapped as watched bytes. */
function watching(inner: Storage, watched: (bytes: WatchedBytes) => void): Storage {
  return overridden(inner, {
    open(path, options) {
      const file = inner.open(path, options);
      if (!path.includes("/logs/") || options.access !== "read") return file;
      return overridden(file, {
        map(length, access) {
          const mapping = file.map(length, access);
          const { buffer, byteOffset } = mapping.bytes;
          const bytes = new WatchedBytes(buffer as ArrayBuffer, byteOffset, length);
          watched(bytes);
          return overridden(mapping, { bytes });
        },
      });
    },
  });
}

// Story: check verified the frames of a sealed log, and then walked over them once more by their lengths.
// In between, a worker recycled the log and a writer filled it again, so an increment was taken for a
// length. If it was zero, check never ended, and added one violation in each round. A log that was recycled
// during the first walk was reported as damaged.
Deno.test("A log that is recycled and filled again under check is not damage, and check ends", async () => {
  await withDataDirectory(async (test) => {
    const { storage, data, directory } = test;
    const pool = poolOn(directory, { logs: 1 });
    await pool.prepare();
    const first = await claim(pool);
    // The low half of the increments is zero.
    const long = batchOf(Array.from({ length: 9 }, (_, at) => ["ks", `${at}`, 2n ** 32n] as const));
    first.append(long);
    first.append(long);
    await first.seal({ sync: true });
    const before = logBytes(test);
    takeSealed(directory, 0).recycle();
    const second = await claim(pool);
    second.append(batchOf([["ks", "longer key", 1n]]));
    const { tail } = second;
    await second.seal({ sync: true });
    const after = logBytes(test);
    assertEquals(
      new DataView(after.buffer).getUint32(tail, true),
      0,
      "there is a zero in the place of a length",
    );

    const path = `${data}/logs/0000000000`;
    const { mode } = storage.status(path);
    storage.chmod(path, 0o600);
    using file = storage.open(path, { access: "write" });
    let isOver = false;
    let moment = 0;
    while (!isOver) {
      moment++;
      file.write(before, 0);
      let looks = 0;
      let batches = 0;
      const watched = watching(storage, (bytes) => {
        bytes.onChecksum = () => {
          if (++looks === moment) file.write(after, 0);
        };
        // Ends a check that would walk forever.
        bytes.onBatch = () => {
          if (++batches === 1000) file.write(new Uint8Array(64).fill(0xff), tail);
        };
      });
      using opened = DataDirectory.open(watched, data, { self: describeSelf(storage) });
      assertEquals(checkCommitLogs(opened), [], `recycled at checksum ${moment}`);
      isOver = looks < moment;
    }
    assert(moment > 2, "at the first frame, at the second, and after the last one");
    file.write(after, 0);
    storage.chmod(path, mode);
  });
});
