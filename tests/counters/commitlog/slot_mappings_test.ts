import { assert, assertEquals, assertThrows } from "@std/assert";
import { AssertionError } from "../../../src/base/assert.ts";
import { HeldLog } from "../../../src/counters/commitlog/held_log.ts";
import { SlotMappings } from "../../../src/counters/commitlog/slot_mappings.ts";
import { OsError, systemStorage } from "../../../src/file/mod.ts";
import { poolOn, withDataDirectory } from "../../support/data_directory.ts";
import { withTemporaryDirectory } from "../../support/temporary.ts";

const length = 65_536;

Deno.test("A slot that is taken again has its previous mapping, unless it has another file", async () => {
  await withTemporaryDirectory((directory) => {
    const storage = systemStorage();
    const create = (name: string, byte: number) => {
      const file = storage.open(`${directory}/${name}`, { access: "write", create: "exclusive" });
      file.write(new Uint8Array(length).fill(byte), 0);
      return file;
    };
    using file = create("log", 1);
    using other = create("repaired", 2);
    const mappings = new SlotMappings();
    const first = mappings.take(3, file, length);
    assertEquals([first.mapping.bytes[0], mappings.keptBytes], [1, 0]);
    mappings.release(3, first);
    assertEquals(mappings.keptBytes, length);
    assert(mappings.take(3, file, length) === first);
    assertEquals(mappings.keptBytes, 0);
    mappings.release(3, first);
    const second = mappings.take(3, other, length);
    assertEquals(second.mapping.bytes[0], 2);
    assertThrows(() => first.mapping.bytes, OsError);
    mappings.release(3, second);
    mappings.close();
    assertThrows(() => second.mapping.bytes);
    assertEquals(mappings.keptBytes, 0);
    const late = mappings.take(3, other, length);
    mappings.release(3, late);
    assertThrows(() => late.mapping.bytes, OsError);
  });
});

Deno.test("A released log is not accessed, although its mapping is kept", async () => {
  await withDataDirectory(async ({ directory }) => {
    await poolOn(directory).prepare();
    const held = HeldLog.take(directory, 0)!;
    const { bytes } = held;
    held.release("free");
    assertThrows(() => held.bytes, AssertionError);
    assertEquals(bytes.length, directory.sizes.logSize);
    directory.close();
    assertEquals(bytes.length, 0, "with the directory the kept mappings go");
  });
});
