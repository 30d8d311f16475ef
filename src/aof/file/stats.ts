/**
 * What was done, counted. Times are milliseconds of the monotonic clock.
 */

/** Goes up; those named `active…` also go down. */
export class Counter {
  #count = 0;

  add(amount = 1): void {
    this.#count += amount;
  }

  load(): number {
    return this.#count;
  }
}

/** The time that the counted calls took together. */
export class TimeCounter {
  #totalMs = 0;

  add(durationMs: number): void {
    this.#totalMs += durationMs;
  }

  /** Milliseconds. */
  load(): number {
    return this.#totalMs;
  }
}

/** One set for each manager. `new Stats()` starts at zero. */
export class Stats {
  /** Files made, and the time of opening those. */
  readonly creates = new Counter();
  readonly createsDur = new TimeCounter();
  /** Instances opened (made ones and anonymous ones included), and opens that failed. */
  readonly opens = new Counter();
  readonly opensDur = new TimeCounter();
  readonly openErrors = new Counter();
  readonly openErrorsDur = new TimeCounter();
  /** Descriptors opened. */
  readonly openFileCount = new Counter();
  readonly openFileDur = new TimeCounter();
  readonly openFileErrors = new Counter();
  readonly openFileErrorsDur = new TimeCounter();
  /** Instances closed. */
  readonly closes = new Counter();
  readonly closeDur = new TimeCounter();
  /** Mappings that exist now, the bytes of their files and of the mappings themselves. */
  readonly activeMaps = new Counter();
  readonly activeFileSize = new Counter();
  readonly activeMappedMemory = new Counter();
  /** Bytes of anonymous instances that are open now. */
  readonly activeAnonymousMemory = new Counter();
  /** Bytes ever mapped or taken for anonymous instances. */
  readonly lifetimeMemory = new Counter();
  readonly flushes = new Counter();
  readonly flushesDur = new TimeCounter();
  readonly flushErrors = new Counter();
  readonly flushErrorsDur = new TimeCounter();
  readonly finishes = new Counter();
  readonly finishesDur = new TimeCounter();
  readonly finishErrors = new Counter();
  readonly finishErrorsDur = new TimeCounter();
  readonly syncs = new Counter();
  readonly syncsDur = new TimeCounter();
  readonly syncErrors = new Counter();
  readonly syncErrorsDur = new TimeCounter();
  readonly maps = new Counter();
  readonly mapsDur = new TimeCounter();
  readonly mapErrors = new Counter();
  readonly mapErrorsDur = new TimeCounter();
  readonly unmaps = new Counter();
  readonly unmapsDur = new TimeCounter();
  readonly unmapErrors = new Counter();
  readonly unmapErrorsDur = new TimeCounter();
  /** Closed instances that have given back their mapping and descriptor. */
  readonly finalizes = new Counter();
  readonly finalizesDur = new TimeCounter();
  /** Changes of a file's size: extensions, and the cut behind the mark when a file is finished. */
  readonly truncates = new Counter();
  readonly truncatesDur = new TimeCounter();
  readonly truncateErrors = new Counter();
  readonly truncateErrorsDur = new TimeCounter();
  readonly chmods = new Counter();
  readonly chmodsDur = new TimeCounter();
  readonly chmodErrors = new Counter();
  readonly chmodErrorsDur = new TimeCounter();

  /** The counts as they are now, for keeping and for JSON. */
  snapshot(): StatsSnapshot {
    const snapshot: Record<string, number> = {};
    for (const [name, value] of Object.entries(this)) {
      if (value instanceof Counter || value instanceof TimeCounter) snapshot[name] = value.load();
    }
    return snapshot as StatsSnapshot;
  }
}

type CounterNames = {
  [Name in keyof Stats]: Stats[Name] extends Counter | TimeCounter ? Name : never;
}[keyof Stats];

/** Every counter of `Stats` by its name, as a number. */
export type StatsSnapshot = Readonly<Record<CounterNames, number>>;

/** The counters that one kind of call moves. */
export interface Timed {
  readonly count: Counter;
  readonly duration: TimeCounter;
  readonly errors?: Counter;
  readonly errorsDuration?: TimeCounter;
}

/** What one instance did. Numbers, because they are counted in the path of a write. */
export class FileStats {
  /** Calls that added data, and the bytes they added. */
  writes = 0;
  writtenBytes = 0;
  /** Non-blocking calls that did not fit into the file as it was. */
  wouldBlocks = 0;
  /** Extensions in the path of a write, and those that were done ahead of it. */
  extensions = 0;
  extensionsAhead = 0;
}
