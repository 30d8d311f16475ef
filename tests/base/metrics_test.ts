import { assert, assertEquals, assertThrows } from "@std/assert";
import { AssertionError } from "../../src/base/assert.ts";
import { Histogram, METRICS, Metrics } from "../../src/base/metrics.ts";
import { prometheusText } from "../../src/net/prometheus_text.ts";
import { parsePrometheus } from "../support/prometheus.ts";

Deno.test("A metric that is asked for twice is the same object", () => {
  const metrics = new Metrics();
  metrics.counter("countd_increments_total", "accepted").value += 2;
  metrics.counter("countd_increments_total", "accepted").value += 3;
  metrics.counter("countd_increments_total", "refused").value += 1;
  assertEquals(metrics.snapshot(), { countd_increments_total: { accepted: 5, refused: 1 } });
});

Deno.test("A histogram counts a measure in the first bucket that it fits", () => {
  const histogram = new Histogram([1, 2]);
  for (const value of [0.5, 1, 1.5, 2, 9]) histogram.observe(value);
  assertEquals(histogram.counts, [2, 2, 1]);
  assertEquals(histogram.sum, 14);
});

Deno.test("A label value is a fixed word, never something that a user sent", () => {
  const metrics = new Metrics();
  for (const word of ["a b", 'a"b', "Ä", "a\nb"]) {
    assertThrows(() => metrics.counter("countd_rejected_total", word), AssertionError);
  }
});

Deno.test("A strict parser reads the rendered metrics back, with every value", () => {
  const metrics = new Metrics();
  metrics.counter("countd_rejected_total", "empty-keyspace").value = 2;
  metrics.gauge("countd_connections").value = 7;
  metrics.gauge("countd_build_info", "0.2.0").value = 1;
  metrics.histogram("countd_fsync_seconds").observe(0.003);
  const families = parsePrometheus(prometheusText([metrics.snapshot()]));
  assertEquals([...families.keys()].sort(), [
    "countd_build_info",
    "countd_connections",
    "countd_fsync_seconds",
    "countd_rejected_total",
  ]);
  assertEquals(families.get("countd_rejected_total")?.samples, [
    { name: "countd_rejected_total", labels: { reason: "empty-keyspace" }, value: 2 },
  ]);
  assertEquals(families.get("countd_fsync_seconds")?.type, "histogram");
});

Deno.test("Counters of cooperating processes are added up, and of gauges the greatest is taken", () => {
  const [one, other] = [new Metrics(), new Metrics()];
  for (const [metrics, factor] of [[one, 1], [other, 2]] as const) {
    metrics.counter("countd_recovered_total", "torn").value = factor;
    metrics.gauge("countd_build_info", "0.2.0").value = 1;
    metrics.gauge("countd_last_sync_timestamp_seconds").value = factor * 100;
    metrics.histogram("countd_fold_seconds").observe(factor);
  }
  other.counter("countd_fold_records_total").value = 7;
  // Metrics of another process arrive as JSON.
  const theirs = JSON.parse(JSON.stringify(other.snapshot()));
  const families = parsePrometheus(
    prometheusText([one.snapshot(), theirs, { unknown: { "": 1 } }]),
  );
  const valueOf = (family: string, sample = family) =>
    families.get(family)?.samples.find(({ name }) => name === sample)?.value;
  assertEquals(valueOf("countd_recovered_total"), 3);
  assertEquals(valueOf("countd_build_info"), 1);
  assertEquals(valueOf("countd_last_sync_timestamp_seconds"), 200);
  assertEquals(valueOf("countd_fold_records_total"), 7);
  assertEquals(valueOf("countd_fold_seconds", "countd_fold_seconds_count"), 2);
  assertEquals(valueOf("countd_fold_seconds", "countd_fold_seconds_sum"), 3);
  assertEquals(families.has("unknown"), false);
});

Deno.test("Names follow the conventions of Prometheus, and label values are bounded", () => {
  for (const [name, definition] of Object.entries(METRICS)) {
    assert(/^countd_[a-z_]+$/.test(name), name);
    assertEquals(definition.type === "counter", name.endsWith("_total"), name);
    if (definition.type === "histogram") assert(name.endsWith("_seconds"), name);
    assert(definition.help.endsWith("."), name);
    if ("label" in definition) assert(!["key", "keyspace", "client"].includes(definition.label));
  }
});
