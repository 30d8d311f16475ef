/** First mistakes of a new user: the server is not running yet, or another program uses its port. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { checkData } from "../support/check_data.ts";
import { runCountd, startCountd } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";

/** Listens on a port of this machine. */
function takenPort(): Deno.TcpListener {
  return Deno.listen({ hostname: "127.0.0.1", port: 0 });
}

function portOf(listener: Deno.TcpListener): string {
  return String((listener.addr as Deno.NetAddr).port);
}

Deno.test("A client that waits finds a server that is started later", async () => {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    let port: string;
    {
      using listener = takenPort();
      port = portOf(listener);
    }
    const connect = ["--connect", `127.0.0.1:${port}`];
    const refused = await runCountd(["incr", "pages", "/", ...connect]);
    assertEquals(refused.code, 4);
    await using client = startCountd(["incr", "pages", "/", ...connect, "--wait", "60s"]);
    await using server = startCountd(["write", "--data", data, "--port", port]);
    const { code, stderr } = await client.ended();
    assertEquals([code, stderr], [0, ""]);
    assertEquals((await runCountd(["get", "pages", "/", "--data", data])).text, "1\n");
    assertEquals(await server.stop(), 0);
    checkData(data);
  });
});

Deno.test("The advice about a port in use names the option of the verb", async () => {
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
