/** The server of the database: listens, answers, and stops cleanly. */

import { type Clock, systemClock } from "../../base/clock.ts";
import type { Events } from "../../base/events.ts";
import type { Metrics } from "../../base/metrics.ts";
import { REFUSED_MS } from "../../base/readiness.ts";
import { aborted } from "../../base/waiting.ts";
import { type LoopTurn, serveHttp } from "../../net/mod.ts";
import type { DatabaseFailedError, DB } from "../mod.ts";
import { newHandler } from "./handler.ts";

/** As many as the other ports take by default. */
const CONNECTIONS_MAX = 1024;

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
  /** The turn of the event loop that it shares with other servers of its process. Default: one of its own. */
  readonly turn?: LoopTurn;
  /** Called once, when connections are accepted. */
  readonly onListening: (address: { readonly hostname: string; readonly port: number }) => void;
}

/**
 * Serves until the signal, then answers the requests that have begun. Throws `DatabaseFailedError` if a
 * sync of the database failed or one of its files lost its name, and the errors of `listenTcp` if it cannot listen.
 */
export async function serveDatabase(db: DB, options: ServeOptions): Promise<void> {
  const { signal, events, hostname, port, metrics, turn, clock = systemClock } = options;
  const refuseBodies = new AbortController();
  const handler = newHandler(db, {
    events,
    clock,
    signal: refuseBodies.signal,
    listenHost: hostname,
  });
  const server = serveHttp({
    hostname,
    port,
    clock,
    events,
    maxConnections: CONNECTIONS_MAX,
    metrics,
    turn,
    handler: metrics === undefined ? handler : counted(handler, db, metrics, clock),
    onLate: () => refuseBodies.abort(),
  });
  db.failed.then((error) => metrics?.readiness.fail(error.message));
  let failure: DatabaseFailedError | null;
  try {
    options.onListening(server.address);
    failure = await Promise.race([db.failed, aborted(signal).then(() => null)]);
  } finally {
    await server.stop();
  }
  if (failure !== null) throw failure;
}

type Handle = (request: Request) => Promise<Response>;

/** Keeps the metrics of the database and of the answers. */
function counted(handle: Handle, db: DB, metrics: Metrics, clock: Clock): Handle {
  const answered = metrics.counter("countd_requests_total", "answered");
  const failed = metrics.counter("countd_requests_total", "failed");
  let refusedMs = -Infinity;
  const isRefusing = () => clock.nowMs() - refusedMs < REFUSED_MS;
  metrics.readiness.addPart(() => isRefusing() ? ["disk full: sets are refused"] : []);
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
    if (response.status === 507) refusedMs = clock.nowMs();
    else if (response.ok && request.method === "POST") refusedMs = -Infinity;
    return response;
  };
}
