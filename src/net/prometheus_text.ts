/** Metrics as Prometheus text, format version 0.0.4. */
import { METRICS, type MetricsSnapshot, type SnapshotValue } from "../base/metrics.ts";

/**
 * Renders snapshots of processes that work as one daemon. Counters and histograms are added up; of gauges
 * the greatest value is taken. Names that the table of metrics does not have are left out.
 */
export function prometheusText(snapshots: readonly MetricsSnapshot[]): string {
  const lines: string[] = [];
  for (const [name, definition] of Object.entries(METRICS)) {
    const series = mergeSeries(
      snapshots.map((snapshot) => snapshot[name] ?? {}),
      definition.type === "gauge" ? greatest : add,
    );
    if (series.size === 0) continue;
    lines.push(`# HELP ${name} ${definition.help}`, `# TYPE ${name} ${definition.type}`);
    const label = "label" in definition ? definition.label : null;
    const bounds = "buckets" in definition ? definition.buckets : [];
    for (const [word, value] of series) {
      if (typeof value === "object") lines.push(...histogramLines(name, value, bounds));
      else lines.push(`${name}${label === null ? "" : `{${label}="${word}"}`} ${value}`);
    }
  }
  return lines.join("\n") + "\n";
}

function mergeSeries(
  all: readonly Readonly<Record<string, SnapshotValue>>[],
  merge: (left: SnapshotValue, right: SnapshotValue) => SnapshotValue,
): Map<string, SnapshotValue> {
  const merged = new Map<string, SnapshotValue>();
  for (const series of all) {
    for (const [word, value] of Object.entries(series)) {
      const before = merged.get(word);
      merged.set(word, before === undefined ? value : merge(before, value));
    }
  }
  return merged;
}

function greatest(left: SnapshotValue, right: SnapshotValue): SnapshotValue {
  return Math.max(Number(left), Number(right));
}

function add(left: SnapshotValue, right: SnapshotValue): SnapshotValue {
  if (typeof left === "number" || typeof right === "number") return Number(left) + Number(right);
  return {
    sum: left.sum + right.sum,
    counts: left.counts.map((count, bucket) => count + (right.counts[bucket] ?? 0)),
  };
}

function histogramLines(
  name: string,
  { sum, counts }: { readonly sum: number; readonly counts: readonly number[] },
  bounds: readonly number[],
): string[] {
  let total = 0;
  const buckets = counts.map((count, index) => {
    total += count;
    return `${name}_bucket{le="${bounds[index] ?? "+Inf"}"} ${total}`;
  });
  return [...buckets, `${name}_sum ${sum}`, `${name}_count ${total}`];
}
