/**
 * The worker as a process of its own, started again with back-off when it dies. It ends when its standard
 * input is closed, which the kernel does even if this process is killed. So no orphan is left.
 */

import { assert } from "../base/assert.ts";
import type { Clock } from "../base/clock.ts";
import type { Events } from "../base/events.ts";
import type { Metrics } from "../base/metrics.ts";

const RESTART_MS_FIRST = 100;
const RESTART_MS_LAST = 10_000;
/** After a worker that ran this long the back-off starts from its first delay. */
const HEALTHY_MS = 30_000;
/** How long a worker may take for its last fold before it is killed. */
const STOP_MS = 30_000;

export interface WorkerProcessOptions {
  /** Arguments that make this program `countd worker … --until-stdin-ends`. */
  readonly args: readonly string[];
}

export class WorkerProcess {
  readonly verb = "worker";
  #child: Deno.ChildProcess | null = null;
  #lastEnd = "it is being started";
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

  /** Process id of the worker that runs now, or null if none runs. */
  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  /** How the last run ended, or why it was not started. */
  get lastEnd(): string {
    return this.#lastEnd;
  }

  async #keepAlive(): Promise<void> {
    const { clock, events, metrics, signal } = this.environment;
    let delayMs = RESTART_MS_FIRST;
    while (!this.#isStopping) {
      const startMs = clock.nowMs();
      const end = await this.#runOnce();
      if (this.#isStopping) return;
      // A terminal signals the whole process group, so the worker may have ended without a fault. It is
      // started again, because the writer may still seal a log to fold.
      if (signal.aborted && !(end instanceof Error) && end.code === 0) continue;
      metrics.counter("countd_restarts_total").value += 1;
      if (clock.nowMs() - startMs > HEALTHY_MS) delayMs = RESTART_MS_FIRST;
      this.#lastEnd = wordsOfEnd(end);
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

  /** How the worker ended, or why none could be started: too many processes, no memory, no descriptor. */
  async #runOnce(): Promise<Deno.CommandStatus | Error> {
    assert(this.#child === null, "One worker of a server runs at a time");
    try {
      this.#child = new Deno.Command(Deno.execPath(), {
        args: [...this.options.args],
        stdin: "piped",
        stdout: "null",
        stderr: "inherit",
        // These two are for this process: the worker must not take its port, nor notify systemd for it.
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

  /** Waits until the worker has ended its last fold; a worker that hangs is killed. */
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
          // It has just ended by itself.
        }
      }, STOP_MS);
      await child.status;
      clearTimeout(timer);
    }
    await this.#kept;
  }
}

function wordsOfEnd(end: Deno.CommandStatus | Error): string {
  if (end instanceof Error) return `it could not be started (${end.message})`;
  return end.signal === null ? `it ended with exit code ${end.code}` : `it died of ${end.signal}`;
}
