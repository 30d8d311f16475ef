/** Names of keyspaces as file names, and their directory. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { CorruptError } from "../../../src/base/errors.ts";
import {
  check,
  checkKeyspaces,
  decodeKeyspaceName,
  encodeKeyspaceName,
  keyspacePath,
  KeyspaceWriter,
  listKeyspaces,
  sweepKeyspaces,
} from "../../../src/counters/keyspace/mod.ts";
import { Random, seedForTest } from "../../support/random.ts";
import { withTemporaryDirectory } from "../../support/temporary.ts";
import { KeyspaceFixture, nameBytes } from "./keyspace_fixture.ts";

Deno.test("Ordinary names stay readable, and dangerous ones are encoded", () => {
  const expected: Record<string, string> = {
    "paths": "paths",
    "status-codes_2024.v1": "status-codes_2024.v1",
    "Paths": "%50aths",
    "a/b": "a%2fb",
    "../x": "%2e.%2fx",
    "..": "%2e.",
    ".new-paths": "%2enew-paths",
    "0000000001": "0000000001",
    "=1": "%3d1",
    "100%": "100%25",
    "ü": "%c3%bc",
  };
  for (const [name, fileName] of Object.entries(expected)) {
    assertEquals(encodeKeyspaceName(nameBytes(name)), fileName);
    assertEquals(decodeKeyspaceName(fileName), nameBytes(name));
  }
});

Deno.test("Different names have different file names, even if upper and lower case are the same", () => {
  const random = new Random(seedForTest("Different names"));
  const seen = new Map<string, string>();
  for (let round = 0; round < 20_000; round++) {
    const length = random.between(1, random.pick([2, 3, 256]));
    const alphabet = random.pick(["aA", "a/.%=", "0aA.", ""]);
    const name = alphabet === ""
      ? random.bytes(length).map((byte) => byte || 1)
      : Uint8Array.from({ length }, () => alphabet.charCodeAt(random.below(alphabet.length)));
    const fileName = encodeKeyspaceName(name);
    assert(/^[a-z0-9_=%-][a-z0-9_.%-]*$/.test(fileName), fileName);
    assert(fileName.length <= 200, "and within what file systems take");
    const decoded = decodeKeyspaceName(fileName);
    if (decoded !== "hashed") assertEquals(decoded, name);
    const before = seen.get(fileName);
    assert(before === undefined || before === String(name), `${fileName} encodes two names`);
    seen.set(fileName, String(name));
  }
});

Deno.test("A second spelling of a name, or anything else, is not a keyspace", () => {
  for (const fileName of ["%61", "%2E", "A", ".", "..", "a b", "", "%", "%g0", "=abc", ".new-a"]) {
    assertEquals(decodeKeyspaceName(fileName), null, fileName);
  }
});

Deno.test("No keyspace has the temporary name of another, and the sweep of those takes none", async () => {
  await withTemporaryDirectory((directory) => {
    const fixture = new KeyspaceFixture(directory);
    const names = ["new-a", ".new-a", "a", "new-new-a"];
    for (const name of names) fixture.fold([name, "k", 1n]);
    assertEquals(sweepKeyspaces(fixture.storage, directory), []);
    for (const name of names) assertEquals(fixture.rows(name), ["k 1"], name);
    fixture.assertSound();
  });
});

Deno.test("The list has every keyspace by its full name, in byte order, and nothing else", async () => {
  await withTemporaryDirectory((directory) => {
    const fixture = new KeyspaceFixture(directory);
    const { storage } = fixture;
    assertEquals(listKeyspaces(storage, `${directory}/missing`), []);
    assertEquals(checkKeyspaces(storage, `${directory}/missing`), []);
    const names = ["b", "a", "B", "a/b", "x".repeat(256), "Ü".repeat(100), "lock-0000000001"];
    fixture.fold(...names.map((name) => [name, "k", 1n] as const));
    fixture.assertSound();
    Deno.writeTextFileSync(`${directory}/README`, "not a keyspace");
    Deno.writeTextFileSync(`${directory}/.new-half`, "left by a crash");
    const listed = listKeyspaces(storage, directory).map(({ name }) => name);
    const sorted = names.map(nameBytes).sort((a, b) =>
      Array.from(a, (byte) => byte.toString(16).padStart(2, "0")).join() <
          Array.from(b, (byte) => byte.toString(16).padStart(2, "0")).join()
        ? -1
        : 1
    );
    assertEquals(listed, sorted);
    assertEquals(sweepKeyspaces(storage, directory), [`${directory}/.new-half`]);
    assertEquals(sweepKeyspaces(storage, directory), []);
    assertEquals(checkKeyspaces(storage, directory).map(({ invariant }) => invariant), [1, 13]);
  });
});

Deno.test("A file under the name of another keyspace is refused and reported as rule 12", async () => {
  await withTemporaryDirectory((directory) => {
    const fixture = new KeyspaceFixture(directory);
    const { storage } = fixture;
    const long = "x".repeat(256);
    fixture.fold(["a", "k", 1n], [long, "k", 1n]);
    fixture.assertSound();
    for (const [from, to] of [["a", "b"], [long, "y".repeat(256)]] as const) {
      Deno.copyFileSync(
        keyspacePath(directory, nameBytes(from)),
        keyspacePath(directory, nameBytes(to)),
      );
      assertThrows(
        () => KeyspaceWriter.open(storage, directory, nameBytes(to)).close(),
        CorruptError,
      );
      const violations = check(storage, keyspacePath(directory, nameBytes(to)));
      assertEquals(violations.map(({ invariant }) => invariant), [12]);
    }
  });
});

Deno.test("A long name that cannot be read is left out of the list, and reported", async () => {
  await withTemporaryDirectory((directory) => {
    const fixture = new KeyspaceFixture(directory);
    const long = "x".repeat(256);
    fixture.fold(["a", "k", 1n], [long, "k", 1n]);
    fixture.assertSound();
    const path = keyspacePath(directory, nameBytes(long));
    Deno.writeFileSync(path, new Uint8Array(20_000));
    const damaged: unknown[] = [];
    const listed = listKeyspaces(fixture.storage, directory, (error) => {
      damaged.push(error instanceof CorruptError ? error.where.path : error);
    });
    assertEquals(listed.map(({ name }) => name), [nameBytes("a")]);
    assertEquals(damaged, [path]);
  });
});
