/**
 * Real processes on a real disk, killed with SIGKILL at random moments and at named points, and started
 * again, while the oracle (`load_process.ts`) continues. After some cycles everything is stopped, folded
 * and compared with the counts of the oracle:
 *
 *     per counter: acknowledged ≤ stored ≤ sent; stored = sent for connections that got their totals
 */

import { assert, assertEquals } from "@std/assert";
import { BusyError } from "../../src/base/errors.ts";
import { checkDirectory } from "../../src/admin/mod.ts";
import { checkCommitLogs, DataDirectory, describeSelf } from "../../src/counters/commitlog/mod.ts";
import { systemStorage } from "../../src/file/mod.ts";
import { checkKeyspaces, KeyspaceReader, listKeyspaces } from "../../src/counters/keyspace/mod.ts";
import { decodeRows } from "../../src/counters/wire/mod.ts";
import { type CountdProcess, runCountd, startCountd, startProgram } from "../support/process.ts";
import type { Random } from "../support/random.ts";
import { within } from "../support/wait.ts";
import {
  counterOf,
  COUNTERS,
  incrementOf,
  type LoadReport,
  messagesOf,
  sizes,
} from "./load_plan.ts";

export type Role = "write" | "worker" | "read";

export const roles: readonly Role[] = ["write", "worker", "read"];

/** Points at which a daemon of each role is sometimes told to kill itself. */
const points: Readonly<Record<Role, readonly string[]>> = {
  write: [
    "claim.1.before",
    "claim.1.after",
    "claim.2.before",
    "claim.2.after",
    "claim.3.before",
    "claim.3.after",
    "claim.4.before",
    "claim.4.after",
    "append.1.before",
    "append.1.after",
    "append.2.before",
    "append.2.after",
    "append.3.before",
    "append.3.after",
    "seal.1.before",
    "seal.1.after",
    "seal.2.before",
    "seal.2.after",
    "seal.3.before",
    "seal.3.after",
    "seal.4.before",
    "seal.4.after",
    "create.1.after",
    "create.2.before",
    "create.3.after",
    "recover.2.before",
    "recover.3.after",
  ],
  worker: [
    "fold.1.before",
    "fold.1.after",
    "fold.2.before",
    "fold.2.after",
    "fold.3.before",
    "fold.3.after",
    "fold.4.before",
    "fold.4.after",
    "fold.5.before",
    "fold.5.between",
    "fold.5.after",
    "fold.6.before",
    "fold.6.after",
    "recycle.1.before",
    "recycle.1.after",
    "recycle.2.before",
    "recycle.2.after",
    "recover.1.after",
    "recover.3.before",
  ],
  read: [],
};

export interface KillCounts {
  /** Cycles with a kill (several kills at once count once), and killed daemons. */
  cycles: number;
  kills: number;
  /** Kills that happened at a named point. */
  pointKills: number;
  /** Increments that were compared with the stored counts. */
  conserved: number;
  reads: number;
  verifications: number;
}

export interface KillHarnessOptions {
  readonly random: Random;
  readonly directory: string;
  readonly connections?: number;
  readonly logSize?: number;
}

export class KillHarness implements AsyncDisposable {
  readonly counts: KillCounts = {
    cycles: 0,
    kills: 0,
    pointKills: 0,
    conserved: 0,
    reads: 0,
    verifications: 0,
  };
  readonly #data: string;
  readonly #daemons = new Map<Role, CountdProcess>();
  readonly #load: CountdProcess;
  #reports = 0;

