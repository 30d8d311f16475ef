/**
 * `countd serve`: writer and reader in this process, the worker in a process of its own, all on one data
 * directory. They are stopped in the order of the data: write, worker, read.
 */

import type { Storage } from "../file/mod.ts";
import {
  DataDirectory,
  describeSelf,
  type DirectorySizes,
  slotsOfBacklog,
} from "../counters/commitlog/mod.ts";
import { ReadServer, type ReadServerOptions } from "../counters/read/mod.ts";
import { WriteServer, type WriteServerOptions } from "../counters/write/mod.ts";
import type { ServerEnvironment } from "../net/mod.ts";
import { WorkerProcess } from "./worker_process.ts";

export interface ServeOptions {
  readonly data: string;
  readonly wanted: Partial<DirectorySizes>;
  readonly write: WriteServerOptions;
  readonly read: ReadServerOptions;
  /** Arguments that make this program `countd worker … --until-stdin-ends`. */
  readonly workerArgs: readonly string[];
}

export class Serve {
  private constructor(
    readonly write: WriteServer,
    readonly read: ReadServer,
    readonly worker: WorkerProcess,
    /** One opening for each server: locks belong to an opening, so neither has the locks of the other. */
    readonly directories: readonly DataDirectory[],
  ) {}

  /** Throws as the two servers do; then nothing is left running. */
  static async start(
    storage: Storage,
    options: ServeOptions,
    environment: ServerEnvironment & { readonly signal: AbortSignal },
  ): Promise<Serve> {
    const self = describeSelf(storage);
    await using undo = new AsyncDisposableStack();
    const forWriting = undo.use(DataDirectory.openOrCreate(storage, options.data, {
      wanted: options.wanted,
      self,
      beforeMaking: ({ logSize }) => slotsOfBacklog(options.write.backlogBytes, logSize),
    }));
    const forReading = undo.use(DataDirectory.open(storage, options.data, { self }));
    const write = await WriteServer.start(forWriting, options.write, environment);
    // The error that ends the start is the one to report.
    undo.defer(() => write.stop().catch(() => {}));
    const read = new ReadServer(forReading, options.read, environment);
    undo.defer(() => read.stop());
    const worker = new WorkerProcess({ args: options.workerArgs }, environment);
    undo.move();
    return new Serve(write, read, worker, [forWriting, forReading]);
  }

  /** Rejects when one of the two servers must end; never resolves. */
  get failed(): Promise<never> {
    return Promise.race([this.write.failed, this.read.failed]);
  }

  /** Stops all three, even if one of them fails; then throws the first failure. */
  async stop(): Promise<void> {
    const failures: unknown[] = [];
    for (const part of [this.write, this.worker, this.read]) {
      await part.stop().catch((error) => failures.push(error));
    }
    for (const directory of this.directories) directory.close();
    if (failures.length > 0) throw failures[0];
  }
}
