import { assert, assertEquals, assertThrows } from "@std/assert";
import { AssertionError } from "../../src/base/assert.ts";
import { Histogram, METRICS, Metrics } from "../../src/base/metrics.ts";
import { parsePrometheus } from "../support/prometheus.ts";

Deno.test("A figure asked for twice is the same one", () => {
  const metrics = new Metrics();
  metrics.counter("countd_increments_total", "accepted").value += 2;
  metrics.counter("countd_increments_total", "accepted").value += 3;
  metrics.counter("countd_increments_total", "refused").value += 1;
  assertEquals([...metrics.values("countd_increments_total")], [["accepted", 5], ["refused", 1]]);
});

Deno.test("A histogram counts a measure in its bucket and in all above it", () => {
  const histogram = new Histogram([1, 2]);
  for (const value of [0.5, 1, 1.5, 2, 9]) histogram.observe(value);
  assertEquals(histogram.cumulative(), [["1", 2], ["2", 4], ["+Inf", 5]]);
  assertEquals(histogram.count, 5);
  assertEquals(histogram.sum, 14);
});

Deno.test("A label value is a fixed word, never something that a user sent", () => {
  const metrics = new Metrics();
  for (const word of ["a b", 'a"b', "Ä", "a\nb"]) {
    assertThrows(() => metrics.counter("countd_rejected_total", word), AssertionError);
  }
});

Deno.test("A strict parser reads the rendered figures back, with every value", () => {
  const metrics = new Metrics();
  metrics.counter("countd_rejected_total", "empty-keyspace").value = 2;
  metrics.gauge("countd_connections").value = 7;
  metrics.gauge("countd_build_info", "0.1.0").value = 1;
  metrics.histogram("countd_fsync_seconds").observe(0.003);
  const families = parsePrometheus(metrics.render());
  assertEquals([...families.keys()], [
    "countd_rejected_total",
    "countd_connections",
    "countd_build_info",
    "countd_fsync_seconds",
  ]);
  assertEquals(families.get("countd_rejected_total")?.samples, [
    { name: "countd_rejected_total", labels: { reason: "empty-keyspace" }, value: 2 },
  ]);
  assertEquals(families.get("countd_fsync_seconds")?.type, "histogram");
});

Deno.test("Names follow the customs of Prometheus, and no label is open-ended", () => {
  for (const [name, definition] of Object.entries(METRICS)) {
    assert(/^countd_[a-z_]+$/.test(name), name);
    assertEquals(definition.type === "counter", name.endsWith("_total"), name);
    if (definition.type === "histogram") assert(name.endsWith("_seconds"), name);
    assert(definition.help.endsWith("."), name);
    if ("label" in definition) assert(!["key", "keyspace", "client"].includes(definition.label));
  }
});
