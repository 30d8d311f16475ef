/** The figures of a read server. */

import type { Figure, Metrics } from "../../base/metrics.ts";

export class ReadFigures {
  readonly bytesIn: Figure;
  readonly bytesOut: Figure;
  readonly connections: Figure;
  readonly opened: Figure;
  readonly overLimit: Figure;
  readonly stalled: Figure;
  readonly foreign: Figure;

  constructor(metrics: Metrics) {
    this.bytesIn = metrics.counter("countd_bytes_total", "in");
    this.bytesOut = metrics.counter("countd_bytes_total", "out");
    this.connections = metrics.gauge("countd_connections");
    this.opened = metrics.counter("countd_connections_total", "accepted");
    this.overLimit = metrics.counter("countd_connections_total", "over-limit");
    this.stalled = metrics.counter("countd_connections_total", "stalled");
    this.foreign = metrics.counter("countd_connections_total", "foreign");
  }
}
