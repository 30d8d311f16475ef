import { assertEquals } from "@std/assert";
import { returnBlocksFrom } from "../../ffi/mod.ts";

Deno.test("glibc accepts the size from which freed blocks go back to the system", () => {
  if (Deno.build.os !== "linux") return;
  assertEquals(returnBlocksFrom(2 ** 20), true);
});
