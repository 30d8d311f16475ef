/** The kept list of keyspaces, against a look at the directory. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { CorruptError } from "../../../src/base/errors.ts";
import { inOneTurn } from "../../../src/base/steps.ts";
import { systemStorage } from "../../../src/file/mod.ts";
import {
  Batch,
  encodeKeyspaceName,
  KeyspaceListing,
  keyspacePath,
  KeyspaceWriter,
} from "../../../src/counters/keyspace/mod.ts";
import { overridden } from "../../support/overridden.ts";
import { Random, seedForTest } from "../../support/random.ts";
import { withTemporaryDirectory } from "../../support/temporary.ts";
import { nameBytes } from "./keyspace_fixture.ts";

/** A storage that counts its walks through directories, and a clock that a test sets. */
function listingIn(directory: string) {
  const inner = systemStorage();
  const looks = { walks: 0, aheadMs: 0 };
  const storage = overridden(inner, {
    walkDirectory(path) {
      looks.walks++;
      return inner.walkDirectory(path);
    },
  });
  const wallMs = () => Date.now() + looks.aheadMs;
  const clock = { nowMs: () => 0, wallMs, sleep: () => Promise.resolve() };
  return { looks, listing: new KeyspaceListing(storage, directory, clock) };
}

function makeFile(directory: string, name: string): void {
  using writer = KeyspaceWriter.open(systemStorage(), directory, nameBytes(name));
  writer.apply(Batch.of([["a", 1n]]), new Map());
  writer.publish();
}

Deno.test("A kept list always has the names that are there, also those of the same instant", () =>
  withTemporaryDirectory((directory) => {
    const { looks, listing } = listingIn(directory);
    const random = new Random(seedForTest("kept list"));
    const there = new Set<string>();
    Deno.writeTextFileSync(`${directory}/.new-unfinished`, "");
    for (let round = 0; round < 300; round++) {
      const name = String(random.below(40)).repeat(random.chance(0.1) ? 120 : 1);
      if (there.delete(name)) Deno.removeSync(keyspacePath(directory, nameBytes(name)));
      else {
        there.add(name);
        makeFile(directory, name);
      }
      if (random.chance(0.3)) continue;
      assertEquals(inOneTurn(listing.refreshed()), [...there].sort());
    }
    assert(looks.walks > 150);
  }));

Deno.test("A directory that has not changed is not read again, and a change of it is noticed", () =>
  withTemporaryDirectory((directory) => {
    const { looks, listing } = listingIn(`${directory}/keyspaces`);
    assertEquals(inOneTurn(listing.refreshed()), [], "it may be missing");
    Deno.mkdirSync(`${directory}/keyspaces`);
    makeFile(`${directory}/keyspaces`, "one");
    looks.aheadMs = 10_000;
    for (let look = 0; look < 5; look++) assertEquals(inOneTurn(listing.refreshed()), ["one"]);
    assertEquals(looks.walks, 1);
    makeFile(`${directory}/keyspaces`, "Two");
    for (let look = 0; look < 5; look++) {
      assertEquals(inOneTurn(listing.refreshed()), ["Two", "one"]);
    }
    assertEquals(looks.walks, 2);
    Deno.renameSync(`${directory}/keyspaces`, `${directory}/away`);
    Deno.mkdirSync(`${directory}/keyspaces`);
    assertEquals(inOneTurn(listing.refreshed()), []);
  }));

Deno.test("A long list is made in small steps", () =>
  withTemporaryDirectory((directory) => {
    for (let number = 0; number < 5000; number++) {
      Deno.createSync(`${directory}/${encodeKeyspaceName(nameBytes(`k${number}`))}`).close();
    }
    const { listing } = listingIn(directory);
    const steps = listing.refreshed();
    let count = 0;
    while (!steps.next(false).done) count++;
    assert(count >= 5000 / 256, `${count} steps`);
  }));

Deno.test("A file that hides its name is an error until it is mended, and its name is kept then", () =>
  withTemporaryDirectory((directory) => {
    const { listing } = listingIn(directory);
    const long = "L".repeat(256);
    makeFile(directory, long);
    makeFile(directory, "short");
    const path = keyspacePath(directory, nameBytes(long));
    const whole = Deno.readFileSync(path);
    Deno.writeFileSync(path, new Uint8Array(whole.length));
    for (let look = 0; look < 2; look++) {
      assertThrows(() => inOneTurn(listing.refreshed()), CorruptError);
    }
    Deno.writeFileSync(path, whole);
    assertEquals(inOneTurn(listing.refreshed()), [long, "short"]);
  }));
