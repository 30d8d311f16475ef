/**
 * What was done, counted. Times are milliseconds of the monotonic clock. The names are those of kirana's
 * `aof`.
 */

/** A count. Only those whose name begins with `active` also go down. */
export class Counter {
  #count = 0;

  /** Add `amount`, which may be negative. */
  add(amount = 1): void {
    this.#count += amount;
  }

  /** Give the count. */
  load(): number {
    return this.#count;
  }
}

/** A total of time. */
export class TimeCounter {
  #totalMs = 0;

  /** Add the duration of one call, in milliseconds. */
  add(durationMs: number): void {
    this.#totalMs += durationMs;
  }

  /** Give the total in milliseconds. */
  load(): number {
    return this.#totalMs;
  }
}

/**
 * Counters of all instances that were opened with this set, such as those of one manager. A name that ends
 * in `Dur` is the time of the calls that the counter before it counts. A new set starts at zero.
 */
export class Stats {
  /** Files made. */
  readonly creates: Counter = new Counter();
  /** Time of making those files. It is also part of `opensDur`. */
  readonly createsDur: TimeCounter = new TimeCounter();
  /** Instances opened, with the files that were made and the anonymous ones. */
  readonly opens: Counter = new Counter();
  /** Time of those opens. */
  readonly opensDur: TimeCounter = new TimeCounter();
  /** Opens that failed. */
  readonly openErrors: Counter = new Counter();
  /** Time of the opens that failed. */
  readonly openErrorsDur: TimeCounter = new TimeCounter();
  /** Descriptors opened. */
  readonly openFileCount: Counter = new Counter();
  /** Time of opening those descriptors. */
  readonly openFileDur: TimeCounter = new TimeCounter();
  /** Descriptors that could not be opened. */
  readonly openFileErrors: Counter = new Counter();
  /** Time of trying to open those. */
  readonly openFileErrorsDur: TimeCounter = new TimeCounter();
  /** Instances closed. */
  readonly closes: Counter = new Counter();
  /** Time of those closes. */
  readonly closeDur: TimeCounter = new TimeCounter();
  /** Mappings that exist now. */
  readonly activeMaps: Counter = new Counter();
  /** Bytes of the files that are open now. */
  readonly activeFileSize: Counter = new Counter();
  /** Bytes of the mappings that exist now. */
  readonly activeMappedMemory: Counter = new Counter();
  /** Bytes of the anonymous instances that are open now. */
  readonly activeAnonymousMemory: Counter = new Counter();
  /** Bytes ever mapped or allocated for anonymous instances. */
  readonly lifetimeMemory: Counter = new Counter();
  /** Flushes. */
  readonly flushes: Counter = new Counter();
  /** Time of the flushes. */
  readonly flushesDur: TimeCounter = new TimeCounter();
  /** Calls of `flush` that failed. */
  readonly flushErrors: Counter = new Counter();
  /** Time of the calls that failed. */
  readonly flushErrorsDur: TimeCounter = new TimeCounter();
  /** Files finished. */
  readonly finishes: Counter = new Counter();
  /** Time of finishing them. */
  readonly finishesDur: TimeCounter = new TimeCounter();
  /** Calls of `finish` that failed. */
  readonly finishErrors: Counter = new Counter();
  /** Time of the calls that failed. */
  readonly finishErrorsDur: TimeCounter = new TimeCounter();
  /** Syncs of data (fdatasync). */
  readonly syncs: Counter = new Counter();
  /** Time of the syncs. */
  readonly syncsDur: TimeCounter = new TimeCounter();
  /** Calls of `sync` that failed. */
  readonly syncErrors: Counter = new Counter();
  /** Time of the calls that failed. */
  readonly syncErrorsDur: TimeCounter = new TimeCounter();
  /** Mappings made. */
  readonly maps: Counter = new Counter();
  /** Time of the maps. */
  readonly mapsDur: TimeCounter = new TimeCounter();
  /** Calls of `map` that failed. */
  readonly mapErrors: Counter = new Counter();
  /** Time of the calls that failed. */
  readonly mapErrorsDur: TimeCounter = new TimeCounter();
  /** Mappings released. */
  readonly unmaps: Counter = new Counter();
  /** Time of the unmaps. */
  readonly unmapsDur: TimeCounter = new TimeCounter();
  /** Calls of `unmap` that failed. */
  readonly unmapErrors: Counter = new Counter();
  /** Time of the calls that failed. */
  readonly unmapErrorsDur: TimeCounter = new TimeCounter();
  /** Closed instances that have released their mapping and descriptor. */
  readonly finalizes: Counter = new Counter();
  /** Time of those releases. */
  readonly finalizesDur: TimeCounter = new TimeCounter();
  /** Changes of a file's length: extensions, and the truncation when a file is finished. */
  readonly truncates: Counter = new Counter();
  /** Time of the truncates. */
  readonly truncatesDur: TimeCounter = new TimeCounter();
  /** Calls of `truncate` that failed. */
  readonly truncateErrors: Counter = new Counter();
  /** Time of the calls that failed. */
  readonly truncateErrorsDur: TimeCounter = new TimeCounter();
  /** Changes of permission bits. */
  readonly chmods: Counter = new Counter();
  /** Time of the chmods. */
  readonly chmodsDur: TimeCounter = new TimeCounter();
  /** Calls of `chmod` that failed. */
  readonly chmodErrors: Counter = new Counter();
  /** Time of the calls that failed. */
  readonly chmodErrorsDur: TimeCounter = new TimeCounter();

  /** Copy the counts as they are now, as plain numbers. */
  snapshot(): StatsSnapshot {
    const snapshot: Record<string, number> = {};
    for (const [name, value] of Object.entries(this)) {
      if (value instanceof Counter || value instanceof TimeCounter) snapshot[name] = value.load();
    }
    return snapshot as StatsSnapshot;
  }
}

/** Name of a counter of `Stats`. */
export type CounterNames = {
  [Name in keyof Stats]: Stats[Name] extends Counter | TimeCounter ? Name : never;
}[keyof Stats];

/** Every counter of `Stats` by its name: a count, or milliseconds. */
export type StatsSnapshot = Readonly<Record<CounterNames, number>>;

/** The counters that one kind of call adds to. */
export interface Timed {
  readonly count: Counter;
  readonly duration: TimeCounter;
  readonly errors?: Counter;
  readonly errorsDuration?: TimeCounter;
}

const PLURALS = {
  open: "opens",
  flush: "flushes",
  finish: "finishes",
  sync: "syncs",
  map: "maps",
  unmap: "unmaps",
  truncate: "truncates",
  chmod: "chmods",
} as const;

/** The counters that are named after one kind of call. */
export function countersOf(stats: Stats, call: keyof typeof PLURALS): Required<Timed> {
  const calls = PLURALS[call];
  return {
    count: stats[calls],
    duration: stats[`${calls}Dur` as const],
    errors: stats[`${call}Errors` as const],
    errorsDuration: stats[`${call}ErrorsDur` as const],
  };
}

/** Counters of one instance. They are plain numbers because a write counts itself. Read them only. */
export class FileStats {
  /** Calls that appended data. */
  writes = 0;
  /** Bytes that those calls appended, without marks. */
  writtenBytes = 0;
  /** Calls that threw `ErrWouldBlock`. */
  wouldBlocks = 0;
  /** Extensions of the file in the path of a write. */
  extensions = 0;
  /** Extensions of the file ahead of the writes. */
  extensionsAhead = 0;
}
