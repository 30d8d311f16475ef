/** A client of a write port. It notes what it sends, and when WIN comes back, by events of the disk. */

import { decodeTotals, TOTALS_BYTES, WriteMessageEncoder } from "../../src/counters/wire/mod.ts";
import type { Random } from "../support/random.ts";
import { waitUntil } from "../support/wait.ts";
import type { Increment } from "./oracle.ts";
import { pause } from "./workload.ts";

export const sizes = { keyspaceSize: 16, keySize: 16 } as const;

const WIN = new TextEncoder().encode("WIN");
/** Increments whose answer is missing, at most. */
const UNANSWERED_MAX = 100;
/** With the others of a load, more than a fold syncs one by one. */
const KEYSPACES = ["k0", "k1", "kü"] as const;
/** How often `run` renews a keyspace, in batches, so that folds make files. */
const RENEWAL_BATCHES = 150;

const encoder = new TextEncoder();
const message = new WriteMessageEncoder(sizes);

export class CounterLoad {
  readonly increments: Increment[] = [];
  /** What no answer may say. */
  readonly violations: string[] = [];
  #unique = 0;
  #newest = 0;

  constructor(
    readonly name: string,
    /** The number of the newest event. */
    readonly disk: { readonly now: number },
    readonly random: Random,
    readonly keyspaces: readonly string[] = KEYSPACES,
  ) {}

  /** Sends until the signal, through one connection after the other. `port` is null if there is none. */
  async run(port: () => number | null, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const now = port();
      try {
        if (now !== null) await this.#connection(now, signal);
      } catch (error) {
        if (!isLostConnection(error)) throw error;
      }
      await pause(20);
    }
  }

  async #connection(port: number, signal: AbortSignal): Promise<void> {
    using connection = await Deno.connect({ hostname: "127.0.0.1", port });
    const own: Increment[] = [];
    const answers = this.#readAnswers(connection, own);
    for (let batches = this.random.between(20, 800); batches > 0; batches--) {
      if (signal.aborted || answers.isOver()) break;
      if (batches % RENEWAL_BATCHES === 0) this.renewKeyspace();
      const batch = Array.from({ length: this.random.pick([1, 1, 1, 4, 12]) }, () => this.#next());
      own.push(...batch);
      this.increments.push(...batch);
      await sendAll(connection, encodeAll(batch));
      await waitUntil(
        "answers",
        () => answers.isOver() || answers.unanswered() < UNANSWERED_MAX,
        { everyMs: 1 },
      );
      await pause(this.random.pick([0, 0, 1, 3]));
    }
    if (!answers.isOver()) await connection.closeWrite();
    await answers.end;
  }

  /** Takes a new keyspace in place of the newest one. */
  renewKeyspace(): void {
    this.#newest++;
  }

  /** Sends this many increments and waits until all are answered. */
  async sendAndWait(port: number, count: number): Promise<void> {
    using connection = await Deno.connect({ hostname: "127.0.0.1", port });
    const own = Array.from({ length: count }, () => this.#next());
    this.increments.push(...own);
    const answers = this.#readAnswers(connection, own);
    await sendAll(connection, encodeAll(own));
    await connection.closeWrite();
    await answers.end;
  }

  #readAnswers(connection: Deno.TcpConn, own: readonly Increment[]): {
    readonly end: Promise<void>;
    isOver(): boolean;
    unanswered(): number;
  } {
    let isOver = false;
    let answered = 0;
    const read = async () => {
      let bytes = new Uint8Array(0);
      const chunk = new Uint8Array(16_384);
      while (true) {
        const count = await connection.read(chunk);
        if (count === null) break;
        // Asked after the answer came, so that everything it rests on has a number up to this one.
        const { now } = this.disk;
        bytes = joined(bytes, chunk.subarray(0, count));
        while (answered < own.length && WIN.every((byte, at) => bytes[at] === byte)) {
          (own[answered++] as Increment).answeredAt = now;
          bytes = bytes.subarray(WIN.length);
        }
      }
      // A server that stops sends its totals before it has read everything.
      if (bytes.length === TOTALS_BYTES) this.#compareTotals(bytes, answered);
      else if (bytes.length > 0) this.violations.push(`${bytes} is not an answer`);
    };
    const end = read().catch((error) => {
      if (!isLostConnection(error)) throw error;
    }).finally(() => isOver = true);
    return { end, isOver: () => isOver, unanswered: () => own.length - answered };
  }

  #compareTotals(bytes: Uint8Array<ArrayBuffer>, answered: number): void {
    const { accepted, refused } = decodeTotals(bytes, 0);
    if (Number(accepted) !== answered || refused !== 0n) {
      this.violations.push(`totals ${accepted} and ${refused}, ${answered} answers`);
    }
  }

  /** Keys of the keyspace `once` are sent once, so that 2 is a doubled one, whatever was answered. */
  #next(): Increment {
    const { random } = this;
    const sent = { sentAt: this.disk.now, answeredAt: Infinity };
    if (random.chance(0.5)) {
      return { ...sent, keyspace: "once", key: `${this.name}-${this.#unique++}`, increment: 1 };
    }
    const keyspace = random.pick([...this.keyspaces, `n${this.name}-${this.#newest}`]);
    return { ...sent, keyspace, key: `c${random.below(40)}`, increment: random.between(1, 5) };
  }
}

function encodeAll(increments: readonly Increment[]): Uint8Array {
  const bytes = new Uint8Array(increments.length * message.messageBytes);
  const view = new DataView(bytes.buffer);
  let offset = 0;
  for (const { keyspace, key, increment } of increments) {
    offset = message.encode(view, offset, {
      keyspace: encoder.encode(keyspace),
      key: encoder.encode(key),
      increment: BigInt(increment),
    });
  }
  return bytes;
}

async function sendAll(connection: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) done += await connection.write(bytes.subarray(done));
}

function joined(left: Uint8Array, right: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(left.length + right.length);
  both.set(left);
  both.set(right, left.length);
  return both;
}

/** The daemon was killed. */
function isLostConnection(error: unknown): boolean {
  return error instanceof Deno.errors.ConnectionRefused ||
    error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.BrokenPipe ||
    error instanceof Deno.errors.ConnectionAborted || error instanceof Deno.errors.NotConnected ||
    error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted;
}
