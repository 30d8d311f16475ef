/**
 * The one owner of the map and the log. A caller sends it a request and gets a promise. The owner never
 * waits for a caller, so a caller that goes away blocks no other.
 *
 * Invariants:
 *   1  requests are carried out in the order of their arrival
 *   2  the map shows an entry only after the log has it; with `always`, only after it is durable
 *   3  no answer is given after a sync has failed
 */

import { setImmediate } from "node:timers";
import { UsageError } from "../../base/errors.ts";
import type { Storage } from "../../file/mod.ts";
import { type Entry, SET_COMMAND } from "../format/entry.ts";
import { DatabaseBusyError, DatabaseFailedError, InvalidKeyError } from "./errors.ts";
import { applyEntry, type Journal } from "./journal.ts";
import type { ValueMap } from "./value_map.ts";

/** Most requests that may wait, for their turn or for a sync. */
export const REQUESTS_WAITING_MAX = 65_536;
/** Most UTF-16 units of text in waiting requests. */
export const UNITS_WAITING_MAX = 256 * 2 ** 20;
/** Requests and units of text that one turn of the event loop may handle before others get theirs. */
const REQUESTS_PER_TURN = 1024;
const UNITS_PER_TURN = 2 ** 20;

type Operation =
  | { readonly kind: "read"; readonly key: string }
  | { readonly kind: "write"; readonly key: string; readonly value: string; term: bigint | null }
  | { readonly kind: "append"; readonly entries: readonly Entry[] }
  | { readonly kind: "set"; readonly entries: readonly Entry[] }
  | { readonly kind: "replace"; readonly from: number; readonly entries: readonly Entry[] }
  | { readonly kind: "commit"; readonly length: number }
  /** Runs while no request waits for a sync. */
  | { readonly kind: "alone"; readonly run: () => unknown };

/** The answer to each kind of operation. */
interface Answers {
  /** The value. */
  readonly read: string;
  /** The value that was stored. */
  readonly write: string;
  /** The index of the first entry that was appended. */
  readonly append: number;
  /** The length of the log. */
  readonly set: number;
  readonly replace: number;
  /** The committed length. */
  readonly commit: number;
  readonly alone: unknown;
}

interface Request {
  readonly operation: Operation;
  readonly signal: AbortSignal | undefined;
  readonly resolve: (answer: Answers[Operation["kind"]]) => void;
  readonly reject: (error: unknown) => void;
}

/** A request whose frames are stored, and which waits for a sync. */
interface Pending {
  readonly end: number;
  readonly request: Request;
  readonly sets: readonly Entry[];
  readonly answer: Answers[Operation["kind"]];
}

export interface OwnerOptions {
  readonly journal: Journal;
  readonly map: ValueMap;
  readonly storage: Storage;
  /** True if answers wait for a sync. */
  readonly waitsForDisk: boolean;
  /** Called after a batch of requests that appended to the log. */
  readonly onAppended: () => void;
  /** Called with any error that a request throws, expected or not. */
  readonly onError: (error: unknown) => void;
}

const NO_ENTRIES: readonly Entry[] = [];

export class Owner {
  readonly #journal: Journal;
  readonly #map: ValueMap;
  readonly #options: OwnerOptions;
  #queue: Request[] = [];
  #next = 0;
  #pending: Pending[] = [];
  #unitsWaiting = 0;
  #isScheduled = false;
  #handledThisTurn = 0;
  #unitsThisTurn = 0;
  #alone: Request | null = null;
  #term: bigint;
  #refusal: Error | null = null;

  constructor(options: OwnerOptions, term: bigint) {
    this.#options = options;
    this.#journal = options.journal;
    this.#map = options.map;
    this.#term = term;
  }

  /** Term of the last entry. A write without a term takes it over. */
  get term(): bigint {
    return this.#term;
  }

  /** Number of requests that wait, for their turn or for a sync. */
  get waiting(): number {
    return this.#queue.length - this.#next + this.#pending.length;
  }

