/**
 * A new file under the name of an old one, whose side file is still there, and followers that come at any
 * moment of its making. Also if the system gives the new file the number (inode) of the old one. No system
 * does that on request, so the tests write the number into the side file.
 */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { Aof, ErrShrink, FileState } from "../../src/aof/mod.ts";
import { sideFileLayout } from "../../src/aof/marks/layout.ts";
import { sideFilePath } from "../../src/aof/tail/side_file.ts";
import { BusyError } from "../../src/base/errors.ts";
import type { Storage } from "../../src/file/mod.ts";
import { overridden } from "../support/overridden.ts";
import { creating, dataOf, littleEndian, storage, text, textOf, withFile } from "./support.ts";

const geometry = creating();
const oldData = "the old file";

const olds = ["open", "finished", "finished and empty"] as const;

/** A file that was shared and removed: only its side file is left. */
function leaveSideFile(path: string, old: typeof olds[number]): void {
  using writer = Aof.open(storage, path, { geometry, shared: true });
  if (old !== "finished and empty") writer.write(text(oldData));
  if (old !== "open") writer.finish();
  Deno.removeSync(path);
}

/** Make the file that has the name now seem to have the number of the old one. */
function giveOldNumber(path: string): void {
  using side = storage.open(sideFilePath(path), { access: "write" });
  side.write(littleEndian(storage.status(path).inode), sideFileLayout.inode.offset);
}

/** What a follower that comes now finds, in a word. */
function follow(path: string): string {
  try {
    const follower = Aof.follow(storage, path);
    const found = `${textOf(dataOf(follower))} (${FileState[follower.state]})`;
    follower.close();
    return found;
  } catch (error) {
    return (error as Error).name;
  }
}

/** Runs `body` while `before` is called ahead of each call of an atomic function. */
function watching(name: "load" | "store", before: () => void, body: () => void): void {
  const original: unknown = Atomics[name];
  assert(original instanceof Function);
  let isInside = false;
  const watched = (...values: unknown[]) => {
    if (!isInside) {
      isInside = true;
      before();
      isInside = false;
    }
    return original(...values);
  };
  try {
    Object.assign(Atomics, { [name]: watched });
    body();
  } finally {
    Object.assign(Atomics, { [name]: original });
  }
}

// What happened: the state of the old file, finished, was there until after the new inode was stored. A
// follower that came between the two took the new file for finished, said so to its consumer, and never
// read it again.
Deno.test("A follower that comes while another file is published does not take the old one's end for its own", async () => {
  await withFile((path) => {
    const other = `${path}-other`;
    {
      using writer = Aof.open(storage, other, { geometry });
      writer.write(text("other"));
    }
    leaveSideFile(path, "finished");
    Deno.renameSync(other, path);
    const found: string[] = [];
    watching("store", () => found.push(follow(path)), () => {
      using writer = Aof.open(storage, path, { geometry });
      writer.write(text("!"));
    });
    assert(found.length > 5);
    const right = ["BusyError", " (Opened)", "other (Opened)"];
    assertEquals(found.filter((each) => !right.includes(each)), []);
    assertEquals(follow(path), "other! (Opened)");
  });
});

// What happened: the new file had the number of the old one, so a follower took the side file of the old
// one for its own. It saw as many bytes as the old one had, all zeros, or its end.
for (const old of olds) {
  Deno.test(`A new file with the number of one that was ${old} is never taken for the old one`, async () => {
    await withFile((path) => {
      leaveSideFile(path, old);
      const found: string[] = [];
      const watched = overridden<Storage>(storage, {
        open(name, options) {
          const file = storage.open(name, options);
          if (name === path) {
            giveOldNumber(path);
            found.push(follow(path));
          }
          return file;
        },
        reach() {
          found.push(follow(path));
        },
      });
      using writer = Aof.open(watched, path, { geometry });
      writer.write(text("new"));
      assert(found.length > 1);
      assertEquals([...new Set(found)], ["BusyError"]);
      assertEquals(follow(path), "new (Opened)");
    });
  });

  Deno.test(`A follower of an empty file with the number of one that was ${old} sees nothing of the old one`, async () => {
    for (const ends of [false, true]) {
      let isThrough = false;
      for (let load = 0; !isThrough; load++) {
        await withFile((path) => {
          leaveSideFile(path, old);
          // The process that made it was killed before it had any bytes.
          Deno.writeFileSync(path, new Uint8Array(), { mode: 0o600 });
          giveOldNumber(path);
          let countdown = load;
          const write = () => {
            if (countdown-- === 0) make();
          };
          const make = () => {
            using writer = Aof.open(storage, path, { geometry });
            writer.write(text("new"));
            if (ends) writer.finish();
          };
          let found = "";
          watching("load", write, () => found = follow(path));
          isThrough = countdown >= 0;
          if (isThrough) make();
          const right = [BusyError.name, ErrShrink.name, "new (Opened)"];
          if (ends) right.push("new (Eof)");
          else right.push(" (Opened)");
          assert(right.includes(found), `the writer came before load ${load}: ${found}`);
        });
      }
    }
  });
}

Deno.test("An empty file whose side file has a size above 0 is being made", async () => {
  await withFile((path) => {
    leaveSideFile(path, "open");
    Deno.writeFileSync(path, new Uint8Array());
    giveOldNumber(path);
    assertThrows(() => Aof.follow(storage, path), BusyError, "being made");
    Aof.open(storage, path, { geometry }).close();
    assertEquals(follow(path), " (Opened)");
  });
});
