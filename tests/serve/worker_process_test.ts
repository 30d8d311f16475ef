/** The worker that serve keeps alive. */

import { assert, assertEquals } from "@std/assert";
import { systemClock } from "../../src/base/clock.ts";
import type { EventFields } from "../../src/base/events.ts";
import { Metrics } from "../../src/base/metrics.ts";
import { WorkerProcess } from "../../src/serve/mod.ts";
import { waitUntil } from "../support/wait.ts";

Deno.test("A worker that cannot be started is reported and tried again, and serve lives on", async () => {
  const events: string[] = [];
  const report = (_level: string, event: string, fields?: EventFields) => {
    events.push(`${event}: ${fields?.["reason"] ?? fields?.["exit_code"]}`);
  };
  // The system refuses to start a process with a NUL in an argument.
  let args = ["eval", "\0"];
  const metrics = new Metrics();
  const worker = new WorkerProcess({
    get args() {
      return args;
    },
  }, { clock: systemClock, events: { report }, metrics, signal: new AbortController().signal });
  await waitUntil("the report", () => events.length > 0);
  assert(events[0]?.startsWith("worker could not be started: Failed to spawn"), events[0]);
  args = ["eval", "await Deno.stdin.readable.pipeTo(new WritableStream())"];
  await waitUntil("the worker", () => worker.pid !== null);
  assert(metrics.counter("countd_restarts_total").value > 0);
  await worker.stop();
  assertEquals(worker.pid, null);
});

Deno.test("A worker that ends because all must stop did not die, and the next one folds the rest", async () => {
  const events: string[] = [];
  const report = (_level: string, event: string) => void events.push(event);
  const metrics = new Metrics();
  const asked = new AbortController();
  // A terminal sends SIGINT to the server and to its worker, which ends cleanly.
  let args = ["eval", "0"];
  const worker = new WorkerProcess({
    get args() {
      return args;
    },
  }, { clock: systemClock, events: { report }, metrics, signal: asked.signal });
  const first = worker.pid;
  asked.abort();
  args = ["eval", "await Deno.stdin.readable.pipeTo(new WritableStream())"];
  await waitUntil("another worker", () => worker.pid !== null && worker.pid !== first);
  await worker.stop();
  assertEquals([events, metrics.counter("countd_restarts_total").value], [[], 0]);
});
