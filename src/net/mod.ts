/**
 * Sockets: everything that the servers of countd share.
 *
 * | to …                                              | use                                          |
 * | ------------------------------------------------- | -------------------------------------------- |
 * | open a port, with errors that say what to do      | `listenTcp`, `listenError`                   |
 * | serve connections, up to a limit, and drain them  | `TcpServer`; `serveHttp` for HTTP            |
 * | read, answer and end one connection               | `TcpConnection`                              |
 * | share the event loop between connections          | `LoopTurn`, `LoopSlice`; `watchLoop`         |
 * | refuse requests that foreign web pages send       | `targetOf`                                   |
 * | show the metrics and health of a daemon           | `serveMetrics`                               |
 * | tell the service manager about the daemon         | `notifyServiceManager`                       |
 *
 * README.md says how connections are accepted, ended and cut. Nothing here knows a message of countd: the rooms that own one (`write`, `read`, `database/http`) bring
 * their handlers, limits and metrics.
 */

export { type ListenAddress, listenError, listenTcp } from "./listen_tcp.ts";
export { type LoopSlice, LoopTurn } from "./loop_turn.ts";
export { watchLoop } from "./loop_watch.ts";
export { type MetricsServer, type MetricsServerOptions, serveMetrics } from "./metrics_server.ts";
export { notifyServiceManager } from "./notify_socket.ts";
export { type HttpOptions, type HttpServer, serveHttp } from "./serve_http.ts";
export type { TcpConnection } from "./tcp_connection.ts";
export { type ServerEnvironment, TcpServer, type TcpServerOptions } from "./tcp_server.ts";
export { RefusedRequestError, targetOf, type WebRequest, type WebTarget } from "./web_origin.ts";
