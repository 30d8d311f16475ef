/** Notices to a socket that is not there, or that has no proper name; the rest is tests/cli/daemon_test.ts. */
import { assertEquals, assertThrows } from "@std/assert";
import { OsError } from "../../src/file/mod.ts";
import { notifyServiceManager } from "../../src/net/mod.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";

Deno.test("A notice that nobody takes throws the errno of the system", async () => {
  if (Deno.build.os !== "linux") return;
  await withTemporaryDirectory((directory) => {
    const code = (path: string) =>
      assertThrows(() => notifyServiceManager(path, "READY=1"), OsError).code;
    assertEquals(code(`${directory}/nobody`), "ENOENT");
    Deno.writeTextFileSync(`${directory}/file`, "");
    assertEquals(code(`${directory}/file`), "ECONNREFUSED");
    assertEquals(code(`@countd-test-${Deno.pid}`), "ECONNREFUSED");
    // A path fills the address up to its last byte, and no further.
    assertEquals(code(`/${"x".repeat(106)}`), "ENOENT");
    for (const path of ["", "@", `/${"x".repeat(107)}`, `@${"x".repeat(108)}`, "/a\0b"]) {
      assertEquals(code(path), "EINVAL", JSON.stringify(path));
    }
    assertEquals(code(`@${"x".repeat(107)}`), "ECONNREFUSED");
  });
});
