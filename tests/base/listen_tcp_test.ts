/** Whoever listens says in the same words why it cannot, whichever call of the runtime told it. */
import { assertEquals, assertThrows } from "@std/assert";
import { FailedError } from "../../src/base/errors.ts";
import { listenTcp } from "../../src/base/listen_tcp.ts";
import { Metrics } from "../../src/base/metrics.ts";
import { serveMetrics } from "../../src/care/mod.ts";

const waysToListen = {
  "--port": listenTcp,
  "--metrics-port": (address: { hostname: string; port: number }) =>
    serveMetrics(new Metrics(), address),
} as const;

Deno.test("A port in use is told with its address and with the option that names another", () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = taken.addr;
  for (const [option, listen] of Object.entries(waysToListen)) {
    const { message } = assertThrows(() => listen({ hostname: "127.0.0.1", port }), FailedError);
    const start = `Port ${port} of 127.0.0.1 is in use: name another one with ${option}, or`;
    assertEquals(message.slice(0, start.length), start);
  }
});

// A misspelt --listen was "a bug in countd" of the daemons' figures, with a stack.
Deno.test("An address that cannot be had is told with host and port", () => {
  for (const listen of Object.values(waysToListen)) {
    // The second one is kept for documents: no machine has it.
    for (const hostname of ["nosuch.invalid", "192.0.2.1"]) {
      const { message } = assertThrows(() => listen({ hostname, port: 0 }), FailedError);
      const start = `Cannot listen on ${hostname} port 0: `;
      assertEquals(message.slice(0, start.length), start);
    }
  }
});
