/** The server of the database: listens, answers, and stops cleanly. */

import { type Clock, systemClock } from "../../base/clock.ts";
import type { Events } from "../../base/events.ts";
import { listenError } from "../../net/mod.ts";
import type { Metrics } from "../../base/metrics.ts";
import { RareEvents } from "../../base/rare_events.ts";
import { aborted, endsWithin } from "../../base/waiting.ts";
import { type HttpServer, serveHttp } from "../../net/mod.ts";
import type { DB } from "../mod.ts";
import { newHandler } from "./handler.ts";

/** Options of `serveDatabase`. */
export interface ServeOptions {
  /** Name or address to listen on. */
  readonly hostname: string;
  /** Port to listen on; 0 takes a free one. */
  readonly port: number;
  /** Aborted to stop the server. */
  readonly signal: AbortSignal;
  /** Receives the events of the server. */
  readonly events: Events;
  /** The time. Default: the clock of the system. */
  readonly clock?: Clock;
  /** Receives the metrics of the database and of the answers. Default: they are not kept. */
  readonly metrics?: Metrics;
  /** Called once, when connections are accepted. */
  readonly onListening: (address: { readonly hostname: string; readonly port: number }) => void;
}

/** After the signal, requests that have begun get this long to end. */
const STOP_MS = 5000;
/** After that, requests get this long to end without the rest of their bodies. */
const LAST_STOP_MS = 1000;

/**
 * Serves until the signal, then answers the requests that have begun. Throws `DatabaseFailedError` if a
 * sync of the database failed, and the errors of `listenTcp` if it cannot listen.
 */
export async function serveDatabase(db: DB, options: ServeOptions): Promise<void> {
  const { signal, events } = options;
  const clock = options.clock ?? systemClock;
  const refuseBodies = new AbortController();
  const handler = newHandler(db, {
    events,
    clock,
    signal: refuseBodies.signal,
    listenHost: options.hostname,
  });
  const server = listen(
    options,
    options.metrics === undefined ? handler : counted(handler, db, options.metrics),
  );
  const failure = await Promise.race([db.failed, aborted(signal).then(() => null)]);
  const stopped = server.shutdown();
  // First all requests may end. Then unfinished bodies are refused. Then this returns in any case, even
  // if a client does not read its answer.
  if (!await endsWithin(stopped, clock, STOP_MS)) {
    refuseBodies.abort();
    await endsWithin(stopped, clock, LAST_STOP_MS);
  }
  if (failure !== null) throw failure;
}

function listen(
  { hostname, port, events, clock = systemClock, onListening }: ServeOptions,
  handler: Handle,
): HttpServer {
  const rareEvents = new RareEvents(events, clock);
  // An error of `onListening` is not a failure to listen.
  let isListening = false;
  try {
    return serveHttp({
      hostname,
      port,
      clock,
      onListen: (address) => {
        isListening = true;
        onListening(address);
      },
      onError: (error) => {
        events.report("error", "request failed", { reason: String(error) });
        return new Response("Internal error\n", { status: 500 });
      },
      onNotAccepted: (error) => {
        rareEvents.report("warn", "connection not accepted", { reason: String(error) });
      },
      handler,
    });
  } catch (cause) {
    throw isListening ? cause : listenError(cause, { hostname, port });
  }
}

type Handle = (request: Request) => Promise<Response>;

/** Keeps the metrics of the database and of the answers. */
function counted(handle: Handle, db: DB, metrics: Metrics): Handle {
  const answered = metrics.counter("countd_requests_total", "answered");
  const failed = metrics.counter("countd_requests_total", "failed");
  metrics.lookUp(() => {
    const { keys, entries, logBytes, syncs } = db.status();
    metrics.gauge("countd_db_keys").value = keys;
    metrics.counter("countd_db_entries_total").value = entries;
    metrics.gauge("countd_db_log_bytes").value = logBytes;
    metrics.counter("countd_db_syncs_total").value = syncs;
  });
  return async (request) => {
    const response = await handle(request);
    (response.status < 500 ? answered : failed).value += 1;
    return response;
  };
}
