/**
 * Sockets: everything that the servers of countd share.
 *
 * | to …                                              | use                                          |
 * | ------------------------------------------------- | -------------------------------------------- |
 * | open a port, with errors that say what to do      | `listenTcp`, `listenError`                   |
 * | accept connections, also when descriptors run out | `acceptAll`; `serveHttp` for HTTP            |
 * | give other connections a turn                     | `LoopTurn`, `LoopSlice`                      |
 * | disconnect peers that read no answers             | `closeStalled`, `cutConnection`              |
 * | refuse requests that foreign web pages send       | `targetOf`                                   |
 * | show the metrics and health of a daemon           | `serveMetrics`                               |
 * | tell the service manager about the daemon         | `notifyServiceManager`                       |
 *
 * Nothing here knows a message of countd: the rooms that own one (`write`, `read`, `database/http`) bring
 * their handlers, limits and metrics.
 */

export { acceptAll, type Accepting } from "./accept_all.ts";
export { type ListenAddress, listenError, listenTcp } from "./listen_tcp.ts";
export { LoopSlice, LoopTurn } from "./loop_turn.ts";
export { type MetricsServer, type MetricsServerOptions, serveMetrics } from "./metrics_server.ts";
export { notifyServiceManager } from "./notify_socket.ts";
export { type HttpOptions, type HttpServer, serveHttp } from "./serve_http.ts";
export { type Answering, closeStalled, STALLED_SWEEP_MS } from "./stalled_peers.ts";
export { cutConnection } from "./tcp_connection.ts";
export { RefusedRequestError, targetOf, type WebRequest, type WebTarget } from "./web_origin.ts";
