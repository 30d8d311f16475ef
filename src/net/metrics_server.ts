/**
 * Serves the metrics of a daemon over HTTP: `/metrics` in Prometheus text, `/healthz` (it lives) and
 * `/readyz` (it can do all of its work; else the reasons, one a line). Answers come from values in memory: a
 * scrape touches no disk. A request that names an unknown host or comes from a foreign page is refused
 * (`web_origin.ts`).
 */
import { systemClock } from "../base/clock.ts";
import type { Events } from "../base/events.ts";
import type { ListenAddress } from "./listen_tcp.ts";
import type { Metrics, MetricsSnapshot } from "../base/metrics.ts";
import type { Readiness } from "../base/readiness.ts";
import { prometheusText } from "./prometheus_text.ts";
import type { LoopTurn } from "./loop_turn.ts";
import { RefusedRequestError, targetOf } from "./web_origin.ts";
import { serveHttp } from "./serve_http.ts";

/** More than the programs that look at one daemon need. */
const CONNECTIONS_MAX = 64;

export interface MetricsServer extends AsyncDisposable {
  readonly hostname: string;
  readonly port: number;
}

/** The port (0 takes a free one), and what is shown there. */
export interface MetricsServerOptions extends ListenAddress {
  readonly events: Events;
  /** As in `HttpOptions`. */
  readonly turn?: LoopTurn;
  /** Metrics of other processes of the same daemon, from memory; they are merged into the answer. */
  readonly others?: () => readonly MetricsSnapshot[];
}

/** Serves until it is disposed. Throws as `listenTcp` if the port is taken or cannot be used. */
export function serveMetrics(
  metrics: Metrics,
  { hostname, port, events, turn, others = () => [] }: MetricsServerOptions,
): MetricsServer {
  const server = serveHttp({
    hostname,
    port,
    portOption: "--metrics-port",
    maxConnections: CONNECTIONS_MAX,
    metrics,
    turn,
    clock: systemClock,
    events,
    handler(request) {
      try {
        const { path } = targetOf(request, hostname);
        if (request.method !== "GET" && request.method !== "HEAD") {
          const headers = { allow: "GET, HEAD" };
          return new Response("only GET and HEAD\n", { status: 405, headers });
        }
        return answer(path, metrics, others);
      } catch (error) {
        if (!(error instanceof RefusedRequestError)) throw error;
        return new Response(error.message + "\n", { status: error.status });
      }
    },
  });
  return {
    hostname: server.address.hostname,
    port: server.address.port,
    [Symbol.asyncDispose]: () => server.stop(),
  };
}

function answer(
  path: string,
  metrics: Metrics,
  others: () => readonly MetricsSnapshot[],
): Response {
  switch (path) {
    case "/metrics":
      return new Response(prometheusText([metrics.snapshot(), ...others()]), {
        headers: { "content-type": "text/plain; version=0.0.4; charset=utf-8" },
      });
    case "/healthz":
      return textAnswer([metrics.readiness.state], metrics.readiness.state !== "failed");
    case "/readyz":
      return readyAnswer(metrics.readiness);
    default:
      return new Response("see /metrics, /healthz, /readyz\n", { status: 404 });
  }
}

function readyAnswer(readiness: Readiness): Response {
  const { state, isReady } = readiness;
  const word = isReady || state !== "ready" ? state : "not ready";
  return textAnswer([word, ...readiness.reasons()], isReady);
}

function textAnswer(lines: readonly string[], isGood: boolean): Response {
  return new Response(lines.map((line) => line + "\n").join(""), { status: isGood ? 200 : 503 });
}
