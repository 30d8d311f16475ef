/** Files that are in use while they are locked: when one may be taken, and when it is made again. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { BusyError } from "../../src/base/errors.ts";
import { undoOnError } from "../../src/base/undo_on_error.ts";
import { holdAbandoned, holdOrNull, makeHeld, systemStorage } from "../../src/file/mod.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";

const storage = systemStorage();

Deno.test("A file is held by its maker alone, and taken by another one when that has ended", async () => {
  await withTemporaryDirectory((directory) => {
    const path = `${directory}/file`;
    const made = holdOrNull(storage, storage.open(path, { access: "write", create: "exclusive" }));
    assert(made !== null);
    assertEquals(holdAbandoned(storage, path), null, "its maker runs");
    assertEquals(holdOrNull(storage, storage.open(path, { access: "write" })), null);
    made.close();
    using taken = holdAbandoned(storage, path);
    assert(taken !== null, "its maker has ended");
    assertEquals(holdAbandoned(storage, `${directory}/missing`), null);
    assertEquals(holdAbandoned(storage, directory), null, "a directory is not a file");
  });
});

Deno.test("A lock on a file that has lost its name counts for nothing", async () => {
  await withTemporaryDirectory((directory) => {
    const path = `${directory}/file`;
    const file = storage.open(path, { access: "write", create: "exclusive" });
    storage.unlink(path);
    storage.open(path, { access: "write", create: "exclusive" }).close();
    assertEquals(holdOrNull(storage, file), null);
    assertThrows(() => file.status(), Error, "EBADF");
    using other = holdAbandoned(storage, path);
    assert(other !== null, "the file that has the name now is free");
  });
});

Deno.test("What another process removes is made again, but not for ever", () => {
  let made = 0;
  assertEquals(makeHeld("a file", () => ++made < 3 ? null : made), 3);
  assertThrows(
    () => makeHeld("a file in /data", () => null),
    BusyError,
    "Cannot keep a file in /data: another process removes it; try again",
  );
});

Deno.test("A step that fails is undone once, and one that succeeds is not", () => {
  let undone = 0;
  assertEquals(undoOnError(() => undone++, () => 1), 1);
  assertEquals(undone, 0);
  assertThrows(
    () =>
      undoOnError(() => undone++, () => {
        throw new BusyError("The disk is full");
      }),
    BusyError,
    "The disk is full",
  );
  assertEquals(undone, 1);
});
