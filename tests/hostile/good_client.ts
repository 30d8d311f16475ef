/**
 * A good client, as a process of its own: it asks each port for little, again and again, and measures each
 * wait. So the waits are those of the servers, not those of the program that attacks.
 *
 *     deno run -A good_client.ts PORTS-AS-JSON
 *
 * Each line on stdin begins a measurement. It ends when each question was asked and answered a few times since
 * then, or after the milliseconds in the line, and prints one line: the waits as JSON. A question that is not
 * answered by then counts with its wait so far. It asks on connections that it keeps, and on new ones.
 */

import {
  increment,
  pageRequest,
  rankRequest,
  receive,
  sendAll,
} from "../process/plain_messages.ts";
import { GOOD, type Port } from "./ports.ts";
import { connect, httpGet, pause, readHttpAnswer } from "./raw.ts";

const ASK_EVERY_MS = 5;
/** A measurement takes so long at least, and so many answers to each question. */
const MEASURE_MS_MIN = Deno.env.get("COUNTD_TEST_LONG") === undefined ? 250 : 3000;
const ANSWERS_MIN = 5;
/** Since when each question waits. */
const waiting = new Map<string, number>();

export interface Waits {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly worst: number;
  readonly failures: readonly string[];
}

let measuredFromMs = 0;
const measured = new Map<string, { waits: number[]; failures: string[] }>();

function measuredOf(name: string) {
  const known = measured.get(name) ?? { waits: [], failures: [] };
  measured.set(name, known);
  return known;
}

async function reply(connection: Deno.TcpConn): Promise<void> {
  const head = await receive(connection, 24);
  if (head.getBigInt64(0, true) < 0n) throw new Error(`Refused: ${head.getBigInt64(0, true)}`);
  await receive(connection, Number(head.getBigInt64(16, true)));
}

/** One question on a connection, by protocol. */
const QUESTIONS: Record<Port["protocol"], Record<string, Ask>> = {
  write: {
    ack: async (connection) => {
      await sendAll(connection, increment(GOOD, "key", 1n));
      const answer = await receive(connection, 3);
      if (answer.getUint8(0) !== 0x57) throw new Error("Not accepted");
    },
  },
  read: {
    page: async (connection) => {
      await sendAll(connection, pageRequest(GOOD, 10));
      await reply(connection);
    },
    rank: async (connection) => {
      await sendAll(connection, rankRequest(GOOD, "key"));
      await reply(connection);
    },
  },
  http: {
    get: async (connection, { path = "/" }) => {
      await sendAll(connection, httpGet(path));
      const status = await readHttpAnswer(connection);
      if (status !== 200) throw new Error(`Status ${status}`);
    },
  },
};

type Ask = (connection: Deno.TcpConn, port: Port) => Promise<void>;

const names: string[] = [];

async function measure(name: string, ask: () => Promise<void>): Promise<void> {
  names.push(name);
  while (true) {
    const startMs = performance.now();
    waiting.set(name, startMs);
    try {
      await ask();
    } catch (error) {
      measuredOf(name).failures.push(String(error));
      await pause(50);
    }
    waiting.delete(name);
    // What began before the measurement does not count.
    if (startMs >= measuredFromMs) measuredOf(name).waits.push(performance.now() - startMs);
    await pause(ASK_EVERY_MS);
  }
}

/** Asks on a connection that is kept; it must stay, whatever happens around it. */
async function askOften(port: Port, what: string, ask: Ask): Promise<void> {
  let connection = await connect(port);
  await measure(`${port.name} ${what}`, async () => {
    try {
      await ask(connection, port);
    } catch (error) {
      connection.close();
      connection = await connect(port);
      throw error;
    }
  });
}

async function askAnew(port: Port, what: string, ask: Ask): Promise<void> {
  await measure(`${port.name} ${what}, new connection`, async () => {
    using connection = await connect(port);
    await ask(connection, port);
  });
}

/** Measures until each question was answered often enough, but no longer than `boundMs`. */
async function measurement(boundMs: number): Promise<Record<string, Waits>> {
  measured.clear();
  for (const name of names) measuredOf(name);
  measuredFromMs = performance.now();
  const isEnough = () => [...measured.values()].every(({ waits }) => waits.length >= ANSWERS_MIN);
  do await pause(20); while (
    performance.now() - measuredFromMs < MEASURE_MS_MIN ||
    !isEnough() && performance.now() - measuredFromMs < boundMs
  );
  const nowMs = performance.now();
  for (const [name, sinceMs] of waiting) {
    measuredOf(name).waits.push(nowMs - Math.max(sinceMs, measuredFromMs));
  }
  const all = [...measured].map(([name, { waits, failures }]) => {
    waits.sort((left, right) => left - right);
    const at = (part: number) =>
      waits[Math.min(waits.length - 1, Math.floor(waits.length * part))]!;
    return [name, {
      count: waits.length,
      p50: at(0.5),
      p99: at(0.99),
      worst: waits.at(-1)!,
      failures: failures.slice(0, 3),
    }];
  });
  return Object.fromEntries(all);
}

if (import.meta.main) {
  for (const port of JSON.parse(Deno.args[0]!) as Port[]) {
    for (const [what, ask] of Object.entries(QUESTIONS[port.protocol])) {
      void askOften(port, what, ask);
      void askAnew(port, what, ask);
    }
  }
  console.log("ready");
  for await (const chunk of Deno.stdin.readable) {
    console.log(JSON.stringify(await measurement(Number(new TextDecoder().decode(chunk)))));
  }
  Deno.exit(0);
}
