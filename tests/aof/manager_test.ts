/** The manager, also where that of the original was wrong. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  createFile,
  ErrClosed,
  ErrEndOfFile,
  ErrWouldBlock,
  FileState,
  Geometry,
  Manager,
} from "../../src/aof/mod.ts";
import { setImmediate } from "node:timers";
import { systemClock } from "../../src/base/clock.ts";
import { NotFoundError, UsageError } from "../../src/base/errors.ts";
import { Faults, faultyStorage } from "../support/faulty_storage.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { waitUntil } from "../support/wait.ts";
import {
  assertChecks,
  creating,
  dataOf,
  Recorder,
  storage,
  text,
  textOf,
  turns,
} from "./support.ts";

Deno.test("A manager makes its directory for its owner alone, and files with its modes", async () => {
  await withTemporaryDirectory((parent) => {
    const directory = `${parent}/a/b`;
    using manager = new Manager(storage, directory, { writeMode: 0o640, readMode: 0o440 });
    assertEquals(storage.status(directory).mode, 0o700);
    const aof = manager.open("log", { geometry: createFile() });
    assertEquals(storage.status(`${directory}/log`).mode, 0o640);
    aof.finish();
    assertEquals(storage.status(`${directory}/log`).mode, 0o440);
    using plain = new Manager(storage, directory, { writeMode: 0, readMode: 0 });
    plain.open("other", { geometry: createFile() }).finish();
    assertEquals(storage.status(`${directory}/other`).mode, 0o444);
    for (const name of ["log", "other"]) assertChecks(`${directory}/${name}`);
  });
});

Deno.test("A failed open is not remembered", async () => {
  await withTemporaryDirectory((directory) => {
    using manager = new Manager(storage, directory);
    assertThrows(() => manager.open("log"), NotFoundError);
    assertEquals(manager.open("log", { geometry: createFile() }).size, 0);
    assertChecks(`${directory}/log`);
  });
});

Deno.test("After a write that would block the manager extends the file, and the same write fits", async () => {
  await withTemporaryDirectory(async (directory) => {
    using manager = new Manager(storage, directory);
    const aof = manager.open("log", { geometry: creating(2 ** 20) });
    const bytes = new Uint8Array(100_000).fill(1);
    assertThrows(() => aof.writeNonBlocking(bytes), ErrWouldBlock);
    await turns();
    assertEquals(aof.writeNonBlocking(bytes), bytes.length);
    assertEquals([aof.fileStats.extensions, aof.size], [0, bytes.length]);
    assertChecks(`${directory}/log`);
  });
});

Deno.test("The manager extends a file ahead of non-blocking writes", async () => {
  await withTemporaryDirectory(async (directory) => {
    // A clock that advances one millisecond a turn, so that the pace is the same on every machine.
    let nowMs = 0;
    using manager = new Manager(storage, directory, {
      clock: { ...systemClock, nowMs: () => nowMs },
    });
    const aof = manager.open("log", { geometry: creating(2 ** 22) });
    const bytes = new Uint8Array(1000).fill(2);
    while (aof.size < 1_000_000) {
      // Less than half a step in a turn of the loop: no write would block.
      aof.writeNonBlocking(bytes);
      await new Promise((resolve) => setImmediate(resolve));
      nowMs++;
    }
    assertEquals([aof.fileStats.wouldBlocks, aof.fileStats.extensions], [0, 0]);
    assert(aof.fileStats.extensionsAhead > 0);
    // The pace decides how far: far fewer extensions than steps of the file.
    assert(
      aof.fileStats.extensionsAhead < aof.fileSize / 4096 / 2,
      `${aof.fileStats.extensionsAhead}`,
    );
    assert(aof.fileSize <= aof.geometry.sizeUpper);
    assertChecks(`${directory}/log`);
  });
});

Deno.test("At the upper size the manager stops extending", async () => {
  await withTemporaryDirectory(async (directory) => {
    using manager = new Manager(storage, directory);
    const aof = manager.open("log", { geometry: creating(16384) });
    assertThrows(() => aof.writeNonBlocking(new Uint8Array(16384)), ErrEndOfFile);
    for (let count = 0; count < 16; count++) {
      aof.write(new Uint8Array(1000));
      await turns(1);
    }
    assertEquals(aof.fileSize, 16384);
    assertThrows(() => aof.writeNonBlocking(new Uint8Array(1000)), ErrEndOfFile);
    assertChecks(`${directory}/log`);
  });
});

Deno.test("While an extension is due, a blocking write extends the file and a non-blocking one does not wait", async () => {
  await withTemporaryDirectory(async (directory) => {
    using manager = new Manager(storage, directory);
    const aof = manager.open("log", { geometry: creating(2 ** 20) });
    const recorder = new Recorder();
    aof.subscribe(recorder);
    assertThrows(() => aof.writeNonBlocking(new Uint8Array(5000)), ErrWouldBlock);
    assertThrows(() => aof.writeNonBlocking(new Uint8Array(5000)), ErrWouldBlock);
    assertEquals(aof.write(new Uint8Array(5000)), 5000);
    assertEquals(textOf(dataOf(aof)).length, 5000);
    await turns();
    assertEquals(recorder.seen.at(-1)?.end, 5000);
    assertChecks(`${directory}/log`);
  });
});

Deno.test("The manager reports an extension that failed, and the write that needs it fails too", async () => {
  await withTemporaryDirectory(async (directory) => {
    const faults = new Faults();
    const errors: unknown[] = [];
    using manager = new Manager(faultyStorage(storage, faults), directory, {
      onError: (error) => errors.push(error),
    });
    const aof = manager.open("log", { geometry: creating() });
    faults.failFrom("allocate", 1, "ENOSPC");
    aof.write(new Uint8Array(3000));
    await waitUntil("the error", () => errors.length > 0);
    assertThrows(() => aof.writeNonBlocking(new Uint8Array(3000)), ErrWouldBlock);
    assertThrows(() => aof.write(new Uint8Array(3000)), Error, "ENOSPC");
    await turns();
    faults.heal();
    assertThrows(() => aof.writeNonBlocking(new Uint8Array(3000)), ErrWouldBlock);
    await turns();
    assertEquals(aof.writeNonBlocking(new Uint8Array(3000)), 3000);
    assertChecks(`${directory}/log`);
  });
});

Deno.test("One name has one instance while it is open", async () => {
  await withTemporaryDirectory(async (directory) => {
    using manager = new Manager(storage, directory);
    const first = manager.open("log", { geometry: creating() });
    first.write(text("a"));
    assertEquals(manager.open("log", { geometry: new Geometry({ sizeUpper: 4096 }) }), first);
    first.close();
    await first.closed;
    const second = manager.open("log");
    assert(second !== first);
    assertEquals(second.size, 1);
    assertChecks(`${directory}/log`);
  });
});

Deno.test("Names that leave the directory are refused", async () => {
  await withTemporaryDirectory((directory) => {
    using manager = new Manager(storage, directory);
    for (const name of ["", ".", "..", "../x", "a/b", "/etc/x", "a\0b", "log.size"]) {
      assertThrows(
        () => manager.open(name, { geometry: createFile() }),
        UsageError,
        "Invalid name",
      );
      assertThrows(() => manager.openAnonymous(name, 1), UsageError, "Invalid name");
    }
    assertEquals(storage.readDirectory(directory), []);
  });
});

Deno.test("Each counter goes up once for what it counts", async () => {
  await withTemporaryDirectory(async (directory) => {
    const faults = new Faults();
    using manager = new Manager(faultyStorage(storage, faults), directory);
    let before = manager.stats();
    const moved = () => {
      const now = manager.stats();
      const names = Object.keys(now) as (keyof typeof now)[];
      const counts = names.filter((name) => !name.endsWith("Dur") && now[name] !== before[name])
        .map((name) => [name, now[name] - before[name]]);
      before = now;
      return Object.fromEntries(counts);
    };
    assertThrows(() => manager.open("log"), NotFoundError);
    assertEquals(moved(), { openErrors: 1 });
    faults.failAt("open", 1, "EMFILE");
    assertThrows(() => manager.open("log", { geometry: createFile() }));
    assertEquals(moved(), { openErrors: 1, openFileErrors: 1 });
    faults.failAt("map", 1, "ENOMEM");
    assertThrows(() => manager.open("log", { geometry: createFile() }));
    assertEquals(moved(), { openErrors: 1, openFileCount: 1, mapErrors: 1 });
    const aof = manager.open("log", { geometry: creating() });
    assertEquals(moved(), {
      creates: 1,
      opens: 1,
      openFileCount: 1,
      maps: 1,
      activeMaps: 1,
      activeFileSize: 4096,
      activeMappedMemory: 65536,
      lifetimeMemory: 65536,
    });
    manager.open("log");
    assertEquals(moved(), {});
    aof.write(new Uint8Array(5000));
    assertEquals(moved(), { truncates: 1, activeFileSize: 4096 });
    faults.failAt("allocate", 1, "ENOSPC");
    assertThrows(() => aof.extend(16384));
    assertEquals(moved(), { truncateErrors: 1 });
    aof.flush();
    aof.flush();
    assertEquals(moved(), { flushes: 1 });
    aof.write(text("more"));
    aof.sync();
    aof.sync();
    await aof.syncAsync();
    assertEquals(moved(), { syncs: 1 });
    const unflushed = manager.open("unflushed", { geometry: creating() });
    unflushed.write(text("x"));
    moved();
    faults.failAt("sync", 1, "EIO");
    assertThrows(() => unflushed.flush());
    assertEquals(moved(), { flushErrors: 1 });
    unflushed.close();
    const failing = manager.open("failing", { geometry: creating() });
    failing.write(text("x"));
    moved();
    faults.failAt("sync", 1, "EIO");
    assertThrows(() => failing.sync());
    assertEquals(moved(), { syncErrors: 1 });
    failing.close();
    const unfinished = manager.open("unfinished", { geometry: creating() });
    moved();
    faults.failAt("chmod", 1, "EPERM");
    assertThrows(() => unfinished.finish());
    assertEquals(moved(), {
      truncates: 1,
      activeFileSize: 8 - 4096,
      chmodErrors: 1,
      finishErrors: 1,
    });
    unfinished.close();
    moved();
    aof.finish();
    assertEquals(moved(), {
      finishes: 1,
      truncates: 1,
      activeFileSize: 5012 - 8192,
      chmods: 1,
    });
    aof.close();
    assertEquals(moved(), {
      closes: 1,
      unmaps: 1,
      activeMaps: -1,
      activeMappedMemory: -65536,
      activeFileSize: -5012,
      finalizes: 1,
    });
    manager.openAnonymous("memory", 8192);
    assertEquals(moved(), { opens: 1, activeAnonymousMemory: 8192, lifetimeMemory: 8192 });
    manager.openAnonymous("memory", 8192).close();
    assertEquals(moved(), { closes: 1, finalizes: 1, activeAnonymousMemory: -8192 });
    const { activeMaps, activeFileSize, activeMappedMemory, opensDur } = manager.stats();
    assertEquals([activeMaps, activeFileSize, activeMappedMemory], [0, 0, 0]);
    assert(opensDur > 0);
    assertChecks(`${directory}/log`);
  });
});

Deno.test("An anonymous instance lives in memory alone", async () => {
  await withTemporaryDirectory(async (directory) => {
    using manager = new Manager(storage, directory);
    const aof = manager.openAnonymous("x", 64 * 1024);
    assertEquals([aof.isAnonymous(), aof.fileSize], [true, 65536]);
    assertEquals(manager.openAnonymous("x", 4096), aof);
    const recorder = new Recorder();
    aof.subscribe(recorder);
    aof.write(text("in "));
    aof.append(6, (event) => {
      event.tail.set(text("memory"));
      return 6;
    });
    aof.sync();
    aof.flush();
    await turns();
    aof.finish();
    await turns();
    assertEquals([recorder.text, recorder.seen.at(-1)?.eof, aof.state], [
      "in memory",
      true,
      FileState.Eof,
    ]);
    assertEquals(textOf(dataOf(aof)), "in memory");
    assertThrows(() => aof.write(text("x")), ErrClosed);
    assertEquals(storage.readDirectory(directory), []);
  });
});

Deno.test("Closing a manager closes its files and their tailers", async () => {
  await withTemporaryDirectory(async (directory) => {
    const manager = new Manager(storage, directory);
    const files = ["a", "b"].map((name) => manager.open(name, { geometry: createFile() }));
    const recorders = files.map((aof) => {
      const recorder = new Recorder();
      aof.subscribeInterval(recorder, { intervalMs: 1000 });
      return recorder;
    });
    const memory = manager.openAnonymous("m", 4096);
    manager.close();
    assertEquals([...files, memory].map(({ state }) => state), Array(3).fill(FileState.Closed));
    assertEquals(recorders.map(({ closed }) => closed[0]?.reason), ["closed", "closed"]);
    assertThrows(() => manager.close(), ErrClosed);
    assertThrows(() => manager.open("a"), ErrClosed);
    await manager[Symbol.asyncDispose]();
    assertEquals(manager.stats().activeMaps, 0);
    for (const name of ["a", "b"]) assertChecks(`${directory}/${name}`);
  });
});
