/**
 * The figures of a daemon over HTTP: `/metrics` in Prometheus text, `/healthz` (it lives) and `/readyz`
 * (it serves). Answers come from values that the daemon keeps anyway: a scrape touches no disk.
 */
import type { Metrics } from "../base/metrics.ts";

export interface MetricsServer extends AsyncDisposable {
  readonly hostname: string;
  readonly port: number;
}

/** Port 0 takes a free one. Throws `Deno.errors.AddrInUse` and its like. */
export function serveMetrics(
  metrics: Metrics,
  { hostname, port }: { readonly hostname: string; readonly port: number },
): MetricsServer {
  const server = Deno.serve({
    hostname,
    port,
    onListen: () => {},
    handler: (request) => answer(metrics, request),
  });
  return {
    hostname: server.addr.hostname,
    port: server.addr.port,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

function answer(metrics: Metrics, request: Request): Response {
  if (request.method !== "GET" && request.method !== "HEAD") {
    return new Response("only GET and HEAD\n", { status: 405, headers: { allow: "GET, HEAD" } });
  }
  switch (new URL(request.url).pathname) {
    case "/metrics":
      return new Response(metrics.render(), {
        headers: { "content-type": "text/plain; version=0.0.4; charset=utf-8" },
      });
    case "/healthz":
      return stateAnswer(metrics, metrics.state !== "failed");
    case "/readyz":
      return stateAnswer(metrics, metrics.state === "ready");
    default:
      return new Response("see /metrics, /healthz, /readyz\n", { status: 404 });
  }
}

function stateAnswer(metrics: Metrics, good: boolean): Response {
  return new Response(metrics.state + "\n", { status: good ? 200 : 503 });
}
