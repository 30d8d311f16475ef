/** Several frames by one write, also if the disk takes only a part of them. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  type BatchFiller,
  DataDirectory,
  describeSelf,
} from "../../../src/counters/commitlog/mod.ts";
import { OsError, type Storage, type StoredFile } from "../../../src/file/mod.ts";
import {
  batchOf,
  claim,
  poolOn,
  recordsOf,
  takeSealed,
  type TestDirectory,
  withDataDirectory,
} from "../../support/data_directory.ts";

/** Fills a frame with each of these records, and remembers what it rolls back. */
class ManyFrames implements BatchFiller {
  readonly framesMax = 10;
  readonly filledRecords = 1;
  next = 0;
  #from = 0;

  constructor(readonly keys: readonly string[]) {}

  begin(): this {
    this.#from = this.next;
    return this;
  }

  fill(frame: Uint8Array, start: number, end: number): number {
    const key = this.keys[this.next];
    if (key === undefined) return start;
    this.next++;
    return batchOf([["ks", key, 1n]]).fill(frame, start, end);
  }

  rollBack(kept: number): void {
    this.next = this.#from + kept;
  }
}

/** A disk on which the next write into a log ends after this number of bytes, once. */
class ShortDisk {
  bytesLeft: number | null = null;
  logWrites = 0;

  storage(inner: Storage): Storage {
    return new Proxy(inner, {
      get: (target, name) => {
        if (name === "open") {
          return (...args: Parameters<Storage["open"]>) => this.#file(target.open(...args));
        }
        const value = Reflect.get(target, name);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  }

  #file(inner: StoredFile): StoredFile {
    return new Proxy(inner, {
      get: (target, name) => {
        if (name === "write" && /\/logs\//.test(inner.path)) {
          return (bytes: Uint8Array, offset: number) => this.#write(inner, bytes, offset);
        }
        const value = Reflect.get(target, name);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  }

  #write(inner: StoredFile, bytes: Uint8Array, offset: number): void {
    this.logWrites++;
    const { bytesLeft } = this;
    if (bytesLeft === null) return inner.write(bytes, offset);
    this.bytesLeft = null;
    inner.write(bytes.subarray(0, bytesLeft), offset);
    throw new OsError("write", inner.path, "ENOSPC");
  }
}

async function withShortDisk(
  body: (test: TestDirectory, own: DataDirectory, disk: ShortDisk) => Promise<void>,
): Promise<void> {
  await withDataDirectory(async (test) => {
    const disk = new ShortDisk();
    const storage = disk.storage(test.storage);
    using own = DataDirectory.open(storage, test.data, { self: describeSelf(storage) });
    await body(test, own, disk);
  });
}

/** Bytes of a frame with one record here: a head, a definition and a counter. */
const FRAME_BYTES = 72 + 24 + 24;

Deno.test("Ten frames are one write, and are read as they were appended", async () => {
  await withShortDisk(async ({ directory }, own, disk) => {
    const pool = poolOn(own);
    await pool.prepare();
    const log = await claim(pool);
    const before = disk.logWrites;
    const filler = new ManyFrames(Array.from({ length: 11 }, (_, index) => `${index}`));
    const { tail } = log;
    log.append(filler.begin());
    assertEquals([filler.next, log.records, disk.logWrites - before], [10, 10, 1]);
    assertEquals(log.tail - tail, 10 * FRAME_BYTES);
    log.append(filler.begin());
    assertEquals([filler.next, log.records], [11, 11]);
    await log.seal({ sync: true });
    const sealed = takeSealed(directory, log.slot);
    assertEquals(recordsOf(sealed), filler.keys.map((key) => `ks ${key} 1`));
    sealed.release();
  });
});

// Story: the first frames of a write that failed were whole in the file. Their records went into the next log
// too, and a kill before the seal let recovery find them in both.
for (const whole of [0, 1, 3]) {
  Deno.test(`If the disk takes ${whole} frames of four and a part, these ${whole} count, once`, async () => {
    await withShortDisk(async ({ directory, open }, own, disk) => {
      const pool = poolOn(own);
      await pool.prepare();
      const log = await claim(pool);
      const next = await claim(pool);
      const filler = new ManyFrames(["a", "b", "c", "d"]);
      const { tail } = log;
      disk.bytesLeft = whole * FRAME_BYTES + 100;
      assertThrows(() => log.append(filler.begin()), OsError, "ENOSPC");
      assertEquals([filler.next, log.records], [whole, whole]);
      assertEquals(log.tail, tail + whole * FRAME_BYTES);
      directory.control.live.load(log.slot);
      if (whole > 0) assertEquals(directory.control.live.tail, log.tail);
      // The rest goes into another log, and the writer dies before it has sealed the first.
      next.append(filler.begin());
      assertEquals(filler.next, 4);
      for (const each of [log, next]) each.leaveForRecovery();
      own.close();
      const found: string[] = [];
      using other = open();
      poolOn(other).recoverAll();
      for (const slot of [log.slot, next.slot]) {
        if (slot === log.slot && whole === 0) continue;
        const sealed = takeSealed(other, slot);
        found.push(...recordsOf(sealed));
        sealed.release();
      }
      assertEquals(found, ["ks a 1", "ks b 1", "ks c 1", "ks d 1"]);
      assert(disk.bytesLeft === null);
    });
  });
}
