/** An HTTP server that keeps running when a connection cannot be accepted, has bounds, and always stops. */

import type { Clock } from "../base/clock.ts";
import type { Events } from "../base/events.ts";
import { RareEvents } from "../base/rare_events.ts";
import { endsWithin } from "../base/waiting.ts";
import { Metrics } from "../base/metrics.ts";
import { HttpPeers } from "./http_peers.ts";
import { SWEEP_MS } from "./idle_peers.ts";
import { askSilentPeers, type ListenAddress, listenError } from "./listen_tcp.ts";
import { LoopTurn } from "./loop_turn.ts";
import { TcpMetrics } from "./tcp_metrics.ts";

const REOPEN_PAUSE_MS = 100;
/** A stop gives requests that have begun this long to end. */
const STOP_MS = 5000;
/** After that, and after `onLate`, they get this long. */
const LAST_STOP_MS = 1000;

/** The port (0 takes a free one), and what happens there. */
export interface HttpOptions extends ListenAddress {
  readonly clock: Clock;
  readonly events: Events;
  /** Connections at one time; more are closed within a second. */
  readonly maxConnections: number;
  /** Gets the numbers of connections that were closed. Default: they are not kept. */
  readonly metrics?: Metrics | undefined;
  /** The turn of the event loop that it shares with other servers of its process. Default: one of its own. */
  readonly turn?: LoopTurn | undefined;
  readonly handler: (request: Request) => Response | Promise<Response>;
  /** Called when a stop has waited long: what is still to be read of requests should be refused. */
  readonly onLate?: () => void;
}

export interface HttpServer {
  readonly address: Deno.NetAddr;
  /**
   * Accepts nothing new, and resolves when all requests that have begun are answered: after six seconds in
   * any case, even if a client does not read its answer.
   */
  stop(): Promise<void>;
}

/**
 * Serves as `Deno.serve` does, and throws as `listenTcp` if the port is taken or cannot be used. But
 * `Deno.serve` ends at the first accept that fails, and too many open files thus ended the process. Here the
 * port is opened again.
 */
export function serveHttp(options: HttpOptions): HttpServer {
  const { hostname, clock, events, handler, onLate = () => {} } = options;
  const rareEvents = new RareEvents(events, clock);
  const { metrics = new Metrics(), maxConnections } = options;
  const ownTurn = options.turn === undefined ? new LoopTurn({ clock, metrics }) : null;
  const peers = new HttpPeers({
    clock,
    events: rareEvents,
    metrics: new TcpMetrics(metrics),
    turn: options.turn ?? ownTurn!,
  }, maxConnections);
  let isStopping = false;
  /** Requests of all servers: a server that is opened again does not know those of the one before. */
  let underWay = 0;
  let onLastEnd = () => {};
  let server: Deno.HttpServer<Deno.NetAddr>;
  try {
    server = listen(options.port);
  } catch (cause) {
    throw listenError(cause, options);
  }
  const address = server.addr;
  let reopening: Promise<void> | null = null;
  watch();
  const sweep = setInterval(() => {
    peers.sweep(address.port);
    rareEvents.tellOmitted();
  }, SWEEP_MS);

  return {
    address,
    async stop() {
      isStopping = true;
      await reopening;
      // The server has already ended if the port could not be opened again.
      const stopped = Promise.all([server.shutdown().catch(() => {}), lastEnd()]);
      if (!await endsWithin(stopped, clock, STOP_MS)) {
        onLate();
        await endsWithin(stopped, clock, LAST_STOP_MS);
      }
      clearInterval(sweep);
      rareEvents.tellOmitted({ isEnd: true });
      ownTurn?.[Symbol.dispose]();
    },
  };

  function listen(port: number): Deno.HttpServer<Deno.NetAddr> {
    // The defaults of the runtime would print a line, or a stack, among the events of the daemon.
    const opened = Deno.serve({ hostname, port, onListen: () => {}, onError, handler: counted });
    askSilentPeers(opened.addr);
    return opened;
  }

  async function counted(
    request: Request,
    { completed, remoteAddr }: Deno.ServeHandlerInfo<Deno.NetAddr>,
  ): Promise<Response> {
    const slice = peers.request(remoteAddr, completed);
    underWay++;
    completed.catch(() => {}).finally(() => {
      if (--underWay === 0) onLastEnd();
    });
    await slice.received(0);
    slice.begin();
    let response: Response | Promise<Response>;
    try {
      response = handler(request);
    } finally {
      slice.end();
    }
    return await response;
  }

  async function lastEnd(): Promise<void> {
    while (underWay > 0) await new Promise<void>((resolve) => onLastEnd = resolve);
  }

  function onError(error: unknown): Response {
    rareEvents.report("error", "request failed", { reason: String(error) });
    return new Response("Internal error\n", { status: 500 });
  }

  function watch(): void {
    server.finished.catch((error) => {
      rareEvents.report("warn", "connection not accepted", { reason: String(error) });
      reopening = reopen();
    });
  }

  async function reopen(): Promise<void> {
    while (true) {
      await clock.sleep(REOPEN_PAUSE_MS);
      if (isStopping) return;
      try {
        server = listen(address.port);
        return watch();
      } catch {
        // There is still no descriptor for it.
      }
    }
  }
}