  private constructor(readonly options: KillHarnessOptions) {
    this.#data = `${options.directory}/data`;
    this.#load = startProgram([
      Deno.execPath(),
      "run",
      "--quiet",
      "-A",
      "--no-check",
      new URL("./load_process.ts", import.meta.url).pathname,
      String(options.random.seed),
      String(options.connections ?? 2),
    ]);
  }

  static async start(options: KillHarnessOptions): Promise<KillHarness> {
    const harness = new KillHarness(options);
    try {
      await harness.#startAll(roles);
      return harness;
    } catch (error) {
      await harness[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** `fault` is an order of `COUNTD_FAULT`; a daemon with an order may die before it is ready. */
  #spawn(role: Role, fault: string | null): CountdProcess {
    const { logSize = 256 * 1024 } = this.options;
    const args: Record<Role, readonly string[]> = {
      write: [
        "--ack",
        "--sync-interval=50ms",
        `--log-size=${logSize}`,
        `--keyspace-size=${sizes.keyspaceSize}`,
        `--key-size=${sizes.keySize}`,
        "--port=0",
      ],
      worker: [],
      read: [
        `--port=0`,
        `--keyspace-size=${sizes.keyspaceSize}`,
        `--key-size=${sizes.keySize}`,
      ],
    };
    const env: Record<string, string> = fault === null ? {} : { COUNTD_FAULT: fault };
    const process = startCountd([role, `--data=${this.#data}`, ...args[role]], { env });
    this.#daemons.set(role, process);
    return process;
  }

  async #startAll(those: readonly Role[]): Promise<void> {
    // The writer makes the directory; the others wait for it.
    for (const role of those) this.#spawn(role, null);
    for (const role of those) await this.#ready(role);
  }

  async #ready(role: Role): Promise<void> {
    const process = this.#daemons.get(role) as CountdProcess;
    if (role === "worker") return void await process.stderrLine(/worker ready/);
    const { port } = await process.listening();
    await this.#order(role === "write" ? { writePort: port } : { readPort: port });
  }

  async #order(order: object): Promise<void> {
    await this.#load.writeStdin(JSON.stringify(order) + "\n");
  }

  /** Lets the load run for a random time, kills some daemons, and starts them again. */
  async cycle(): Promise<void> {
    const { random } = this.options;
    this.counts.cycles++;
    const victims = random.pick<readonly Role[]>([
      ["write"],
      ["write"],
      ["worker"],
      ["worker"],
      ["write", "worker"],
      ["read"],
      ["write", "worker", "read"],
    ]);
    await new Promise((resolve) => setTimeout(resolve, random.between(0, 250)));
    for (const role of victims) this.#daemons.get(role)?.signal("SIGKILL");
    for (const role of victims) await this.#daemons.get(role)?.kill();
    this.counts.kills += victims.length;
    if (random.chance(0.15)) this.#checkMeanwhile();
    const armed = victims.filter((role) => points[role].length > 0 && random.chance(0.4));
    await Promise.all(armed.map((role) => this.#dieAtPoint(role)));
    await this.#startAll(victims);
  }

  /** Starts a daemon that kills itself at a named point; one that never reaches it is killed. */
  async #dieAtPoint(role: Role): Promise<void> {
    const { random } = this.options;
    const order = `kill@${random.pick(points[role])}#${random.pick([1, 1, 2, 3, 10])}`;
    const process = this.#spawn(role, order);
    const ready = this.#ready(role).catch(() => {});
    const ended = process.ended({ deadlineMs: 60_000 });
    const patience = new Promise((resolve) => setTimeout(resolve, random.between(800, 1500)));
    await Promise.race([ended, Promise.all([ready, patience])]);
    if (process.over) this.counts.pointKills++;
    await process.kill();
    await ready;
    const { signal } = await ended;
    assertEquals(signal, "SIGKILL", `${role} armed with ${order} ended by itself`);
    this.counts.kills++;
  }

  /** Stops everything in order, folds, and compares with the oracle. Continues if told so. */
  async verify(options: { resume: boolean }): Promise<void> {
    const report = await this.#pauseLoad();
    for (const role of roles) {
      const process = this.#daemons.get(role) as CountdProcess;
      process.signal("SIGTERM");
      const { code, stderr } = await process.ended();
      assertEquals(code, 0, `${role} stopped: ${stderr}`);
      const bug = /A bug in countd|quarantined|in quarantine|cannot be used/.exec(stderr);
      assertEquals(bug, null, `${role} said: ${stderr}`);
    }
    const once = await runCountd(["worker", "--once", `--data=${this.#data}`]);
    assertEquals(once.code, 0, `worker --once: ${once.stderr}`);
    this.#check();
    this.#compare(report);
    assertEquals(report.violations, []);
    this.counts.reads = report.reads;
    this.counts.verifications++;
    if (!options.resume) return;
    await this.#startAll(roles);
    await this.#order({ resume: true });
  }

  async #pauseLoad(): Promise<LoadReport> {
    await this.#order({ pause: true });
    const [line] = await this.#load.stdoutLine(/^\{.*\}$/, { from: this.#reports++ });
    return JSON.parse(line) as LoadReport;
  }

  /** Checks that nothing is broken, also while some daemons are dead and others work. */
  #checkMeanwhile(): void {
    const storage = systemStorage();
    try {
      const { violations } = checkDirectory(storage, this.#data, { self: describeSelf(storage) });
      assertEquals(violations, []);
    } catch (error) {
      // A keyspace may change faster than it can be read.
      if (!(error instanceof BusyError)) throw error;
    }
  }

  #check(): void {
    const storage = systemStorage();
    using directory = DataDirectory.open(storage, this.#data, { self: describeSelf(storage) });
    assertEquals(checkCommitLogs(directory, { labels: true }), []);
    assertEquals(checkKeyspaces(storage, directory.paths.keyspaces), []);
  }

  #compare(report: LoadReport): void {
    const stored = this.#readTotals();
    let messages = 0;
    for (const [connection, acknowledged, attempted, exact] of report.connections) {
      const { keyspace, key } = counterOf(COUNTERS - 1, connection);
      const own = Number(stored.get(`${keyspace} ${key}`) ?? 0n);
      const least = messagesOf(COUNTERS - 1, acknowledged);
      const most = messagesOf(COUNTERS - 1, attempted);
      const what = `connection ${connection}: ${own} stored, ${least} acknowledged, ${most} sent`;
      assert(least <= own && own <= most, what);
      if (exact) assertEquals(own, most, what);
      messages += acknowledged;
    }
    for (let counter = 0; counter < COUNTERS - 1; counter++) {
      let least = 0n;
      let most = 0n;
      const increment = incrementOf(counter);
      for (const [, acknowledged, attempted] of report.connections) {
        least += BigInt(messagesOf(counter, acknowledged)) * increment;
        most += BigInt(messagesOf(counter, attempted)) * increment;
      }
      const { keyspace, key } = counterOf(counter, 0);
      const value = stored.get(`${keyspace} ${key}`) ?? 0n;
      const what = `${keyspace} ${key}: ${value} stored, ${least} acknowledged, ${most} sent`;
      assert(least <= value && value <= most, what);
      assertEquals(value % increment, 0n, what);
    }
    this.counts.conserved = messages;
  }

  #readTotals(): Map<string, bigint> {
    const storage = systemStorage();
    const decoder = new TextDecoder();
    const totals = new Map<string, bigint>();
    for (const { name, path } of listKeyspaces(storage, `${this.#data}/keyspaces`)) {
      using reader = KeyspaceReader.open(storage, path);
      const page = reader.page(0, reader.total);
      for (const { key, value } of decodeRows(page.bytes, page.rows)) {
        totals.set(`${decoder.decode(name)} ${decoder.decode(key)}`, value);
      }
    }
    return totals;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const process of this.#daemons.values()) await process[Symbol.asyncDispose]();
    await within("the end of the load", this.#load[Symbol.asyncDispose]());
  }
}
