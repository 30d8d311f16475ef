import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { OsError } from "../../src/file/mod.ts";
import { Faults, faultyStorage } from "./faulty_storage.ts";
import { SimulatedDisk } from "./simulated_disk.ts";

Deno.test("Faulty storage fails the ordered call once, and the call has no effect", () => {
  const faults = new Faults();
  const storage = faultyStorage(new SimulatedDisk().process("test"), faults);
  using file = storage.open("/file", { access: "write", create: "missing" });
  faults.failAt("write", 2, "EIO");
  file.write(new Uint8Array([1]), 0);
  assertThrows(() => file.write(new Uint8Array([2]), 0), OsError, "EIO");
  const seen = new Uint8Array(1);
  file.read(seen, 0);
  assertEquals(seen[0], 1);
  file.write(new Uint8Array([3]), 0);
  assertEquals(faults.count("write"), 3);
  assertEquals(faults.failed, 1);
});

Deno.test("Faulty storage fails every sync from one on, of files, mappings and directories", async () => {
  const faults = new Faults();
  const storage = faultyStorage(new SimulatedDisk().process("test"), faults);
  using file = storage.open("/file", { access: "write", create: "missing" });
  file.write(new Uint8Array(4096), 0);
  using mapping = file.map(4096, "write");
  faults.failFrom("sync", 2, "EIO");
  file.sync();
  assertThrows(() => file.syncData(), OsError, "EIO");
  assertThrows(() => mapping.flush(0, 4096), OsError, "EIO");
  assertThrows(() => storage.syncDirectory("/"), OsError, "EIO");
  await assertRejects(() => file.syncDataAsync(), OsError, "EIO");
  using fileSystem = storage.openFileSystem("/");
  assertThrows(() => fileSystem.sync(), OsError, "EIO");
  faults.heal();
  fileSystem.sync();
  assertEquals(faults.failed, 5);
});
