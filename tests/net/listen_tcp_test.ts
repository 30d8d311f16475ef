/** All servers report in the same words why they cannot listen, whichever call of the runtime failed. */
import { assertEquals, assertThrows } from "@std/assert";
import { FailedError } from "../../src/base/errors.ts";
import { noEvents } from "../../src/base/events.ts";
import { listenError, listenTcp } from "../../src/net/listen_tcp.ts";
import { Metrics } from "../../src/base/metrics.ts";
import { serveMetrics } from "../../src/net/mod.ts";

const waysToListen = {
  "--port": listenTcp,
  "--metrics-port": (address: { hostname: string; port: number }) =>
    serveMetrics(new Metrics(), { ...address, events: noEvents }),
} as const;

Deno.test("A port in use is reported with its address and with the option that names another", () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = taken.addr;
  for (const [option, listen] of Object.entries(waysToListen)) {
    const { message } = assertThrows(() => listen({ hostname: "127.0.0.1", port }), FailedError);
    const start = `Port ${port} of 127.0.0.1 is in use: name another one with ${option}, or`;
    assertEquals(message.slice(0, start.length), start);
  }
});

// A misspelt --listen made the metrics server of a daemon report "a bug in countd", with a stack trace.
Deno.test("An address that cannot be used is reported with host and port", () => {
  for (const listen of Object.values(waysToListen)) {
    // The second address is reserved for documentation: no machine has it.
    for (const hostname of ["nosuch.invalid", "192.0.2.1"]) {
      const { message } = assertThrows(() => listen({ hostname, port: 0 }), FailedError);
      const start = `Cannot listen on ${hostname} port 0: `;
      assertEquals(message.slice(0, start.length), start);
      // The message has words, and not the name of the runtime's class.
      assertEquals(/Error|AddrNotAvailable/.test(message), false, message);
    }
  }
});

// With every descriptor taken a daemon ended with 1, "failed". A service manager that restarts only after
// 75, "busy", left it down.
Deno.test("Too many open files are reported as a temporary condition", () => {
  const address = { hostname: "127.0.0.1", port: 0 };
  for (
    const [code, text, advice] of [
      ["EMFILE", "Too many open files (os error 24)", "(ulimit -n, LimitNOFILE=)"],
      ["ENFILE", "Too many open files in system (os error 23)", "of the system (fs.file-max)"],
    ] as const
  ) {
    const error = listenError(Object.assign(new Error(text), { code }), address);
    assertEquals(error.kind, "try-again");
    assertEquals(
      error.message,
      `Cannot listen on 127.0.0.1 port 0: ${text}: raise the limit ${advice}`,
    );
  }
});
