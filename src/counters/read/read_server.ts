/**
 * `countd read`: pages, ranks and values over TCP. It holds no lock of a log, so killing it loses nothing.
 */

import { BusyError, CorruptError, CountdError } from "../../base/errors.ts";
import { isFormatError } from "../../base/format.ts";
import { REFUSED_MS } from "../../base/readiness.ts";
import { listenTcp, type ServerEnvironment, TcpServer } from "../../net/mod.ts";
import type { DataDirectory } from "../commitlog/mod.ts";
import { OsError } from "../../file/mod.ts";
import { requestLayout, TAKES_REQUESTS } from "../wire/mod.ts";
import { Reader } from "../view/mod.ts";
import { Answerer, type AnswerFailure } from "./answerer.ts";
import { OutputBudget } from "./output_budget.ts";
import { ReplyBuffers } from "./reply_buffers.ts";
import { type ConnectionEnvironment, ReadConnection } from "./read_connection.ts";

/** How often the server looks whether the directory can be used, and whether it can answer. */
const CHECK_MS = 1000;
/** Different failures that are reported; more of them would only fill the log. */
const REPORTS_MAX = 1000;

export interface ReadServerOptions {
  readonly hostname: string;
  /** 0 takes a free port. */
  readonly port: number;
  /** The option that names the port; `--port` if not given. */
  readonly portOption?: string;
  /** Connections at one time; more are accepted and closed. */
  readonly maxConnections: number;
  /** Answer from the keyspace files alone. */
  readonly stale: boolean;
}

export type ReadEnvironment = ServerEnvironment;

export class ReadServer {
  readonly #directory: DataDirectory;
  readonly #reader: Reader;
  readonly #tcp: TcpServer;
  readonly #environment: ReadEnvironment;
  readonly #unusable = Promise.withResolvers<never>();
  readonly #checks: ReturnType<typeof setInterval>;
  /** The last answer that was refused with "try again". */
  #refused: { readonly reason: string; readonly timeMs: number } | null = null;
  readonly #reported = new Set<string>();
  #stopped: Promise<void> | null = null;

  /**
   * Listens and serves. The caller closes the directory. Throws `FailedError` if the port is taken,
   * `DirectoryFailedError` if the directory is marked failed, and `BusyError` while it is repaired.
   */
  constructor(
    directory: DataDirectory,
    options: ReadServerOptions,
    environment: ReadEnvironment,
  ) {
    directory.joinDaemons();
    this.#directory = directory;
    const { clock, events, metrics } = environment;
    this.#environment = environment;
    this.#reader = new Reader(directory, { stale: options.stale, clock, events });
    this.#reader.prepare();
    const budget = new OutputBudget(clock);
    const shared: ConnectionEnvironment = {
      answerer: new Answerer(this.#reader, directory.sizes, {
        metrics,
        onFailure: (error) => this.#reportFailure(error),
      }),
      budget,
      buffers: new ReplyBuffers(),
      requestBytes: requestLayout(directory.sizes).requestBytes,
      terms: {
        sizes: directory.sizes,
        batchBytes: 0,
        takes: TAKES_REQUESTS,
        identity: directory.control.identity,
      },
    };
    this.#tcp = new TcpServer(listenTcp(options), {
      port: "read",
      maxConnections: options.maxConnections,
      serve: (connection) => new ReadConnection(shared, connection).serve(),
    }, environment);
    const stalled = metrics.counter("countd_connections_total", "stalled");
    this.#checks = setInterval(() => {
      this.#check();
      const heldMs = budget.endSlowest();
      if (heldMs === null) return;
      stalled.value += 1;
      events.report("warn", "connection closed: it takes a long answer slowly, and others wait", {
        held_ms: Math.round(heldMs),
      });
    }, CHECK_MS);
    this.#unusable.promise.catch(() => {});
  }

  get address(): Deno.NetAddr {
    return this.#tcp.address;
  }

  /**
   * Rejects when the server must end: an error that no reply can report, a failed mark, or a directory that was
   * removed or replaced. Never resolves.
   */
  get failed(): Promise<never> {
    return Promise.race([this.#unusable.promise, this.#tcp.failed]);
  }

  /** Accepts nothing new, answers what was read, and closes. A second call waits for the first. */
  stop(): Promise<void> {
    return this.#stopped ??= this.#stop();
  }

  async #stop(): Promise<void> {
    clearInterval(this.#checks);
    await this.#tcp.stop();
    await this.#tcp.ended();
    this.#reader[Symbol.dispose]();
  }

  /** Ends the server if the directory cannot be used any more. Notes why nothing could be answered now. */
  #check(): void {
    const { clock, metrics: { readiness } } = this.#environment;
    try {
      this.#directory.refuseUnusable();
    } catch (error) {
      if (!(error instanceof OsError)) {
        readiness.fail((error as Error).message);
        return this.#unusable.reject(error);
      }
    }
    const isRecent = this.#refused !== null && clock.nowMs() - this.#refused.timeMs < REFUSED_MS;
    if (!isRecent) this.#refused = null;
    let reason = this.#refused?.reason ?? null;
    try {
      this.#reader.refresh();
    } catch (error) {
      if (!(error instanceof CountdError || error instanceof OsError)) throw error;
      reason = error.message;
    }
    readiness.set(this, reason);
  }

  /** Reports each failure once, because clients ask again and again. */
  #reportFailure(error: AnswerFailure): void {
    const { clock, events, metrics } = this.#environment;
    const isOfFile = error instanceof CorruptError || isFormatError(error);
    // A file that is damaged, or of another format, may be that of one keyspace: the others are answered.
    if (!isOfFile) {
      this.#refused = { reason: error.message, timeMs: clock.nowMs() };
      metrics.readiness.set(this, error.message);
    }
    if (error instanceof BusyError) return;
    const [what, where, place] = error instanceof CorruptError
      ? ["damaged file", error.where, `${error.where.path}:${error.where.offset}`]
      : error instanceof OsError
      ? ["cannot read", { path: error.path }, `${error.path}:${error.code}`]
      : [isOfFile ? "file of another format" : "cannot read", {}, error.message];
    if (this.#reported.has(place) || this.#reported.size >= REPORTS_MAX) return;
    this.#reported.add(place);
    events.report("error", what, { ...where, reason: error.message });
  }
}
