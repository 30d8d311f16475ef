/**
 * Writers and folds over the commit logs on the simulated disk. The caller chooses the fold: the short one
 * of these tests, or the worker's own.
 */

import { assert, assertEquals } from "@std/assert";
import type { Clock } from "../../src/base/clock.ts";
import {
  ActiveLog,
  type BatchFiller,
  DataDirectory,
  type DirectorySizes,
  FREE_MODE,
  HeldLog,
  type Holder,
  listSlots,
  LogPool,
  LogReader,
  pathOfSlot,
  recoverHeld,
} from "../../src/counters/commitlog/mod.ts";
import type { Storage } from "../../src/file/mod.ts";
import { encodeCounter, encodeDefinition } from "../../src/counters/wire/mod.ts";
import type { Random } from "../support/random.ts";
import type { SimulatedDisk } from "../support/simulated_disk.ts";
import {
  CounterOracle,
  keyOfBatch,
  type SentBatch,
  SUM_KEY,
  type Totals,
} from "./counter_oracle.ts";
import type { Subject } from "./explore.ts";

export const DATA = "/data";
export const LOG_BYTES = 65_536;

export const smallSizes: DirectorySizes = { keyspaceSize: 256, keySize: 256, logSize: LOG_BYTES };

export const someHolder: Holder = { pid: 1, startTicks: 1n, bootId: "test" };

/** A clock that never moves: nothing on the simulated disk takes time. */
export const stillClock: Clock = {
  nowMs: () => 0,
  wallMs: () => 0,
  sleep: () => Promise.resolve(),
};

/** Brings sealed logs into the keyspaces, and reads what is then in them. */
export interface Fold {
  fold(directory: DataDirectory): void | Promise<void>;
  totals(storage: Storage): Totals;
  /** Throws if the stored data breaks a rule of its own. */
  check?(storage: Storage): void;
}

/** One thing that a writer does. */
export type WriterStep =
  /** Appends a batch to this many keyspaces. */
  | { readonly do: "append"; readonly keyspaces: readonly string[] }
  /** Group commit; what was appended before is then acknowledged. */
  | { readonly do: "sync" }
  /** Appends batches until the log is full. */
  | { readonly do: "fill"; readonly keyspaces: readonly string[] }
  | { readonly do: "seal"; readonly sync: boolean }
  /** kill -9 of this writer; another one starts. */
  | { readonly do: "die" }
  | { readonly do: "fold" };

export interface CounterWork {
  readonly steps: (random: Random | null) => readonly WriterStep[];
  readonly fold: Fold;
  readonly random?: Random;
  /** The work itself makes the data directory, so that making it is crashed too. */
  readonly fromNothing?: boolean;
  /** Puts other files into the data directory before the work. */
  readonly litter?: (storage: Storage) => void;
  /** Slots that are made at the first start; 2 when not given. */
  readonly logs?: number;
  /** Planted: a claim uses the last generation again. */
  readonly keepGeneration?: boolean;
  /** Planted: batches are acknowledged without waiting for the disk. */
  readonly acknowledgeBeforeSync?: boolean;
  /** Planted: a storage between the code under test and the disk. */
  readonly plant?: (storage: Storage) => Storage;
}

/** A filler that writes exactly one batch. */
export class OneBatch implements BatchFiller {
  filledRecords = 0;
  constructor(readonly batch: SentBatch) {}

  fill(log: Uint8Array, start: number, end: number): number {
    const encode = (text: string) => new TextEncoder().encode(text);
    let offset = start;
    this.filledRecords = 0;
    // A batch takes less than 1,024 bytes for each keyspace that it names.
    if (end - start < 1024 * this.batch.keyspaces.length + 512) return start;
    this.batch.keyspaces.forEach((name, number) => {
      offset = encodeDefinition(log, offset, { number, name: encode(name) });
    });
    this.batch.keyspaces.forEach((_, keyspace) => {
      const own = { keyspace, key: encode(keyOfBatch(this.batch)), increment: 1n };
      const shared = { keyspace, key: encode(SUM_KEY), increment: this.batch.value };
      offset = encodeCounter(log, offset, own);
      offset = encodeCounter(log, offset, shared);
      this.filledRecords += 2;
    });
    return offset;
  }

