/**
 * What every daemon has around its work: metrics, the port that serves them, the report that
 * `countd status` reads, and the notices to systemd.
 */
import { Metrics, type MetricsSnapshot } from "../base/metrics.ts";
import type { Readiness } from "../base/readiness.ts";
import { VERSION } from "../base/version.ts";
import { aborted } from "../base/waiting.ts";
import type { DaemonReport } from "../admin/mod.ts";
import type { DataDirectory, DirectorySizes } from "../counters/commitlog/mod.ts";
import type { LoopTurn } from "../net/mod.ts";
import { showAddress } from "./kit/option.ts";
import type { Context } from "./verb.ts";

/** What the command line gives to the work of a daemon. */
export interface Daemon {
  readonly metrics: Metrics;
  /** The turn of the event loop that all servers of the process share. */
  readonly turn: LoopTurn;
  /**
   * Announces that the daemon serves. Called once, when the data directory exists; `message` is the
   * last announcement at the start, such as `listening on HOST:PORT`.
   */
  ready(message: string): void;
  /** Serves the metrics of a child process with its own, which is ready only if the child is. */
  adopt(child: ChildDaemon): void;
}

/** A daemon that runs as a child of this one. It keeps a report of its own. */
export interface ChildDaemon {
  readonly verb: string;
  /** Null while it is not running. */
  readonly pid: number | null;
  /** How its last run ended, or why it was not started, while it is not running. */
  readonly lastEnd: string;
}

/** How often the report of the child process is read again: a part of the 2 s that readiness may be late. */
const ADOPT_EVERY_MS = 250;
/** How often a daemon looks for a data directory that does not exist yet. */
const DIRECTORY_RETRY_MS = 100;

export interface DaemonSettings {
  readonly verb: string;
  /** The data directory, or null for a daemon that has none. */
  readonly data: string | null;
  readonly listen: string;
  readonly metricsPort: number | undefined;
}

/** Runs a daemon until its work ends (it watches `context.signal` itself). */
export async function runDaemon(
  context: Context,
  { verb, data, listen, metricsPort }: DaemonSettings,
  work: (daemon: Daemon) => Promise<void>,
): Promise<void> {
  const { DaemonReporter, PoolMetrics, readReports } = await import("../admin/mod.ts");
  const { OsError } = await import("../file/mod.ts");
  const { LoopTurn, serveMetrics, watchLoop } = await import("../net/mod.ts");
  await using stack = new AsyncDisposableStack();
  const metrics = new Metrics();
  metrics.gauge("countd_build_info", VERSION).value = 1;
  const lost = metrics.counter("countd_lost_lines_total");
  metrics.lookUp(() => lost.value = context.lostLines);
  context.signal.addEventListener("abort", () => {
    if (metrics.readiness.state !== "failed") metrics.readiness.state = "stopping";
  });
  const { storage, clock, events } = context;
  const turn = stack.use(new LoopTurn({ clock, metrics }));
  let adopted: readonly MetricsSnapshot[] = [];
  if (metricsPort !== undefined) {
    const options = { hostname: listen, port: metricsPort, events, turn, others: () => adopted };
    const server = stack.use(serveMetrics(metrics, options));
    context.announce(`metrics on ${showAddress(server)}`);
  }
  // A worker has no clients: it works for as long as a fold takes.
  if (verb !== "worker") stack.use(watchLoop({ clock, events, metrics }));
  const ready = (message: string) => {
    if (metrics.readiness.state === "starting") metrics.readiness.state = "ready";
    if (data !== null) {
      stack.use(new DaemonReporter(storage, data, { verb, metrics, clock }));
      if (metricsPort !== undefined) stack.use(new PoolMetrics(storage, data, { metrics, clock }));
    }
    context.ready(message);
  };
  const adopt = (child: ChildDaemon) => {
    if (data === null) return;
    let report: DaemonReport | undefined;
    const look = () => {
      try {
        report = readReports(storage, data)
          .find(({ verb, pid }) => verb === child.verb && pid === child.pid);
      } catch (error) {
        // The directory may be unreachable, or gone, and then this daemon says so itself.
        if (!(error instanceof OsError)) throw error;
        report = undefined;
      }
      adopted = report === undefined ? [] : [report.figures];
    };
    metrics.readiness.addPart(() => reasonsOfChild(child, report));
    const timer = setInterval(look, ADOPT_EVERY_MS);
    stack.defer(() => clearInterval(timer));
  };
  try {
    await work({ metrics, turn, ready, adopt });
  } catch (error) {
    // A stop was requested before the work began, for instance while it waited for space on a full disk.
    if (context.signal.aborted && error === context.signal.reason) return;
    metrics.readiness.fail(error instanceof Error ? error.message : String(error));
    throw error;
  }
}

function reasonsOfChild(child: ChildDaemon, report: DaemonReport | undefined): readonly string[] {
  const { verb, pid, lastEnd } = child;
  if (pid === null) return [`the ${verb} does not run: ${lastEnd}`];
  if (report?.pid !== pid) return [`the ${verb} (pid ${pid}) has not reported its state yet`];
  const isReady = report.state === "ready";
  return isReady
    ? report.troubles
    : [`the ${verb} (pid ${pid}) is ${report.state}`, ...report.troubles];
}

/** Waits until the daemon is asked to stop or its server fails, stops the server, and throws the failure. */
export async function serveUntilStopped(
  signal: AbortSignal,
  server: { readonly failed: Promise<never>; stop(): Promise<void> },
): Promise<void> {
  try {
    await Promise.race([aborted(signal), server.failed]);
  } finally {
    await server.stop();
  }
}

/** Waits for a data directory that does not exist yet. Null if the daemon is asked to stop before. */
export async function waitForDirectory(
  { storage, clock, events, signal }: Pick<Context, "storage" | "clock" | "events" | "signal">,
  data: string,
  { readiness, wanted = {}, access = "write", onWait = () => {} }: {
    /** Says why until the directory is there. */
    readonly readiness: Readiness;
    readonly wanted?: Partial<DirectorySizes>;
    readonly access?: "read" | "write";
    /** Called once if the directory does not exist at the first look. */
    readonly onWait?: () => void;
  },
): Promise<DataDirectory | null> {
  const { DataDirectory, describeSelf } = await import("../counters/commitlog/mod.ts");
  const opening = { wanted, access, self: describeSelf(storage) };
  let opened = DataDirectory.openOrNull(storage, data, opening);
  if (opened !== null) return opened;
  readiness.set(waitForDirectory, `waiting for a data directory at ${data}`);
  onWait();
  events.report("info", "waiting for a data directory", { data });
  while (opened === null && !signal.aborted) {
    await clock.sleep(DIRECTORY_RETRY_MS, signal);
    opened = DataDirectory.openOrNull(storage, data, opening);
  }
  readiness.set(waitForDirectory, null);
  return opened;
}
