/** Metrics of a TCP server. */

import type { Metric, Metrics } from "../base/metrics.ts";

export class TcpMetrics {
  readonly bytesIn: Metric;
  readonly bytesOut: Metric;
  readonly connections: Metric;
  readonly opened: Metric;
  readonly overLimit: Metric;
  readonly stalled: Metric;
  readonly silent: Metric;
  readonly idle: Metric;
  readonly foreign: Metric;

  constructor(metrics: Metrics) {
    this.bytesIn = metrics.counter("countd_bytes_total", "in");
    this.bytesOut = metrics.counter("countd_bytes_total", "out");
    this.connections = metrics.gauge("countd_connections");
    this.opened = metrics.counter("countd_connections_total", "accepted");
    this.overLimit = metrics.counter("countd_connections_total", "over-limit");
    this.stalled = metrics.counter("countd_connections_total", "stalled");
    this.silent = metrics.counter("countd_connections_total", "silent");
    this.idle = metrics.counter("countd_connections_total", "idle");
    this.foreign = metrics.counter("countd_connections_total", "foreign");
  }
}
