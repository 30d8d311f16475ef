/** What a newcomer meets first: a port that another program has. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { checkData } from "../support/check_data.ts";
import { runCountd } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";

/** A port of this machine that a program has. */
function takenPort(): Deno.TcpListener {
  return Deno.listen({ hostname: "127.0.0.1", port: 0 });
}

function portOf(listener: Deno.TcpListener): string {
  return String((listener.addr as Deno.NetAddr).port);
}

Deno.test("The advice for a port that is in use names the option that the verb has", async () => {
  using listener = takenPort();
  const port = portOf(listener);
  for (
    const [verb, option, ...others] of [
      ["serve", "--write-port", "--read-port", "0"],
      ["serve", "--read-port", "--write-port", "0"],
      ["serve", "--metrics-port", "--write-port", "0", "--read-port", "0"],
      ["write", "--port"],
      ["read", "--port"],
      ["db", "--port"],
    ] as [string, string, ...string[]][]
  ) {
    await withTemporaryDirectory(async (directory) => {
      const data = `${directory}/data`;
      const make = ["shell", "-c", "incr pages /", "--data", data];
      assertEquals((await runCountd(make)).code, 0);
      const args = [verb, "--data", data, option, port, ...others];
      const { code, stderr } = await runCountd(args);
      assertEquals(code, 1, stderr);
      assertStringIncludes(stderr, `is in use: name another one with ${option},`);
      checkData(data);
    });
  }
});