  rollBack(): void {
    this.filledRecords = 0;
  }
}

class WriterSession {
  #active: ActiveLog | null = null;
  #waiting: SentBatch[] = [];

  constructor(
    readonly pool: LogPool,
    readonly oracle: CounterOracle,
    readonly work: CounterWork,
  ) {}

  async step(step: Exclude<WriterStep, { do: "die" }>): Promise<void> {
    switch (step.do) {
      case "append":
        return void await this.#append(step.keyspaces);
      case "fill":
        while (await this.#append(step.keyspaces));
        return;
      case "sync":
        return await this.#sync();
      case "seal":
        return await this.#seal(step.sync);
      case "fold":
        return await this.work.fold.fold(this.pool.directory);
    }
  }

  async #claimed(): Promise<ActiveLog> {
    if (this.#active !== null) return this.#active;
    if (this.work.keepGeneration) return this.#active = await this.#claimAgain();
    let active = await this.pool.claim();
    if (!(active instanceof ActiveLog)) {
      await this.work.fold.fold(this.pool.directory);
      active = await this.pool.claim();
    }
    assert(active instanceof ActiveLog, `no log to be had: ${active}`);
    return this.#active = active;
  }

  async #claimAgain(): Promise<ActiveLog> {
    const { directory } = this.pool;
    for (const slot of listSlots(directory.storage, directory.paths.logs).slots) {
      const held = HeldLog.take(directory, slot);
      const header = held?.header();
      if (held && header?.state === "free") {
        const generation = header.generation === 0n ? 0n : header.generation - 1n;
        return await ActiveLog.claim(held, { ...header, generation }, stillClock);
      }
      if (held) recoverHeld(held);
    }
    throw new Error("no free log");
  }

  /** False if the log is full. */
  async #append(keyspaces: readonly string[]): Promise<boolean> {
    const active = await this.#claimed();
    const batch = this.oracle.send(keyspaces);
    this.#waiting.push(batch);
    const before = active.tail;
    active.append(new OneBatch(batch));
    if (active.tail > before) {
      if (this.work.acknowledgeBeforeSync) this.#acknowledge([batch]);
      return true;
    }
    this.#waiting.pop();
    this.oracle.batches.pop();
    return false;
  }

  #acknowledge(batches: readonly SentBatch[]): void {
    for (const batch of batches) batch.acknowledged = true;
  }

  async #sync(): Promise<void> {
    if (this.#active === null) return;
    const covered = this.#waiting;
    this.#waiting = [];
    await this.#active.sync();
    this.#acknowledge(covered);
  }

  async #seal(sync: boolean): Promise<void> {
    if (this.#active === null) return;
    const active = this.#active;
    const covered = this.#waiting;
    this.#active = null;
    this.#waiting = [];
    await active.seal({ sync });
    if (sync) this.#acknowledge(covered);
  }

  async stop(): Promise<void> {
    await this.#seal(true);
  }
}

/** Opens the data directory as a daemon does, then makes and recovers the pool. */
export async function openPool(
  storage: Storage,
  logs = 2,
  onDamage = (error: Error): void => {
    throw error;
  },
): Promise<LogPool> {
  const directory = DataDirectory.openOrCreate(storage, DATA, {
    wanted: smallSizes,
    self: someHolder,
  });
  const pool = new LogPool(directory, {
    logs,
    backlogBytes: 4 * LOG_BYTES,
    clock: stillClock,
    onDamage,
  });
  await pool.prepare();
  pool.recoverAll();
  return pool;
}

