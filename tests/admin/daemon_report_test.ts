/** The reports of daemons: when they are written and removed, and what a full disk does to them. */
import { assert, assertEquals } from "@std/assert";
import { systemClock } from "../../src/base/clock.ts";
import { Metrics } from "../../src/base/metrics.ts";
import { DaemonReporter, readReports } from "../../src/admin/mod.ts";
import { OsError, type Storage, systemStorage } from "../../src/file/mod.ts";
import { clockAt } from "../support/fixed_clock.ts";
import { overridden } from "../support/overridden.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { waitUntil } from "../support/wait.ts";

function metricsWith(accepted: number): Metrics {
  const metrics = new Metrics();
  metrics.counter("countd_increments_total", "accepted").value = accepted;
  return metrics;
}

function start(storage: Storage, data: string, verb: string): DaemonReporter {
  return new DaemonReporter(storage, data, { verb, metrics: metricsWith(1), clock: clockAt(0) });
}

/** A data directory with something in it. */
async function withReports(body: (data: string) => void | Promise<void>): Promise<void> {
  await withTemporaryDirectory(async (data) => {
    Deno.writeTextFileSync(`${data}/control`, "");
    await body(data);
  });
}

Deno.test("A report exists while its daemon runs, and is removed at its end", async () => {
  await withReports(async (data) => {
    const storage = systemStorage();
    const clock = clockAt(1_000);
    const metrics = metricsWith(3);
    metrics.readiness.set("a part", "x".repeat(1000));
    {
      using _reporter = new DaemonReporter(storage, data, { verb: "write", metrics, clock });
      const [report] = readReports(storage, data);
      assertEquals([report?.verb, report?.pid, report?.state], ["write", Deno.pid, "starting"]);
      assertEquals([report?.startedMs, report?.updatedMs], [1000, 1000]);
      assertEquals(report?.figures, { countd_increments_total: { accepted: 3 } });
      assertEquals(report?.troubles, ["x".repeat(300)]);
      assertEquals(Deno.statSync(`${data}/run/write-${Deno.pid}`).size, 16_384);
      metrics.counter("countd_increments_total", "accepted").value = 4;
      clock.advance(500);
      await waitUntil("the next writing", () => readReports(storage, data)[0]?.updatedMs === 1500);
      assertEquals(readReports(storage, data)[0]?.figures["countd_increments_total"], {
        accepted: 4,
      });
    }
    assertEquals(readReports(storage, data), []);
    assertEquals([...Deno.readDirSync(`${data}/run`)], []);
  });
});

Deno.test("The report of a dead daemon is not shown, and the next daemon removes it", async () => {
  await withReports((data) => {
    const storage = systemStorage();
    Deno.mkdirSync(`${data}/run`);
    const stale = { verb: "write", pid: 1, state: "ready", startedMs: 0, updatedMs: 0 };
    const text = JSON.stringify({ ...stale, figures: {}, troubles: [] }).padEnd(16_384);
    Deno.writeTextFileSync(`${data}/run/write-1`, text);
    assertEquals(readReports(storage, data), []);
    using _reporter = start(storage, data, "read");
    assertEquals([...Deno.readDirSync(`${data}/run`)].map(({ name }) => name), [
      `read-${Deno.pid}`,
    ]);
  });
});

Deno.test("Two daemons of one directory have a report each", async () => {
  await withReports((data) => {
    const storage = systemStorage();
    using _write = start(storage, data, "write");
    using _read = start(storage, data, "read");
    assertEquals(readReports(storage, data).map(({ verb }) => verb), ["read", "write"]);
  });
});

/**
 * Story: two containers shared a data directory, and in each the daemon was process 1. The second one tried
 * to lock the same file forever, without a pause, and never reported that it serves.
 */
Deno.test("A daemon with the process number of another running one has a report of its own", async () => {
  await withReports((data) => {
    const storage = systemStorage();
    using _first = start(storage, data, "write");
    {
      using _second = start(storage, data, "write");
      assertEquals(readReports(storage, data).map(({ verb }) => verb), ["write", "write"]);
    }
    assertEquals([...Deno.readDirSync(`${data}/run`)].map(({ name }) => name), [
      `write-${Deno.pid}`,
    ]);
  });
});

Deno.test("A report that cannot be read is left out", async () => {
  await withReports((data) => {
    const storage = systemStorage();
    Deno.mkdirSync(`${data}/run`);
    Deno.writeTextFileSync(`${data}/run/write-2`, '{"verb":"write","figures":');
    using held = storage.open(`${data}/run/write-2`, { access: "write" });
    assertEquals(held.tryFlock("exclusive"), true);
    assertEquals(readReports(storage, data), []);
  });
});

Deno.test("A daemon without a directory or without space reports as soon as it can", async () => {
  await withTemporaryDirectory(async (temporary) => {
    const data = `${temporary}/later`;
    const disk = systemStorage();
    let isFull = true;
    const storage = overridden<Storage>(disk, {
      open(path, options) {
        if (isFull) throw new OsError("open", path, "ENOSPC");
        return disk.open(path, options);
      },
    });
    using _reporter = start(storage, data, "worker");
    assertEquals(readReports(disk, data), []);
    Deno.mkdirSync(data);
    isFull = false;
    // While the directory is empty a restore may need it.
    await systemClock.sleep(600);
    assertEquals([...Deno.readDirSync(data)], []);
    Deno.writeTextFileSync(`${data}/control`, "");
    await waitUntil("the report", () => readReports(disk, data).length === 1);
  });
});

// Story: 20 long troubles did not fit, and the report stayed as it was, although it was noted as written.
Deno.test("A report has as many of the troubles as fit into its file", async () => {
  await withReports((data) => {
    const storage = systemStorage();
    const metrics = metricsWith(1);
    // Each character has three bytes.
    for (let part = 0; part < 20; part++) {
      metrics.readiness.set(part, String(part).padEnd(300, "\u20ac"));
    }
    using _reporter = new DaemonReporter(storage, data, {
      verb: "write",
      metrics,
      clock: clockAt(0),
    });
    const troubles = readReports(storage, data)[0]?.troubles ?? [];
    assertEquals(troubles, metrics.readiness.reasons().slice(0, troubles.length));
    assert(troubles.length > 14 && troubles.length < 20, `${troubles.length} troubles`);
  });
});
