/** What sockets need: listening, stalled peers, the metrics of a daemon over HTTP, the service manager. */

export { acceptAll, type Accepting } from "./accept_all.ts";
export { type ListenAddress, listenError, listenTcp } from "./listen_tcp.ts";
export { LoopSlice, LoopTurn } from "./loop_turn.ts";
export { type MetricsServer, type MetricsServerOptions, serveMetrics } from "./metrics_server.ts";
export { notifyServiceManager } from "./notify_socket.ts";
export { type HttpOptions, type HttpServer, serveHttp } from "./serve_http.ts";
export { type Answering, closeStalled, STALLED_SWEEP_MS } from "./stalled_peers.ts";
export { cutConnection } from "./tcp_connection.ts";
export { RefusedRequestError, targetOf, type WebRequest, type WebTarget } from "./web_origin.ts";
