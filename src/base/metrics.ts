/**
 * The metrics of one daemon. The verbs keep them with plain additions; exporters (Prometheus text, a status
 * line) only read them. The table below has every name with its meaning. Label values are fixed words,
 * never keys or keyspaces, so the program bounds the number of series.
 *
 *     const metrics = new Metrics();
 *     const accepted = metrics.counter("countd_increments_total", "accepted");
 *     accepted.value += 1;
 */
import { assert } from "./assert.ts";
import { Readiness } from "./readiness.ts";

interface Definition {
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  /** Name of the one label; absent if the metric has none. */
  readonly label?: string;
  /** Upper bounds of a histogram's buckets, ascending. */
  readonly buckets?: readonly number[];
}

/** Bounds in seconds, from the sync of a fast disk to a fold so slow that it needs attention. */
const SECONDS_BUCKETS = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10];

export const METRICS = {
  countd_increments_total: {
    type: "counter",
    help: "Increments that arrived, by result: accepted or refused.",
    label: "result",
  },
  countd_rejected_total: {
    type: "counter",
    help: "Increments and requests that were refused, by reason.",
    label: "reason",
  },
  countd_batches_total: {
    type: "counter",
    help: "Batches that arrived, by result: taken or refused.",
    label: "result",
  },
  countd_bytes_total: {
    type: "counter",
    help: "Bytes over sockets, by direction: in or out.",
    label: "direction",
  },
  countd_requests_total: {
    type: "counter",
    help: "Requests of the read port and the HTTP port, by result: answered or failed.",
    label: "result",
  },
  countd_connections: { type: "gauge", help: "Connections that are open now." },
  countd_connections_total: {
    type: "counter",
    help:
      "Connections, by what became of them: accepted, over-limit, stalled, silent, idle or foreign.",
    label: "result",
  },
  countd_event_loop_turn_seconds: {
    type: "gauge",
    help: "The longest turn of the event loop since the start, in processor time.",
  },
  countd_fsync_seconds: {
    type: "histogram",
    help: "Time of one sync of a log or keyspace.",
    buckets: SECONDS_BUCKETS,
  },
  countd_last_sync_timestamp_seconds: {
    type: "gauge",
    help: "Unix time of the last sync that succeeded.",
  },
  countd_log_slots: {
    type: "gauge",
    help: "Commit logs in the pool, by state.",
    label: "state",
  },
  countd_fold_seconds: {
    type: "histogram",
    help: "Time of one fold, from the locks to the recycled logs.",
    buckets: SECONDS_BUCKETS,
  },
  countd_fold_records_total: { type: "counter", help: "Records that were folded." },
  countd_fold_lag_seconds: {
    type: "gauge",
    help: "Age of the oldest record that is not folded yet.",
  },
  countd_fold_lag_records: { type: "gauge", help: "Records that are not folded yet." },
  countd_saturated_total: {
    type: "counter",
    help: "Counters that were clamped at the limit of 64 bits.",
  },
  countd_recovered_total: {
    type: "counter",
    help: "Logs of dead holders that were recovered, by kind: clean, torn, empty or quarantined.",
    label: "kind",
  },
  countd_restarts_total: { type: "counter", help: "Restarts of a worker that died." },
  countd_db_keys: { type: "gauge", help: "Keys in the map of the database." },
  countd_db_entries_total: { type: "counter", help: "Entries in the log of the database." },
  countd_db_log_bytes: { type: "gauge", help: "Bytes in the log of the database." },
  countd_db_syncs_total: { type: "counter", help: "Syncs of the database since its start." },
  countd_disk_full: { type: "gauge", help: "1 while writing waits for free space." },
  countd_failed: { type: "gauge", help: "1 after a sync failed; the daemon is about to exit." },
  countd_lost_lines_total: {
    type: "counter",
    help: "Lines of events that stderr did not take, because nothing reads it.",
  },
  countd_build_info: {
    type: "gauge",
    help: "Always 1; the label tells the version.",
    label: "version",
  },
} as const satisfies Record<string, Definition>;

export type MetricName = keyof typeof METRICS;
type NameOf<Type> = {
  [Name in MetricName]: (typeof METRICS)[Name]["type"] extends Type ? Name : never;
}[MetricName];
type LabelOf<Name extends MetricName> = (typeof METRICS)[Name] extends { label: string }
  ? [label: string]
  : [];

/** A metric that verbs change by `value += n` (counter) or `value = n` (gauge). */
export class Metric {
  value = 0;
}

/** Counts measures by the bucket that they fall into; `observe` takes the unit of the name. */
export class Histogram {
  readonly #bounds: readonly number[];
  readonly #counts: Float64Array;
  #sum = 0;

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    // One bucket more than the bounds, for measures above all of them.
    this.#counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    let bucket = 0;
    while (bucket < this.#bounds.length && value > (this.#bounds[bucket] as number)) bucket++;
    this.#counts[bucket] = (this.#counts[bucket] as number) + 1;
    this.#sum += value;
  }

  get sum(): number {
    return this.#sum;
  }

  /** How many measures fell into each bucket, the last one above all bounds. */
  get counts(): readonly number[] {
    return [...this.#counts];
  }
}

/** Metrics at one moment, as plain data: name → label value (empty without a label) → value. */
export type MetricsSnapshot = Readonly<Record<string, Readonly<Record<string, SnapshotValue>>>>;
export type SnapshotValue = number | { readonly sum: number; readonly counts: readonly number[] };

export class Metrics {
  readonly #series = new Map<MetricName, Map<string, Metric | Histogram>>();
  readonly #lookups: (() => void)[] = [];

  /** Whether the daemon can do its work now. */
  readonly readiness = new Readiness();

  /** The counter of that name and label value: the same object for the same arguments. */
  counter<Name extends NameOf<"counter">>(name: Name, ...label: LabelOf<Name>): Metric {
    return this.#find(name, label[0], () => new Metric()) as Metric;
  }

  gauge<Name extends NameOf<"gauge">>(name: Name, ...label: LabelOf<Name>): Metric {
    return this.#find(name, label[0], () => new Metric()) as Metric;
  }

  histogram(name: NameOf<"histogram">): Histogram {
    const { buckets } = METRICS[name];
    return this.#find(name, undefined, () => new Histogram(buckets)) as Histogram;
  }

  /** Calls `lookup` before each snapshot, to set metrics that are kept elsewhere in memory. */
  lookUp(lookup: () => void): void {
    this.#lookups.push(lookup);
  }

  /** All metrics now. */
  snapshot(): MetricsSnapshot {
    for (const lookup of this.#lookups) lookup();
    const names = [...this.#series].map(([name, series]) => {
      const values = [...series].map(([label, metric]) => {
        if (!(metric instanceof Histogram)) return [label, metric.value];
        return [label, { sum: metric.sum, counts: metric.counts }];
      });
      return [name, Object.fromEntries(values)];
    });
    return Object.fromEntries(names);
  }

  #find(
    name: MetricName,
    label: string | undefined,
    make: () => Metric | Histogram,
  ): Metric | Histogram {
    const value = label ?? "";
    assert(/^[a-z0-9.+_-]*$/.test(value), `Label value of ${name} must be a fixed word: ${value}`);
    const series = this.#series.get(name) ?? new Map<string, Metric | Histogram>();
    this.#series.set(name, series);
    const found = series.get(value) ?? make();
    series.set(value, found);
    return found;
  }
}