  /** Carries an operation out in its turn, unless the signal is aborted by then. */
  ask<Kind extends Operation["kind"]>(
    operation: Operation & { readonly kind: Kind },
    signal?: AbortSignal,
  ): Promise<Answers[Kind]> {
    return new Promise((resolve, reject) => {
      // The types agree because `#carryOut` answers each kind in its own branch.
      this.#submit({ operation, signal, resolve: resolve as Request["resolve"], reject });
    });
  }

  /** Runs a function while no request waits for a sync. */
  async alone<Result>(run: () => Result): Promise<Result> {
    return await this.ask({ kind: "alone", run }) as Result;
  }

  #submit(request: Request): void {
    if (this.#refusal !== null) return request.reject(this.#refusal);
    const units = unitsOf(request.operation);
    if (this.waiting >= REQUESTS_WAITING_MAX || this.#unitsWaiting + units > UNITS_WAITING_MAX) {
      return request.reject(
        new DatabaseBusyError(`${this.waiting} requests are waiting already: try again later`),
      );
    }
    this.#unitsWaiting += units;
    this.#queue.push(request);
    this.#schedule();
  }

  /** Refuses every new request; waiting requests are still answered. */
  refuse(error: Error): void {
    this.#refusal ??= error;
  }

  /** Stops for good: every waiting request rejects with this error. */
  fail(error: DatabaseFailedError): void {
    this.#refusal = error;
    const waiting = [
      ...this.#pending.map((pending) => pending.request),
      ...(this.#alone === null ? [] : [this.#alone]),
      ...this.#queue.slice(this.#next),
    ];
    this.#pending = [];
    this.#alone = null;
    this.#queue = [];
    this.#next = 0;
    this.#unitsWaiting = 0;
    for (const request of waiting) request.reject(error);
  }

  /** Called after a sync up to `offset`: applies and answers the requests that waited for it. */
  durable(offset: number): void {
    let done = 0;
    for (const pending of this.#pending) {
      if (pending.end > offset) break;
      done++;
      this.#applyAndAnswer(pending);
    }
    if (done > 0) this.#pending.splice(0, done);
    this.#runAlone();
  }

  #schedule(): void {
    if (this.#isScheduled || this.#alone !== null || this.#next === this.#queue.length) return;
    this.#isScheduled = true;
    if (!this.#isTurnOver) queueMicrotask(this.#drain);
    else setImmediate(this.#drainInNewTurn);
  }

  readonly #drainInNewTurn = (): void => {
    this.#handledThisTurn = 0;
    this.#unitsThisTurn = 0;
    this.#drain();
  };

  get #isTurnOver(): boolean {
    return this.#handledThisTurn >= REQUESTS_PER_TURN || this.#unitsThisTurn >= UNITS_PER_TURN;
  }

  readonly #drain = (): void => {
    this.#isScheduled = false;
    const tail = this.#journal.log.tail;
    const isFailed = this.#refusal instanceof DatabaseFailedError;
    while (!isFailed && this.#next < this.#queue.length && this.#alone === null) {
      if (this.#isTurnOver) break;
      const request = this.#queue[this.#next++] as Request;
      const units = unitsOf(request.operation);
      this.#handledThisTurn++;
      this.#unitsThisTurn += units;
      this.#unitsWaiting -= units;
      this.#handle(request);
    }
    if (this.#next === this.#queue.length || this.#next >= REQUESTS_PER_TURN) {
      this.#queue.splice(0, this.#next);
      this.#next = 0;
    }
    if (this.#journal.log.tail !== tail) this.#options.onAppended();
    this.#runAlone();
    this.#schedule();
  };

  #handle(request: Request): void {
    if (request.signal?.aborted) return request.reject(request.signal.reason);
    try {
      this.#carryOut(request);
    } catch (error) {
      request.reject(error);
      this.#options.onError(error);
    }
  }

  #carryOut(request: Request): void {
    const { operation } = request;
    switch (operation.kind) {
      case "read": {
        const value = this.#map.get(operation.key);
        if (value === undefined) request.reject(new InvalidKeyError(operation.key));
        else request.resolve(value);
        return;
      }
      case "write": {
        const { key, value } = operation;
        const term = operation.term ?? this.#term;
        const entry: Entry = { command: SET_COMMAND, key, value, term };
        // The commit covers earlier entries that were appended and not committed, too.
        const sets = this.#uncommittedThen(entry);
        this.#store(() => this.#journal.append(entry, { commits: true }));
        this.#term = term;
        return this.#answerWhenDurable(request, sets, value);
      }
      case "append": {
        const first = this.#journal.length;
        this.#store(() => this.#journal.appendAll(operation.entries));
        this.#term = operation.entries.at(-1)?.term ?? this.#term;
        return this.#answerWhenDurable(request, NO_ENTRIES, first);
      }
      case "set": {
        const from = this.#commonPrefix(operation.entries);
        return this.#replace(request, from, operation.entries.slice(from));
      }
      case "replace":
        return this.#replace(request, operation.from, operation.entries);
      case "commit": {
        const { length } = operation;
        const { committed } = this.#journal;
        if (length <= committed) return this.#answerWhenDurable(request, NO_ENTRIES, committed);
        if (length > this.#journal.length) {
          throw new UsageError(
            `Cannot commit ${length} entries: the log has ${this.#journal.length}`,
          );
        }
        const sets = [...this.#journal.entries(committed, length)];
        this.#store(() => this.#journal.commit(length));
        return this.#answerWhenDurable(request, sets, length);
      }
      case "alone":
        this.#alone = request;
    }
  }

  #replace(request: Request, from: number, entries: readonly Entry[]): void {
    if (from > this.#journal.length) {
      throw new UsageError(`Cannot replace from ${from}: the log has ${this.#journal.length}`);
    }
    this.#store(() => this.#journal.replace(from, entries));
    const length = this.#journal.length;
    const [last] = length === 0 ? [] : this.#journal.entries(length - 1, length);
    this.#term = last?.term ?? 0n;
    this.#answerWhenDurable(request, NO_ENTRIES, length);
  }

