/**
 * The append-only files of one directory: one instance for each name, one reactor for all tailers, one
 * set of counters, and extension ahead of the writes.
 */

import { type Clock, systemClock } from "../../base/clock.ts";
import { UsageError } from "../../base/errors.ts";
import { makeDirectories, type Storage } from "../../file/mod.ts";
import { Aof } from "./aof.ts";
import { ErrClosed } from "./errors.ts";
import { Extender } from "./extender.ts";
import { FileState } from "./file_state.ts";
import type { Geometry } from "./geometry.ts";
import { SIDE_FILE_SUFFIX } from "../marks/layout.ts";
import { READ_MODE_DEFAULT, WRITE_MODE_DEFAULT } from "./parts.ts";
import { type ErrorFunc, Reactor } from "../tail/reactor.ts";
import type { Recovery } from "../marks/recovery.ts";
import { Stats, type StatsSnapshot } from "./stats.ts";

/** Permission bits of the directory: for its owner alone. */
const DIRECTORY_MODE = 0o700;

/** Options of a `Manager`. */
export interface ManagerOptions {
  /** Permission bits of files that are made. Default, also for 0: 0600. */
  readonly writeMode?: number | undefined;
  /** Permission bits of finished files. Default, also for 0: 0444. */
  readonly readMode?: number | undefined;
  /** Polls all tailers. Default: a reactor of the manager's own, which it closes. */
  readonly reactor?: Reactor | undefined;
  /** Times the counted calls and the pace of the writes. Default: the clock of this machine. */
  readonly clock?: Clock | undefined;
  /** Gets what consumers throw, and the errors of extending a file ahead. Default: they are dropped. */
  readonly onError?: ErrorFunc | undefined;
}

/** Options of `Manager.open`. They mean what they mean in `Aof.open`. */
export interface ManagerOpenOptions {
  /** Default: one page growing by pages to 16 MiB, and a missing file is not made. */
  readonly geometry?: Geometry | undefined;
  /** How the end of the data is found. Default: by kirana's marks (`recoveryDefault`). */
  readonly recovery?: Recovery | undefined;
  /** Publish the size in the side file NAME.size, for tailers of other processes. Default false. */
  readonly shared?: boolean | undefined;
}

/**
 * The append-only files of one directory, with one reactor and one set of counters. It extends the files
 * ahead of the writes, between turns of the event loop. Continues `Manager` of kirana's `aof`.
 */
export class Manager implements Disposable, AsyncDisposable {
  /** Path of the directory, as it was given. */
  readonly directory: string;
  /** Polls the tailers of all files. */
  readonly reactor: Reactor;
  readonly #storage: Storage;
  readonly #clock: Clock;
  readonly #writeMode: number;
  readonly #readMode: number;
  readonly #ownsReactor: boolean;
  readonly #stats = new Stats();
  readonly #extender: Extender;
  readonly #instances = new Map<string, Aof>();
  #isClosed = false;

  /** Make the directory (0700, with its parents) if it is missing. Throws `OsError`. */
  constructor(storage: Storage, directory: string, options: ManagerOptions = {}) {
    const { clock = systemClock, onError = () => {} } = options;
    this.#storage = storage;
    this.directory = directory;
    this.#clock = clock;
    this.#writeMode = options.writeMode || WRITE_MODE_DEFAULT;
    this.#readMode = options.readMode || READ_MODE_DEFAULT;
    this.#ownsReactor = options.reactor === undefined;
    this.reactor = options.reactor ?? new Reactor({ clock, onError });
    this.#extender = new Extender({ clock, onError });
    makeDirectories(storage, directory, DIRECTORY_MODE);
  }

  /**
   * Open the file `name` of the directory. While it is open, opening the name again gives the same
   * instance and ignores the options. A failed open is not remembered: the next one starts anew. Throws
   * `ErrClosed` after `close`, `UsageError` if `name` is not a single file name or ends in `.size`, and
   * what `Aof.open` throws.
   */
  open(name: string, options: ManagerOpenOptions = {}): Aof {
    return this.#instance(name, () =>
      Aof.open(this.#storage, `${this.directory}/${name}`, {
        ...options,
        writeMode: this.#writeMode,
        readMode: this.#readMode,
        stats: this.#stats,
        clock: this.#clock,
        reactor: this.reactor,
      }));
  }

  /** As `open`, with `size` bytes of memory (rounded up to pages) in place of a file. */
  openAnonymous(name: string, size: number): Aof {
    return this.#instance(name, () =>
      Aof.anonymous(name, size, {
        stats: this.#stats,
        clock: this.#clock,
        reactor: this.reactor,
      }));
  }

  #instance(name: string, open: () => Aof): Aof {
    if (this.#isClosed) throw new ErrClosed(`Cannot open ${name}: the manager is already closed`);
    checkName(name);
    const known = this.#instances.get(name);
    if (known !== undefined && known.state < FileState.Closing) return known;
    const aof = open();
    this.#instances.set(name, aof);
    this.#extender.watch(aof);
    aof.closed.then(() => this.#forget(name, aof));
    return aof;
  }

  #forget(name: string, aof: Aof): void {
    this.#extender.forget(aof);
    if (this.#instances.get(name) === aof) this.#instances.delete(name);
  }

  /** Give the counters of all instances as they are now. */
  stats(): StatsSnapshot {
    return this.#stats.snapshot();
  }

  /** Close every file with its tailers. Throws `ErrClosed` the second time. */
  close(): void {
    if (this.#isClosed) throw new ErrClosed("Cannot close: the manager is already closed");
    this.#isClosed = true;
    this.#extender.close();
    for (const aof of [...this.#instances.values()]) aof[Symbol.dispose]();
    if (this.#ownsReactor) this.reactor.close();
  }

  /** Close the manager unless it is closed already. */
  [Symbol.dispose](): void {
    if (!this.#isClosed) this.close();
  }

  /** Close the manager unless it is closed already, and wait until the memory of its files is released. */
  async [Symbol.asyncDispose](): Promise<void> {
    const instances = [...this.#instances.values()];
    this[Symbol.dispose]();
    await Promise.all(instances.map((aof) => aof.closed));
  }
}

function checkName(name: string): void {
  const isFileName = name !== "" && name !== "." && name !== ".." && !/[/\0]/.test(name);
  if (!isFileName) {
    throw new UsageError(
      `Invalid name ${JSON.stringify(name)}: give the name of one file in the manager's directory`,
    );
  }
  if (name.endsWith(SIDE_FILE_SUFFIX)) {
    throw new UsageError(
      `Invalid name ${JSON.stringify(name)}: ${SIDE_FILE_SUFFIX} is the ending of side files`,
    );
  }
}
