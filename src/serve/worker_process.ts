/**
 * The worker as a process of its own, kept alive: started again with back-off when it dies. It is told to
 * end by the closing of its standard input, which the kernel does even when we are killed, so that no
 * orphan stays behind.
 */

import type { Clock } from "../base/clock.ts";
import type { Events } from "../base/events.ts";
import type { Metrics } from "../base/metrics.ts";

const RESTART_MS_FIRST = 100;
const RESTART_MS_LAST = 10_000;
/** A worker that lived this long starts the back-off anew. */
const HEALTHY_MS = 30_000;
/** How long a worker may take for its last fold before it is ended. */
const STOP_MS = 30_000;

export interface WorkerProcessOptions {
  /** What this program is called with to be `countd worker … --until-stdin-ends`. */
  readonly args: readonly string[];
}

export class WorkerProcess {
  #child: Deno.ChildProcess | null = null;
  #isStopping = false;
  readonly #stop = new AbortController();
  readonly #kept: Promise<void>;

  constructor(
    readonly options: WorkerProcessOptions,
    readonly environment: {
      readonly clock: Clock;
      readonly events: Events;
      readonly metrics: Metrics;
      /** Fires when the server is asked to stop. */
      readonly signal: AbortSignal;
    },
  ) {
    this.#kept = this.#keepAlive();
  }

  /** Process id of the worker that runs now, or null between two. */
  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  async #keepAlive(): Promise<void> {
    const { clock, events, metrics, signal } = this.environment;
    let delayMs = RESTART_MS_FIRST;
    while (!this.#isStopping) {
      const startMs = clock.nowMs();
      const end = await this.#runOnce();
      if (this.#isStopping) return;
      // A terminal asks the whole group to stop. The writer may still bring something to fold.
      if (signal.aborted && !(end instanceof Error) && end.code === 0) continue;
      metrics.counter("countd_restarts_total").value += 1;
      if (clock.nowMs() - startMs > HEALTHY_MS) delayMs = RESTART_MS_FIRST;
      if (end instanceof Error) {
        events.report("error", "worker could not be started", {
          reason: end.message,
          retry_ms: delayMs,
        });
      } else {
        events.report("error", "worker died and is started again", {
          exit_code: end.code,
          ...(end.signal === null ? {} : { signal: end.signal }),
          delay_ms: delayMs,
        });
      }
      await clock.sleep(delayMs, this.#stop.signal);
      delayMs = Math.min(RESTART_MS_LAST, delayMs * 2);
    }
  }

  /** How the worker ended, or why none could be started: no process, memory or descriptor to be had. */
  async #runOnce(): Promise<Deno.CommandStatus | Error> {
    try {
      this.#child = new Deno.Command(Deno.execPath(), {
        args: [...this.options.args],
        stdin: "piped",
        stdout: "null",
        stderr: "inherit",
        // These two belong to us: the worker must not take our port, nor speak for us to systemd.
        env: { COUNTD_METRICS_PORT: "", NOTIFY_SOCKET: "" },
      }).spawn();
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
    try {
      return await this.#child.status;
    } finally {
      this.#child = null;
    }
  }

  /** Lets the worker finish its fold, then returns; one that hangs is ended. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#stop.abort();
    const child = this.#child;
    if (child !== null) {
      await child.stdin.close().catch(() => {});
      const timer = setTimeout(() => {
        try {
          child.kill("SIGKILL");
        } catch {
          // It ended in this moment.
        }
      }, STOP_MS);
      await child.status;
      clearTimeout(timer);
    }
    await this.#kept;
  }
}