  #store(store: () => void): void {
    const { storage } = this.#options;
    storage.reach("db.append.before");
    store();
    storage.reach("db.append.after");
  }

  #uncommittedThen(entry: Entry): readonly Entry[] {
    const { committed, length } = this.#journal;
    return committed === length ? [entry] : [...this.#journal.entries(committed, length), entry];
  }

  /** Number of leading entries that the log has already. */
  #commonPrefix(entries: readonly Entry[]): number {
    let same = 0;
    for (const entry of this.#journal.entries(0, entries.length)) {
      const other = entries[same] as Entry;
      const isSame = entry.term === other.term && entry.command === other.command &&
        entry.key === other.key && entry.value === other.value;
      if (!isSame) break;
      same++;
    }
    return same;
  }

  /** Answers a request whose frames are stored: at once, or after the sync that covers them. */
  #answerWhenDurable(
    request: Request,
    sets: readonly Entry[],
    answer: Answers[Operation["kind"]],
  ): void {
    const pending = { end: this.#journal.log.tail, request, sets, answer };
    // A request that stored nothing causes no sync; it waits only behind others that do.
    const isOnDisk = this.#pending.length === 0 && this.#journal.log.durable >= pending.end;
    if (this.#options.waitsForDisk && !isOnDisk) this.#pending.push(pending);
    else this.#applyAndAnswer(pending);
  }

  #applyAndAnswer(pending: Pending): void {
    const { storage } = this.#options;
    storage.reach("db.apply.before");
    for (const entry of pending.sets) applyEntry(this.#map, entry);
    storage.reach("db.apply.after");
    pending.request.resolve(pending.answer);
  }

  #runAlone(): void {
    const request = this.#alone;
    if (request === null || this.#pending.length > 0) return;
    this.#alone = null;
    const { operation } = request;
    try {
      if (operation.kind === "alone") request.resolve(operation.run());
    } catch (error) {
      request.reject(error);
    }
    this.#schedule();
  }
}

function unitsOf(operation: Operation): number {
  switch (operation.kind) {
    case "write":
      return operation.key.length + operation.value.length;
    case "append":
    case "set":
    case "replace":
      return operation.entries.reduce(
        (units, entry) => units + entry.key.length + entry.value.length,
        0,
      );
    default:
      return 0;
  }
}
