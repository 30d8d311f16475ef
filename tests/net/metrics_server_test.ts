/** The metrics over HTTP, as unusual clients ask for them. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { noEvents } from "../../src/base/events.ts";
import { Metrics } from "../../src/base/metrics.ts";
import { serveMetrics } from "../../src/net/mod.ts";

async function answerTo(port: number, request: string): Promise<string> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  await connection.write(new TextEncoder().encode(request));
  return await new Response(connection.readable).text();
}

// The path was once cut out of a URL that the runtime makes with the Host header. An invalid header gave
// 500, and a stack trace among the events of the daemon.
Deno.test("An invalid Host header is refused, and a path is taken as it was sent", async () => {
  const metrics = new Metrics();
  metrics.gauge("countd_build_info", "test").value = 1;
  await using server = serveMetrics(metrics, { hostname: "127.0.0.1", port: 0, events: noEvents });
  for (const host of ["a b", "%%", "a:99999", ""]) {
    const head = `Host: ${host}\r\nConnection: close\r\n\r\n`;
    const refused = await answerTo(server.port, `GET /metrics?x=1 HTTP/1.1\r\n${head}`);
    assertEquals(refused.slice(0, 12), "HTTP/1.1 400", host);
  }
  const head = "Host: 127.0.0.1\r\nConnection: close\r\n\r\n";
  const metricsAnswer = await answerTo(server.port, `GET /metrics?x=1 HTTP/1.1\r\n${head}`);
  assertStringIncludes(metricsAnswer, "200 OK");
  assertStringIncludes(metricsAnswer, "countd_build_info");
  for (const target of ["/nothing", "/./metrics", "//metrics", "/%6detrics"]) {
    const missing = await answerTo(server.port, `GET ${target} HTTP/1.1\r\n${head}`);
    assertEquals(missing.slice(0, 12), "HTTP/1.1 404", target);
  }
});
