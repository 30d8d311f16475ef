/** Notices to a missing or badly named socket. `tests/cli/daemon_test.ts` has the rest. */
import { assertEquals, assertThrows } from "@std/assert";
import { OsError } from "../../src/file/mod.ts";
import { notifyServiceManager } from "../../src/net/mod.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";

Deno.test("A notice that no process receives throws the errno of the system", async () => {
  if (Deno.build.os !== "linux") return;
  await withTemporaryDirectory((directory) => {
    const code = (path: string) =>
      assertThrows(() => notifyServiceManager(path, "READY=1"), OsError).code;
    assertEquals(code(`${directory}/missing`), "ENOENT");
    Deno.writeTextFileSync(`${directory}/file`, "");
    assertEquals(code(`${directory}/file`), "ECONNREFUSED");
    assertEquals(code(`@countd-test-${Deno.pid}`), "ECONNREFUSED");
    // This path fills the address up to its last byte; one byte more is refused below.
    assertEquals(code(`/${"x".repeat(106)}`), "ENOENT");
    for (const path of ["", "@", `/${"x".repeat(107)}`, `@${"x".repeat(108)}`, "/a\0b"]) {
      assertEquals(code(path), "EINVAL", JSON.stringify(path));
    }
    assertEquals(code(`@${"x".repeat(107)}`), "ECONNREFUSED");
  });
});
