/** The kernel asks the peers of every port whether they live. */

import { assertEquals } from "@std/assert";
import { startCountd } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { waitUntil } from "../support/wait.ts";

/** The timer of the connection from a port to another, as the kernel shows it: 2 is that of keepalive. */
function timerOf(from: number, to: number): string | null {
  const hex = (port: number) => ":" + port.toString(16).toUpperCase().padStart(4, "0");
  for (const line of Deno.readTextFileSync("/proc/net/tcp").split("\n")) {
    const [, local = "", remote = "", , , timer = ""] = line.trim().split(/\s+/);
    if (local.endsWith(hex(from)) && remote.endsWith(hex(to))) return timer;
  }
  return null;
}

Deno.test("Every port asks idle peers after a minute whether they live", async () => {
  if (Deno.build.os !== "linux") return console.log("left to Linux: /proc/net/tcp");
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    const any = ["--write-port", "0", "--read-port", "0", "--metrics-port", "0"];
    await using serve = startCountd(["serve", "--data", data, ...any]);
    await using db = startCountd(["db", "--data", data, "--port", "0"]);
    const metrics = Number((await serve.stderrLine(/metrics on \S+:(\d+)/))[1]);
    for (
      const port of [
        (await serve.listening("write")).port,
        (await serve.listening("read")).port,
        metrics,
        (await db.listening()).port,
      ]
    ) {
      using connection = await Deno.connect({ hostname: "127.0.0.1", port });
      const own = (connection.localAddr as Deno.NetAddr).port;
      const timer = await waitUntil("the timer", () => timerOf(port, own));
      const [kind, dueHundredths] = (timer ?? "").split(":");
      assertEquals(kind, "02", `port ${port}: ${timer}`);
      const seconds = parseInt(dueHundredths!, 16) / 100;
      assertEquals(seconds > 50 && seconds <= 61, true, `${seconds} s`);
    }
    assertEquals([await db.stop(), await serve.stop()], [0, 0]);
  });
});
