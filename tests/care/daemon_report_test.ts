/** The reports of daemons: who writes them, who cleans up, and what a full disk does to them. */
import { assertEquals } from "@std/assert";
import { Metrics } from "../../src/base/metrics.ts";
import { DaemonReporter, readReports } from "../../src/care/mod.ts";
import { OsError, type Storage, systemStorage } from "../../src/file/mod.ts";
import { clockAt } from "../support/fixed_clock.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { waitUntil } from "../support/wait.ts";

function metricsWith(accepted: number): Metrics {
  const metrics = new Metrics();
  metrics.counter("countd_increments_total", "accepted").value = accepted;
  return metrics;
}

Deno.test("A report is there while its daemon lives, and gone after it", async () => {
  await withTemporaryDirectory(async (data) => {
    const storage = systemStorage();
    const clock = clockAt(1_000);
    const metrics = metricsWith(3);
    metrics.troubles = () => ["x".repeat(1000)];
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
  await withTemporaryDirectory((data) => {
    const storage = systemStorage();
    Deno.mkdirSync(`${data}/run`);
    const stale = { verb: "write", pid: 1, state: "ready", startedMs: 0, updatedMs: 0 };
    const text = JSON.stringify({ ...stale, figures: {}, troubles: [] }).padEnd(16_384);
    Deno.writeTextFileSync(`${data}/run/write-1`, text);
    assertEquals(readReports(storage, data), []);
    const options = { verb: "read", metrics: metricsWith(1), clock: clockAt(0) };
    using _reporter = new DaemonReporter(storage, data, options);
    assertEquals([...Deno.readDirSync(`${data}/run`)].map(({ name }) => name), [
      `read-${Deno.pid}`,
    ]);
  });
});

Deno.test("Two daemons of one directory have a report each", async () => {
  await withTemporaryDirectory((data) => {
    const storage = systemStorage();
    const start = (verb: string) =>
      new DaemonReporter(storage, data, { verb, metrics: metricsWith(1), clock: clockAt(0) });
    using _write = start("write");
    using _read = start("read");
    assertEquals(readReports(storage, data).map(({ verb }) => verb), ["read", "write"]);
  });
});

Deno.test("A report that cannot be read is left out", async () => {
  await withTemporaryDirectory((data) => {
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
    const storage: Storage = Object.create(disk, {
      open: {
        value: (...args: Parameters<Storage["open"]>) => {
          if (isFull) throw new OsError("open", args[0], "ENOSPC");
          return disk.open(...args);
        },
      },
    });
    using _reporter = new DaemonReporter(storage, data, {
      verb: "worker",
      metrics: metricsWith(1),
      clock: clockAt(0),
    });
    assertEquals(readReports(disk, data), []);
    Deno.mkdirSync(data);
    isFull = false;
    await waitUntil("the report", () => readReports(disk, data).length === 1);
  });
});
