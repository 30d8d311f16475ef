/** Opening and recovering files. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  Aof,
  createFile,
  ErrClosed,
  ErrCorrupted,
  ErrEmptyFile,
  ErrFileIsReadOnly,
  ErrIsDirectory,
  ErrReadPermission,
  FileState,
  Geometry,
  MAGIC_CHECKPOINT,
  magicDisabled,
  recoverWithMagic,
  Recovery,
  RecoveryKind,
  recoveryReadOnly,
  Stats,
  systemClock,
} from "../../src/aof/mod.ts";
import { NotFoundError } from "../../src/base/errors.ts";
import {
  concat,
  creating,
  dataOf,
  littleEndian,
  onDisk,
  Recorder,
  storage,
  tailMark,
  text,
  textOf,
  turns,
  withFile,
} from "./support.ts";

const checkpointMark = littleEndian(MAGIC_CHECKPOINT);

Deno.test("Create makes a file of sizeNow zeros without data, ready for writes", async () => {
  await withFile((path) => {
    using aof = Aof.open(storage, path, { geometry: createFile().withSizeNow(8192) });
    assertEquals([aof.size, aof.fileSize, aof.state], [0, 8192, FileState.Opened]);
    assertEquals(onDisk(path), new Uint8Array(8192));
    assertEquals(storage.status(path).mode, 0o600);
    assertEquals(aof.write(text("x")), 1);
  });
});

Deno.test("A file that is made has its space on disk, not only its length", async () => {
  await withFile((path) => {
    using _aof = Aof.open(storage, path, { geometry: createFile().withSizeNow(2 ** 20) });
    assert(storage.status(path).allocatedBytes >= 2 ** 20);
  });
});

Deno.test("A missing file is not found, and can be made afterwards", async () => {
  await withFile((path) => {
    assertThrows(() => Aof.open(storage, path), NotFoundError, path);
    assertEquals(storage.statusOrNull(path), null);
    using aof = Aof.open(storage, path, { geometry: createFile() });
    assertEquals(aof.size, 0);
  });
});

Deno.test("A directory is refused", async () => {
  await withFile((path) => {
    Deno.mkdirSync(path);
    const error = assertThrows(
      () => Aof.open(storage, path, { geometry: createFile() }),
      ErrIsDirectory,
    );
    assertEquals([error.code, error.name, error.kind], [
      "ErrIsDirectory",
      "ErrIsDirectory",
      "failed",
    ]);
  });
});

Deno.test("A file whose mode does not let its owner read it is refused, to root too", async () => {
  await withFile((path) => {
    Deno.writeFileSync(path, new Uint8Array(4096));
    for (const mode of [0o200, 0o000, 0o077]) {
      Deno.chmodSync(path, mode);
      const error = assertThrows(() => Aof.open(storage, path), ErrReadPermission);
      assertEquals(error.code, "ErrReadPermission");
    }
    Deno.chmodSync(path, 0o600);
  });
});

Deno.test("A read-only file is read whole, ends with EOF, and takes no write", async () => {
  await withFile(async (path) => {
    {
      using writer = Aof.open(storage, path, { geometry: creating() });
      writer.write(text("all of it"));
      writer.finish();
    }
    assertEquals(storage.status(path).mode, 0o444);
    using aof = Aof.open(storage, path, { geometry: creating() });
    assertEquals([aof.state, aof.size, aof.isReadOnly], [FileState.Eof, 9, true]);
    for (
      const write of [
        () => aof.write(text("x")),
        () => aof.writeNonBlocking(text("x")),
        () => aof.append(1, () => 1),
        () => aof.finish(),
      ]
    ) {
      const error = assertThrows(write, ErrFileIsReadOnly);
      assertEquals(error.code, "ErrFileIsReadOnly");
    }
    const recorder = new Recorder();
    aof.subscribe(recorder);
    await turns();
    assertEquals(recorder.seen.map(({ text, eof }) => [text, eof]), [["all of it", false], [
      "",
      true,
    ]]);
  });
});

Deno.test("A read-only file of another program is corrupted with marks, and read whole without them", async () => {
  await withFile((path) => {
    Deno.writeFileSync(path, concat(text("plain"), new Uint8Array(3)));
    Deno.chmodSync(path, 0o444);
    assertThrows(() => Aof.open(storage, path), ErrCorrupted);
    const recovery = new Recovery({ magic: magicDisabled, func: recoverWithMagic });
    using aof = Aof.open(storage, path, { recovery });
    assertEquals([aof.size, aof.state], [8, FileState.Eof]);
  }, { damaged: true });
});

Deno.test("An empty file cannot be read as finished", async () => {
  await withFile((path) => {
    Deno.writeFileSync(path, new Uint8Array());
    const error = assertThrows(
      () => Aof.open(storage, path, { recovery: recoveryReadOnly, geometry: createFile() }),
      ErrEmptyFile,
    );
    assertEquals(error.code, "ErrEmptyFile");
    Deno.chmodSync(path, 0o444);
    assertThrows(() => Aof.open(storage, path), ErrEmptyFile);
    assertEquals(storage.status(path).size, 0);
  });
});

Deno.test("Reading a missing file as finished makes nothing, even with create", async () => {
  await withFile((path) => {
    assertThrows(
      () => Aof.open(storage, path, { recovery: recoveryReadOnly, geometry: createFile() }),
      NotFoundError,
    );
    assertEquals(storage.statusOrNull(path), null);
  });
});

Deno.test("A file in use is read as finished without disturbing its writer", async () => {
  await withFile((path) => {
    using writer = Aof.open(storage, path, { geometry: creating() });
    writer.write(text("so far"));
    {
      using reader = Aof.open(storage, path, { recovery: recoveryReadOnly });
      assertEquals([textOf(dataOf(reader)), reader.state], ["so far", FileState.Eof]);
      assertThrows(() => reader.write(text("x")), ErrFileIsReadOnly);
    }
    writer.write(text(" and on"));
    assertEquals(textOf(dataOf(writer)), "so far and on");
  });
});

Deno.test("A file that was closed goes on where it ended", async () => {
  await withFile((path) => {
    {
      using aof = Aof.open(storage, path, { geometry: creating() });
      aof.write(new Uint8Array(16).fill(1));
      aof.write(new Uint8Array(4).fill(2));
    }
    using aof = Aof.open(storage, path);
    assertEquals([aof.size, aof.recovery.result()?.outcome], [20, RecoveryKind.Tail]);
    aof.write(text("next"));
    const expected = concat(
      new Uint8Array(16).fill(1),
      new Uint8Array(4).fill(2),
      text("next"),
      tailMark,
    );
    assertEquals(onDisk(path, 40), concat(expected, new Uint8Array(8)));
  });
});

Deno.test("A file that was made and closed is empty", async () => {
  await withFile((path) => {
    Aof.open(storage, path, { geometry: creating() }).close();
    assertEquals(onDisk(path), new Uint8Array(4096));
    using aof = Aof.open(storage, path);
    assertEquals([aof.size, aof.recovery.result()?.outcome], [0, RecoveryKind.Empty]);
  });
});

Deno.test("Payloads that end in zeros or in a mark are the same after opening again", async () => {
  const payloads = [
    concat(text("ab"), new Uint8Array(6)),
    new Uint8Array(5000),
    tailMark,
    checkpointMark,
    concat(text("x"), checkpointMark, tailMark, new Uint8Array(1)),
  ];
  for (const payload of payloads) {
    await withFile((path) => {
      {
        using aof = Aof.open(storage, path, { geometry: creating() });
        aof.write(payload);
      }
      using again = Aof.open(storage, path);
      assertEquals(dataOf(again), payload);
    });
  }
});

Deno.test("A file without a mark is corrupted and is left as it is", async () => {
  await withFile((path) => {
    const bytes = concat(text("data and garbage"), new Uint8Array(80));
    Deno.writeFileSync(path, bytes, { mode: 0o600 });
    const error = assertThrows(() => Aof.open(storage, path), ErrCorrupted);
    assertEquals([error.where, error.code, error.kind], [
      { path, offset: 16 },
      "ErrCorrupted",
      "corruption",
    ]);
    assertEquals(onDisk(path), bytes);
    // A failed open keeps no lock.
    assertThrows(() => Aof.open(storage, path), ErrCorrupted);
  }, { damaged: true });
});

Deno.test("Garbage behind a checkpoint leaves the data before it, and no write is accepted", async () => {
  for (const data of ["data", ""]) {
    await withFile((path) => {
      const bytes = concat(text(data), checkpointMark, text("junk"), new Uint8Array(100));
      Deno.writeFileSync(path, bytes, { mode: 0o600 });
      using aof = Aof.open(storage, path);
      assertEquals([textOf(dataOf(aof)), aof.state], [data, FileState.Eof]);
      assertEquals(aof.recovery.result()?.outcome, RecoveryKind.Checkpoint);
      assertThrows(() => aof.write(text("x")), ErrClosed);
      assertEquals(onDisk(path), bytes);
    }, { damaged: true });
  }
});

Deno.test("A file of an odd size is opened with its data and filled up to whole pages", async () => {
  for (let size = 4097; size <= 4103; size++) {
    await withFile((path) => {
      const bytes = new Uint8Array(size);
      bytes.set(concat(text("odd"), tailMark));
      Deno.writeFileSync(path, bytes, { mode: 0o600 });
      using aof = Aof.open(storage, path, { geometry: new Geometry({ sizeUpper: 12288 }) });
      assertEquals([textOf(dataOf(aof)), aof.fileSize], ["odd", 8192]);
      aof.write(new Uint8Array(8192 - 3 - 8).fill(1));
      assertEquals(aof.fileSize, 8192);
    });
  }
});

Deno.test("A file of two bytes without a mark is appended to behind them, and gets its mark", async () => {
  await withFile((path) => {
    Deno.writeFileSync(path, text("ab"), { mode: 0o600 });
    Aof.open(storage, path).close();
    assertEquals(onDisk(path, 10), concat(text("ab"), tailMark));
    using aof = Aof.open(storage, path);
    assertEquals(aof.size, 2);
  });
});

Deno.test("A finished file made writable again stays finished and as long as it is", async () => {
  await withFile((path) => {
    {
      using aof = Aof.open(storage, path, { geometry: creating() });
      aof.write(text("done"));
      aof.finish();
    }
    Deno.chmodSync(path, 0o644);
    using aof = Aof.open(storage, path, { geometry: createFile() });
    assertEquals([aof.state, aof.size, aof.isReadOnly], [FileState.Eof, 4, false]);
    assertEquals(aof.recovery.result()?.outcome, RecoveryKind.Checkpoint);
    assertThrows(() => aof.write(text("x")), ErrClosed);
    assertEquals(onDisk(path), concat(text("done"), checkpointMark));
  });
});

Deno.test("A file larger than the upper size is mapped as large as it is", async () => {
  await withFile((path) => {
    {
      using aof = Aof.open(storage, path, { geometry: creating(2 ** 20) });
      aof.write(new Uint8Array(600_000).fill(9));
    }
    using aof = Aof.open(storage, path, { geometry: new Geometry({ sizeUpper: 65536 }) });
    assertEquals(aof.size, 600_000);
    assertEquals(aof.bytes.length, aof.fileSize);
    assert(aof.bytes.length >= 600_008 && aof.bytes.length < 2 ** 20);
    // What the file already has may be used.
    aof.write(new Uint8Array(aof.fileSize - 600_008));
    assertEquals(aof.size, aof.fileSize - 8);
  });
});

Deno.test("The time of making a file is counted, and that of opening one is not among it", async () => {
  await withFile((path) => {
    const stats = new Stats();
    let nowMs = 0;
    const clock = { ...systemClock, nowMs: () => nowMs++ };
    Aof.open(storage, path, { geometry: creating(), stats, clock }).close();
    const made = stats.createsDur.load();
    assert(made > 0 && made <= stats.opensDur.load(), `${made} ms`);
    Aof.open(storage, path, { stats, clock }).close();
    assertEquals([stats.creates.load(), stats.createsDur.load()], [1, made]);
  });
});
