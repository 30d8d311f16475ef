/** Runs the shipped writer and worker, without their sockets, for one life on a simulated disk. */

import { noEvents } from "../../src/base/events.ts";
import { Metrics } from "../../src/base/metrics.ts";
import { DataDirectory } from "../../src/counters/commitlog/mod.ts";
import type { Storage } from "../../src/file/mod.ts";
import { Worker } from "../../src/counters/worker/mod.ts";
import { LogWriter } from "../../src/counters/write/mod.ts";
import type { CounterOracle } from "./counter_oracle.ts";
import {
  DATA,
  LOG_BYTES,
  OneBatch,
  smallSizes,
  someHolder,
  stillClock,
} from "./counter_subject.ts";

export const environment = { clock: stillClock, events: noEvents, metrics: new Metrics() };

/** Runs a writer and a fold until both are done or one of them fails. */
export async function session(
  storage: Storage,
  worker: Storage,
  oracle: CounterOracle,
): Promise<void> {
  using directory = DataDirectory.openOrCreate(storage, DATA, {
    wanted: smallSizes,
    self: someHolder,
  });
  const writer = await LogWriter.start(directory, {
    sync: "always",
    syncIntervalMs: 1000,
    logs: 2,
    backlogBytes: 6 * LOG_BYTES,
    sealAfterMs: 1000,
  }, environment);
  let failure: unknown = null;
  writer.failed.catch((error) => failure = error);
  try {
    for (let count = 0; count < 8; count++) {
      const batch = oracle.send(["one", "two"]);
      const filler = new OneBatch(batch);
      while (!writer.append(filler) && failure === null) await writer.rotate();
      await writer.whenDurable(writer.position);
      batch.acknowledged = true;
      if (count % 3 === 2) {
        await writer.rotate();
        await foldWith(worker);
      }
    }
  } finally {
    await writer.stop().catch((error) => failure ??= error);
  }
  if (failure !== null) throw failure;
  await foldWith(worker);
}

/** Runs `worker --once`, for two seconds at most. */
export async function foldWith(storage: Storage): Promise<void> {
  using directory = DataDirectory.open(storage, DATA, { self: someHolder });
  const signal = AbortSignal.timeout(2000);
  await new Worker(directory, environment).runOnce({ signal, lockTimeoutMs: 0 });
}
