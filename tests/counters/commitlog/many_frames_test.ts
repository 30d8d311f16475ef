/** Several frames by one write, also if the disk takes only a part of them. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  type BatchFiller,
  DataDirectory,
  describeSelf,
  SealedLog,
} from "../../../src/counters/commitlog/mod.ts";
import { FailedError } from "../../../src/base/errors.ts";
import { isPassing, OsError, type Storage, type StoredFile } from "../../../src/file/mod.ts";
import { MessageFiller } from "../../../src/counters/write/message_filler.ts";
import { WriteMessageEncoder } from "../../../src/counters/wire/mod.ts";
import { RecordBatch } from "../../../src/counters/write/record_batch.ts";
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
  /** What a log answers to be read after that. */
  readRefusal: string | null = null;
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
        if (name === "read" && this.readRefusal !== null && /\/logs\//.test(inner.path)) {
          throw new OsError("pread", inner.path, this.readRefusal);
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

/** Appends until `isDone`, with one write that is cut; then what recovery finds in both logs. */
async function foundAfterCut(
  { open }: TestDirectory,
  own: DataDirectory,
  { disk, bytesLeft, filler, isDone }: {
    readonly disk: ShortDisk;
    readonly bytesLeft: number;
    readonly filler: BatchFiller;
    readonly isDone: () => boolean;
  },
): Promise<string[]> {
  const pool = poolOn(own);
  await pool.prepare();
  const [log, next] = [await claim(pool), await claim(pool)];
  disk.bytesLeft = bytesLeft;
  try {
    log.append(filler);
  } catch (error) {
    assert(isPassing(error));
    next.append(filler);
  }
  assert(isDone() && disk.bytesLeft === null);
  for (const each of [log, next]) each.leaveForRecovery();
  own.close();
  using other = open();
  poolOn(other).recoverAll();
  const found: string[] = [];
  for (const { slot } of [log, next]) {
    const taken = SealedLog.take(other, slot);
    if (taken.kind !== "sealed") continue;
    taken.log.verify();
    found.push(...recordsOf(taken.log));
    taken.log.release();
  }
  return found;
}

// Story: what the disk did not take was the padding of the last name, for which the file had zeros. The frame was
// whole and a scan found it, but it was rolled back, and appended once more.
Deno.test("Four frames of which the disk leaves out padding alone all count, once", async () => {
  await withShortDisk(async (test, own, disk) => {
    const filler = new ManyFrames(["a", "b", "c", "d"]).begin();
    const isDone = () => filler.next === 4;
    const bytesLeft = 4 * FRAME_BYTES - 7;
    const found = await foundAfterCut(test, own, { disk, bytesLeft, filler, isDone });
    assertEquals(found, ["ks a 1", "ks b 1", "ks c 1", "ks d 1"]);
  });
});

Deno.test("A frame of messages of which the disk leaves out padding alone counts once", async () => {
  await withShortDisk(async (test, own, disk) => {
    const { sizes } = own;
    const encoder = new WriteMessageEncoder(sizes);
    const message = new Uint8Array(encoder.messageBytes);
    const [keyspace, key] = ["ks", "a"].map((text) => new TextEncoder().encode(text));
    const increment = { keyspace: keyspace!, key: key!, increment: 1n };
    encoder.encode(new DataView(message.buffer), 0, increment);
    const filler = new MessageFiller(sizes);
    filler.begin(message, 0, message.length);
    const isDone = () => filler.next === message.length && filler.accepted === 1;
    const found = await foundAfterCut(test, own, {
      ...{ disk, filler, isDone },
      bytesLeft: FRAME_BYTES - 7,
    });
    assertEquals(found, ["ks a 1"]);
  });
});

Deno.test("A frame of this process of which the disk leaves out padding alone counts once", async () => {
  await withShortDisk(async (test, own, disk) => {
    const [keyspace, key] = ["ks", "a"].map((text) => new TextEncoder().encode(text));
    const filler = new RecordBatch([{ keyspace: keyspace!, key: key!, by: 1n }]);
    const found = await foundAfterCut(test, own, {
      ...{ disk, filler, isDone: () => filler.isDone },
      bytesLeft: FRAME_BYTES - 7,
    });
    assertEquals(found, ["ks a 1"]);
  });
});

// Story: no memory to read the frames back for a moment. They counted as not there, and were appended again.
Deno.test("If frames cannot be read back after a write that failed, the error does not pass", async () => {
  await withShortDisk(async ({ open }, own, disk) => {
    const pool = poolOn(own);
    await pool.prepare();
    const log = await claim(pool);
    const filler = new ManyFrames(["a", "b"]);
    disk.bytesLeft = FRAME_BYTES;
    disk.readRefusal = "ENOMEM";
    const error = assertThrows(() => log.append(filler.begin()), FailedError, "cannot be read");
    assert(!isPassing(error) && isPassing(error.cause));
    disk.readRefusal = null;
    log.leaveForRecovery();
    own.close();
    using other = open();
    poolOn(other).recoverAll();
    const sealed = takeSealed(other, log.slot);
    assertEquals(recordsOf(sealed), ["ks a 1"]);
    sealed.release();
  });
});
