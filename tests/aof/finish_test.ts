/** Finishing, and a kill between its steps. */

import { assertEquals, assertThrows } from "@std/assert";
import { Aof, ErrClosed, FileState, MAGIC_CHECKPOINT, RecoveryKind } from "../../src/aof/mod.ts";
import { Faults, faultyStorage } from "../support/faulty_storage.ts";
import {
  assertChecks,
  concat,
  creating,
  dataOf,
  littleEndian,
  onDisk,
  Recorder,
  storage,
  text,
  textOf,
  turns,
  withFile,
} from "./support.ts";

const checkpointMark = littleEndian(MAGIC_CHECKPOINT);

Deno.test("Finish puts the checkpoint mark, truncates the file behind it, and wakes tailers", async () => {
  await withFile(async (path) => {
    using aof = Aof.open(storage, path, { geometry: creating() });
    const data = new Uint8Array(4090).fill(3);
    aof.write(data);
    const recorder = new Recorder();
    aof.subscribe(recorder);
    await turns();
    aof.finish();
    assertEquals(aof.state, FileState.Eof);
    assertEquals(onDisk(path), concat(data, checkpointMark));
    assertEquals(storage.status(path).mode, 0o444);
    await turns();
    assertEquals(recorder.seen.at(-1)?.eof, true);
  });
});

Deno.test("A finished file gets the read mode it was opened with", async () => {
  await withFile((path) => {
    using aof = Aof.open(storage, path, {
      geometry: creating(),
      writeMode: 0o640,
      readMode: 0o440,
    });
    assertEquals(storage.status(path).mode, 0o640);
    aof.finish();
    assertEquals(storage.status(path).mode, 0o440);
  });
});

Deno.test("A finished file takes no write and is not finished twice", async () => {
  await withFile((path) => {
    using aof = Aof.open(storage, path, { geometry: creating() });
    aof.write(text("done"));
    aof.finish();
    for (
      const call of [
        () => aof.finish(),
        () => aof.write(text("x")),
        () => aof.writeNonBlocking(text("x")),
        () => aof.append(1, () => 1),
        () => aof.extend(8192),
      ]
    ) {
      assertThrows(call, ErrClosed, "finished");
    }
    assertEquals(textOf(dataOf(aof)), "done");
  });
});

Deno.test("A fresh file is finished as its mark alone", async () => {
  await withFile((path) => {
    using aof = Aof.open(storage, path, { geometry: creating() });
    aof.finish();
    assertEquals(onDisk(path), checkpointMark);
  });
});

Deno.test("A finish that is cut off between its steps leaves a finished file or an open one", async () => {
  for (const point of ["mark.before", "mark.after", "cut.after", "chmod.after"]) {
    await withFile((path) => {
      const stopping = {
        ...faultyStorage(storage, new Faults()),
        reach: (reached: string) => {
          if (reached === `aof.finish.${point}`) throw new Error("killed");
        },
      };
      {
        using aof = Aof.open(stopping, path, { geometry: creating() });
        aof.write(text("data"));
        assertThrows(() => aof.finish(), Error, "killed");
      }
      assertChecks(path);
      using aof = Aof.open(storage, path);
      const isFinished = point !== "mark.before";
      assertEquals(textOf(dataOf(aof)), "data");
      assertEquals(aof.state, isFinished ? FileState.Eof : FileState.Opened);
      assertEquals(
        aof.recovery.result()?.outcome,
        isFinished ? RecoveryKind.Checkpoint : RecoveryKind.Tail,
      );
    });
  }
});