export function counterSubject(name: string, work: CounterWork): Subject<CounterOracle> {
  const planted = (storage: Storage) => work.plant?.(storage) ?? storage;
  return {
    name,
    disk: { sizeBytes: 8 * 1024 * 1024 },
    newOracle: () => new CounterOracle(),
    copyOracle: (oracle) => oracle.copy(),
    signature: (oracle) => oracle.batches.map((batch) => Number(batch.acknowledged)).join(""),
    async prepare(disk) {
      if (work.fromNothing) return;
      const pool = await openPool(disk.process("prepare"), work.logs);
      pool.directory.close();
      work.litter?.(disk.process("litter"));
    },
    async work(disk, oracle) {
      let process = disk.process("writer");
      let session = new WriterSession(await openPool(planted(process), work.logs), oracle, work);
      for (const step of work.steps(work.random ?? null)) {
        if (step.do === "die") {
          process.kill();
          process = disk.process("next writer");
          session = new WriterSession(await openPool(planted(process), work.logs), oracle, work);
        } else await session.step(step);
      }
      await session.stop();
      session.pool.directory.close();
    },
    async recover(disk, _oracle) {
      const storage = planted(disk.process("worker"));
      const directory = work.fromNothing
        // A daemon that finds an unfinished directory completes it.
        ? (await openPool(storage, work.logs)).directory
        : DataDirectory.open(storage, DATA, { self: someHolder });
      await work.fold.fold(directory);
      directory.close();
    },
    async verify(disk, oracle) {
      const storage = disk.process("verify");
      assertEquals(disk.space.storesIntoHoles, 0, "stores into space that was not allocated");
      verifyPool(storage, work.logs ?? 2);
      work.fold.check?.(storage);
      oracle.judge(work.fold.totals(storage));
      await useEverySlotAgain(disk, oracle.copy(), work);
    },
  };
}

/** Checks that every slot can be used again, and that what is written there next counts. */
async function useEverySlotAgain(
  disk: SimulatedDisk,
  oracle: CounterOracle,
  work: CounterWork,
): Promise<void> {
  const pool = await openPool(disk.process("next writer"), work.logs);
  const session = new WriterSession(pool, oracle, work);
  const { slots } = listSlots(pool.directory.storage, pool.directory.paths.logs);
  for (const _ of slots) {
    await session.step({ do: "append", keyspaces: ["again", "one"] });
    await session.step({ do: "seal", sync: true });
  }
  await session.step({ do: "fold" });
  oracle.judge(work.fold.totals(pool.directory.storage));
  verifyPool(pool.directory.storage, slots.length);
  pool.directory.close();
}

/** After a fold every log is free again, by its header, its label and its names. */
function verifyPool(storage: Storage, least: number): void {
  using directory = DataDirectory.open(storage, DATA, { self: someHolder });
  const { slots, unfinished } = listSlots(storage, directory.paths.logs);
  assert(slots.length >= least, "the slots are there");
  const names = storage.readDirectory(directory.paths.logs).filter((name) => !/^cut-/.test(name));
  // A slot that was being made is completed by the next process that needs it.
  assertEquals(
    names.length,
    slots.length + unfinished.length,
    `names in the pool: ${names.join(", ")}`,
  );
  for (const slot of slots) {
    const path = pathOfSlot(directory.paths.logs, slot);
    using reader = LogReader.open(directory, slot);
    assertEquals(reader?.capture()?.state, "free", `${path} after the fold`);
    const status = storage.status(path);
    assertEquals(status.mode, FREE_MODE, `mode of ${path}`);
    assertEquals(status.links, 1, `links of ${path}`);
  }
}

/** Anything that a writer and a fold may do in one life. */
export function randomWriterSteps(random: Random | null): WriterStep[] {
  if (random === null) return [];
  const keyspaces = () => random.pick([["one"], ["two"], ["one", "two"], ["three", "one"]]);
  return Array.from({ length: random.between(1, 10) }, (): WriterStep => {
    const chance = random.below(20);
    if (chance < 10) return { do: "append", keyspaces: keyspaces() };
    if (chance < 13) return { do: "sync" };
    if (chance < 16) return { do: "seal", sync: true };
    if (chance < 17) return { do: "die" };
    if (chance < 18) return { do: "fill", keyspaces: ["one", "two", "three"] };
    return { do: "fold" };
  });
}
