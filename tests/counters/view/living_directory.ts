/**
 * A data directory in one process, step by step: write, seal, fold and read, each when the test asks for it.
 * A model has the value that every counter must have.
 */

import { assertEquals } from "@std/assert";
import { systemClock } from "../../../src/base/clock.ts";
import { noEvents } from "../../../src/base/events.ts";
import { Metrics } from "../../../src/base/metrics.ts";
import {
  ActiveLog,
  checkCommitLogs,
  DataDirectory,
  describeSelf,
  type DirectorySizes,
  HeldLog,
  listSlots,
  LogPool,
  SealedLog,
} from "../../../src/counters/commitlog/mod.ts";
import { type Storage, systemStorage } from "../../../src/file/mod.ts";
import { Aggregator, checkKeyspaces } from "../../../src/counters/keyspace/mod.ts";
import { Fold } from "../../../src/counters/worker/fold.ts";
import { KeyspaceWriters } from "../../../src/counters/worker/keyspace_writers.ts";
import { Worker } from "../../../src/counters/worker/mod.ts";
import { Quarantine } from "../../../src/counters/worker/quarantine.ts";
import { WriteMessageEncoder } from "../../../src/counters/wire/mod.ts";
import { MessageFiller } from "../../../src/counters/write/message_filler.ts";
import { inRankOrder, INT64_MAX, INT64_MIN, latin1Bytes, type PlainRow } from "./plain_base.ts";

export interface Increment {
  readonly keyspace: string;
  readonly key: string;
  readonly increment: bigint;
}

export class LivingDirectory implements AsyncDisposable {
  readonly #writing: DataDirectory;
  readonly #pool: LogPool;
  readonly #filler: MessageFiller;
  readonly #encoder: WriteMessageEncoder;
  #active: ActiveLog | null = null;
  readonly #claims: Promise<ActiveLog>[] = [];
  /** The value that every counter must have. */
  readonly model = new Map<string, Map<string, bigint>>();

  private constructor(
    readonly storage: Storage,
    readonly path: string,
    sizes: Partial<DirectorySizes>,
    logs: number,
  ) {
    const self = describeSelf(this.storage);
    const wanted = { logSize: 65_536, ...sizes };
    this.#writing = DataDirectory.openOrCreate(this.storage, path, { wanted, self });
    this.#filler = new MessageFiller(this.#writing.sizes);
    this.#encoder = new WriteMessageEncoder(this.#writing.sizes);
    this.#pool = new LogPool(this.#writing, {
      logs,
      clock: systemClock,
    });
  }

  /** `storage`: the file system, or a simulated disk. */
  static async open(
    path: string,
    { logs = 4, storage = systemStorage(), ...sizes }:
      & Partial<DirectorySizes>
      & { readonly logs?: number; readonly storage?: Storage } = {},
  ): Promise<LivingDirectory> {
    const living = new LivingDirectory(storage, path, sizes, logs);
    await living.#pool.prepare();
    return living;
  }

  /** Another opening, as another process has it. */
  openAgain(storage: Storage = this.storage): DataDirectory {
    return DataDirectory.open(storage, this.path, { self: describeSelf(storage) });
  }

  /** Appends to the active log, and to further ones as they fill up. */
  async write(increments: readonly Increment[]): Promise<void> {
    const { messageBytes } = this.#encoder;
    const bytes = new Uint8Array(increments.length * messageBytes);
    const view = new DataView(bytes.buffer);
    increments.forEach(({ keyspace, key, increment }, index) => {
      this.#encoder.encode(view, index * messageBytes, {
        keyspace: latin1Bytes(keyspace),
        key: latin1Bytes(key),
        increment,
      });
      this.#note({ keyspace, key, increment });
    });
    for (let start = 0; start < bytes.length;) {
      this.#active ??= await this.#claim();
      this.#filler.begin(bytes, start, bytes.length);
      this.#active.append(this.#filler);
      start = this.#filler.next;
      if (start < bytes.length) await this.seal();
    }
  }

  async seal({ sync = false } = {}): Promise<void> {
    await this.#active?.seal({ sync });
    this.#active = null;
  }

  /** Leaves the active log as a dead writer does. */
  abandon(): void {
    this.#active?.leaveForRecovery();
    this.#active = null;
  }

  /** Folds the sealed logs. */
  async fold(): Promise<void> {
    using directory = this.openAgain();
    const metrics = new Metrics();
    const worker = new Worker(directory, { clock: systemClock, events: noEvents, metrics });
    await worker.runOnce({ signal: new AbortController().signal, lockTimeoutMs: 60_000 });
  }

  /**
   * Folds the lowest sealed log and recycles it, in one turn of the event loop: for tests that do it in the
   * middle of an answer. Returns its slot, or null if no log is sealed.
   */
  foldOneNow(): number | null {
    using directory = this.openAgain();
    const writers = new KeyspaceWriters(this.storage, directory.paths.keyspaces);
    const aside = new Quarantine(systemClock, noEvents);
    try {
      for (const slot of listSlots(this.storage, directory.paths.logs).slots) {
        const taken = SealedLog.take(directory, slot);
        if (taken.kind !== "sealed") continue;
        const fold = new Fold(directory, writers, new Aggregator(), aside);
        fold.add(taken.log);
        fold.applyAndRecycle();
        return slot;
      }
      return null;
    } finally {
      writers.close();
    }
  }

  /** Begins a new generation in a free log, as far as that goes in one turn. */
  claimNow(slot: number): void {
    const held = HeldLog.take(this.#writing, slot);
    const header = held?.header();
    if (!held || header?.state !== "free") throw new Error(`Slot ${slot} is not free`);
    this.#claims.push(ActiveLog.claim(held, header, systemClock));
  }

  /** All counters of a keyspace in rank order. */
  ranking(keyspace: string): PlainRow[] {
    const counters = this.model.get(keyspace) ?? [];
    return inRankOrder(Array.from(counters, ([key, value]) => ({ key, value })));
  }

  violations(): unknown[] {
    return [
      ...checkCommitLogs(this.#writing),
      ...checkKeyspaces(this.storage, this.#writing.paths.keyspaces),
    ];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.seal();
    for (const claim of this.#claims) await (await claim).seal({ sync: false });
    assertEquals(this.violations(), []);
    this.#writing.close();
  }

  async #claim(): Promise<ActiveLog> {
    const claimed = await this.#pool.claim();
    if (typeof claimed === "string") throw new Error(`No log can be had: ${claimed}`);
    return claimed;
  }

  #note({ keyspace, key, increment }: Increment): void {
    if (increment === 0n) return;
    let counters = this.model.get(keyspace);
    if (counters === undefined) this.model.set(keyspace, counters = new Map());
    const sum = (counters.get(key) ?? 0n) + increment;
    if (sum > INT64_MAX || sum < INT64_MIN) throw new Error("The model does not saturate");
    counters.set(key, sum);
  }
}
