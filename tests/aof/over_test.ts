/** Instances over open descriptors, locks and disk space. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  Aof,
  createFile,
  ErrCorrupted,
  Geometry,
  Recovery,
  RecoveryKind,
} from "../../src/aof/mod.ts";
import { BusyError, FailedError, UsageError } from "../../src/base/errors.ts";
import { OsError, type Storage } from "../../src/file/mod.ts";
import { Faults, faultyStorage } from "../support/faulty_storage.ts";
import { overridden } from "../support/overridden.ts";
import {
  assertChecks,
  concat,
  creating,
  dataOf,
  onDisk,
  storage,
  tailMark,
  text,
  textOf,
  withFile,
} from "./support.ts";

Deno.test("If the disk has no space for a new file, nothing of it is left", async () => {
  await withFile((path) => {
    const faults = new Faults();
    faults.failAt("allocate", 1, "ENOSPC");
    const error = assertThrows(
      () => Aof.open(faultyStorage(storage, faults), path, { geometry: createFile() }),
      OsError,
    );
    assertEquals(error.code, "ENOSPC");
    assertEquals(storage.statusOrNull(path), null);
  });
});

Deno.test("A file that another instance appends to is not opened for appending", async () => {
  await withFile((path) => {
    using _writer = Aof.open(storage, path, { geometry: creating() });
    assertThrows(() => Aof.open(storage, path), BusyError, "another process");
  });
});

Deno.test("A file that its maker removes before it is locked is not appended to", async () => {
  await withFile((path) => {
    Deno.writeFileSync(path, concat(text("ab"), tailMark), { mode: 0o600 });
    const overtaken = overridden<Storage>(storage, {
      open(opened, options) {
        const file = storage.open(opened, options);
        // The process that made it found no space: it removes the name, and then releases its lock.
        if (opened === path) storage.unlink(path);
        return file;
      },
    });
    assertThrows(() => Aof.open(overtaken, path), BusyError, "removed or replaced while");
    assertEquals(storage.statusOrNull(path), null);
  });
});

Deno.test("A file with holes gets its space before it is written to", async () => {
  await withFile((path) => {
    Deno.writeFileSync(path, concat(text("ab"), tailMark), { mode: 0o600 });
    Deno.truncateSync(path, 2 ** 20);
    using aof = Aof.open(storage, path);
    assert(storage.status(path).allocatedBytes >= 2 ** 20);
    assertEquals(textOf(dataOf(aof)), "ab");
  });
});

Deno.test("Over works on a descriptor with a head of its own and publishes the size in it", async () => {
  await withFile((path) => {
    const logSize = 65536;
    const head = 4096;
    const sizeOffset = 1024;
    const geometry = new Geometry({ sizeNow: logSize, sizeUpper: logSize });
    const recoveredTo = (tail: number) =>
      new Recovery({
        func: (fileSize, data, magic) => {
          assertEquals([fileSize, data.length, magic.isEnabled()], [logSize, logSize, false]);
          return { magic, outcome: RecoveryKind.Tail, fileSize, checkpoint: 0, tail, err: null };
        },
      });
    const file = storage.open(path, { access: "write", create: "exclusive", mode: 0o600 });
    file.allocate(0, logSize);
    {
      using aof = Aof.over(file, { geometry, recovery: recoveredTo(head), sizeOffset });
      assertEquals([aof.size, aof.publishedSize], [head, head]);
      const used = aof.append(100, (event) => {
        assertEquals([event.begin, event.end], [head, head + 100]);
        event.bytes[event.begin] = 7;
        return 40;
      });
      assertEquals([used, aof.size, aof.publishedSize], [40, head + 40, head + 40]);
      assertEquals(aof.bytes.subarray(head, head + 48).indexOf(0), 1);
      aof.sync();
      assertEquals(aof.append(logSize - head - 40, (event) => event.end - event.begin), 61400);
      assertEquals(aof.size, logSize);
    }
    const bytes = onDisk(path);
    assertEquals(new DataView(bytes.buffer).getBigInt64(sizeOffset, true), BigInt(logSize));
    assertEquals(bytes.length, logSize);
    // A mapping that the caller keeps stays when the instance is closed.
    const again = storage.open(path, { access: "write" });
    const mapping = again.map(logSize, "write");
    Aof.over(again, { geometry, recovery: recoveredTo(logSize), mapping }).close();
    assertEquals(mapping.bytes[head], 7);
    mapping.release();
  }, { damaged: true });
});

Deno.test("Over with a recovery that finds damage or fails changes nothing", async () => {
  await withFile((path) => {
    Deno.writeFileSync(path, new Uint8Array(8192).fill(3), { mode: 0o600 });
    const geometry = new Geometry({ sizeNow: 8192, sizeUpper: 8192 });
    using file = storage.open(path, { access: "write" });
    const corrupted = new Recovery({
      func: (fileSize, _data, magic) => ({
        magic,
        outcome: RecoveryKind.Corrupted,
        fileSize,
        checkpoint: 0,
        tail: 77,
        err: new Error("bad frame"),
      }),
    });
    const error = assertThrows(
      () => Aof.over(file, { geometry, recovery: corrupted }),
      ErrCorrupted,
      "bad frame",
    );
    assertEquals(error.where.offset, 77);
    const failing = new Recovery({
      func: () => {
        throw new UsageError("no idea");
      },
    });
    assertThrows(() => Aof.over(file, { geometry, recovery: failing }), FailedError, "no idea");
    assertEquals(onDisk(path), new Uint8Array(8192).fill(3));
  }, { damaged: true });
});

Deno.test("Files of the simulated disk are opened and written like others", async () => {
  const { SimulatedDisk } = await import("../support/simulated_disk.ts");
  const disk = new SimulatedDisk();
  const simulated = disk.process("writer");
  simulated.makeDirectory("/d", 0o700);
  {
    using aof = Aof.open(simulated, "/d/log", { geometry: creating(), shared: true });
    aof.write(text("hello"));
    aof.write(new Uint8Array(9000).fill(1));
    aof.sync();
  }
  using again = Aof.open(simulated, "/d/log");
  assertEquals([again.size, again.publishedSize], [9005, 9005]);
  assertChecks("/d/log", simulated);
});
