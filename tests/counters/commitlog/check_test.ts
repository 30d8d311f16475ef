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

/** As `inner`, but `onRead` is called before each read of a log that is opened for reading. */
function watching(inner: Storage, onRead: () => void): Storage {
  return overridden(inner, {
    open(path, options) {
      const file = inner.open(path, options);
      if (!path.includes("/logs/") || options.access !== "read") return file;
      return overridden(file, {
        read(into, offset) {
          onRead();
          return file.read(into, offset);
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
      let reads = 0;
      const watched = watching(storage, () => {
        if (++reads === moment) file.write(after, 0);
      });
      using opened = DataDirectory.open(watched, data, { self: describeSelf(storage) });
      assertEquals(checkCommitLogs(opened), [], `recycled at read ${moment}`);
      isOver = reads < moment;
    }
    assert(moment > 2, "at the header, at the frames, and after them");
    file.write(after, 0);
    storage.chmod(path, mode);
  });
});
