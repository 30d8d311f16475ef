/** The daemons that are attacked, a good client beside them, and what is measured of both. */

import { assert, assertEquals } from "@std/assert";
import { increment, joined, receive, sendAll } from "../process/plain_messages.ts";
import { checkData } from "../support/check_data.ts";
import { type CountdProcess, startCountd, startProgram } from "../support/process.ts";
import { waitUntil } from "../support/wait.ts";
import type { Waits } from "./good_client.ts";
import { GOOD, hostname, LONG, LONG_ROWS, type Port } from "./ports.ts";

/** Programs of this directory, started as processes of their own. */
export function startBeside(file: string, ...args: readonly string[]): CountdProcess {
  const path = decodeURIComponent(new URL(file, import.meta.url).pathname);
  const command = [Deno.execPath(), "run", "--quiet", "-A", "--no-check", path, ...args];
  // The programs of this directory have full counts of their own.
  const long = Deno.env.get("COUNTD_TEST_LONG");
  return startProgram(command, long === undefined ? {} : { env: { COUNTD_TEST_LONG: long } });
}

export class World implements AsyncDisposable {
  private constructor(
    readonly data: string,
    readonly daemons: readonly CountdProcess[],
    readonly ports: readonly Port[],
  ) {}

  /** Starts `serve` and `db` with metrics, and puts some counters into them. */
  static async start(directory: string): Promise<World> {
    const data = `${directory}/data`;
    const anyPorts = ["--write-port", "0", "--read-port", "0", "--metrics-port", "0"];
    // A bound that the attackers reach.
    const bound = ["--max-connections", "256"];
    const serve = startCountd(["serve", "--ack", "--data", data, ...anyPorts, ...bound]);
    const db = startCountd(["db", "--data", data, "--port", "0"]);
    const daemons = [serve, db];
    try {
      const metrics = await serve.stderrLine(/metrics on \S+:(\d+)/);
      const ports: Port[] = [
        { name: "write", protocol: "write", port: (await serve.listening("write")).port },
        { name: "read", protocol: "read", port: (await serve.listening("read")).port },
        { name: "metrics", protocol: "http", port: Number(metrics[1]), path: "/metrics" },
        {
          name: "db",
          protocol: "http",
          port: (await db.listening()).port,
          path: "/get/good",
          formPath: "/set/attacked",
          longPath: "/get/long",
        },
      ];
      const world = new World(data, daemons, ports);
      await world.#fill();
      return world;
    } catch (error) {
      for (const daemon of daemons) await daemon[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #fill(): Promise<void> {
    const long = Array.from(
      { length: LONG_ROWS },
      (_, index) => increment(LONG, `${index}`.padEnd(200, "x"), 1n),
    );
    // With --ack the totals come behind the answers.
    await sendAcknowledged(this.portOf("write"), [...long, increment(GOOD, "key", 1n)]);
    for (const [key, value] of [["good", "1"], ["long", "x".repeat(4 * 2 ** 20)]] as const) {
      const url = `http://${hostname}:${this.portOf("db")}/set/${key}`;
      const answer = await fetch(url, { method: "POST", body: value });
      assertEquals(answer.status, 200);
      await answer.body?.cancel();
    }
  }

  portOf(name: string): number {
    return this.ports.find((port) => port.name === name)!.port;
  }

  descriptors(): number[] {
    return this.daemons.map(({ pid }) => [...Deno.readDirSync(`/proc/${pid}/fd`)].length);
  }

  /** Resident memory in MiB. */
  memory(): number[] {
    return this.daemons.map(({ pid }) => {
      const status = Deno.readTextFileSync(`/proc/${pid}/status`);
      return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
    });
  }

  /** The longest turn of the event loop of the server so far, in milliseconds of processor time. */
  async longestTurnMs(): Promise<number> {
    return await longestTurnMs(this.portOf("metrics"));
  }

  /** Waits until the daemons have given back the descriptors of an attack. */
  async recover(before: readonly number[]): Promise<void> {
    await waitUntil(
      "the descriptors to come back",
      () => this.descriptors().every((count, index) => count <= before[index]! + DESCRIPTORS_MORE),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const daemon of this.daemons) await daemon[Symbol.asyncDispose]();
  }

  /** Stops the daemons, and checks what they leave. */
  async stop(): Promise<void> {
    const codes = await Promise.all(this.daemons.map((daemon) => daemon.stop()));
    assertEquals(codes, this.daemons.map(() => 0));
    checkData(this.data);
  }
}

/** What a metrics port says of the event loop of its process. */
export async function longestTurnMs(port: number): Promise<number> {
  const text = await (await fetch(`http://${hostname}:${port}/metrics`)).text();
  return Number(/^countd_event_loop_turn_seconds (\S+)$/m.exec(text)?.[1]) * 1000;
}

/** Descriptors that a daemon may need more than before, such as those of more keyspaces. */
const DESCRIPTORS_MORE = 300;

/** Sends increments to a port that answers each; then come the totals. */
export async function sendAcknowledged(
  port: number,
  increments: readonly Uint8Array[],
): Promise<void> {
  using connection = await Deno.connect({ hostname, port });
  const answered = receive(connection, 3 * increments.length + 16);
  await sendAll(connection, joined(increments));
  await connection.closeWrite();
  const answers = await answered;
  const accepted = answers.getBigInt64(answers.byteLength - 16, true);
  assertEquals(accepted, BigInt(increments.length));
}

/** A good client that has been started, and is asked for its waits. */
export class GoodClient implements AsyncDisposable {
  private constructor(readonly process: CountdProcess) {}

  static async start(ports: readonly Port[]): Promise<GoodClient> {
    const process = startBeside("good_client.ts", JSON.stringify(ports));
    await process.stdoutLine(/^ready$/);
    return new GoodClient(process);
  }

  /** Measures until each question was answered a few times, but not longer than `boundMs`. */
  async waits(boundMs: number): Promise<Record<string, Waits>> {
    const from = this.process.stdoutLines.length;
    await this.process.writeStdin(`${boundMs}\n`);
    const [line] = await this.process.stdoutLine(/^\{.*\}$/, { from });
    return JSON.parse(line);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.process[Symbol.asyncDispose]();
  }
}

/** Asserts that no question has waited longer than `boundMs`, and that all were answered. */
export function assertServed(
  what: string,
  waits: Record<string, Waits>,
  { boundMs, isRefused = () => false }: {
    readonly boundMs: number;
    /** Questions that may fail. */
    readonly isRefused?: (question: string) => boolean;
  },
): void {
  const found = Object.entries(waits).filter(([question]) => !isRefused(question));
  assert(found.length > 0, `${what}: nothing was asked`);
  for (const [question, { worst, failures, count }] of found) {
    const said = `${what}: ${question}, ${count} times, waited ${Math.round(worst)} ms at worst`;
    if (worst > boundMs / 4) console.log(said);
    assertEquals(failures, [], said);
    assert(worst <= boundMs, `${said}, ${boundMs} ms are allowed`);
  }
}
