/**
 * What the folds of this process leave alone: damaged logs, and logs of another format; keyspaces that are
 * damaged, that are of another format, that the disk cannot read or that this user may not open; and logs
 * that name such a keyspace. It is kept in memory only: each worker finds the damage itself, and a repair is
 * noticed because everything is tried again after 30 s.
 */

import type { Clock } from "../../base/clock.ts";
import type { Events } from "../../base/events.ts";
import { CorruptError } from "../../base/errors.ts";
import { type FormatError, isFormatError } from "../../base/format.ts";
import { printableName } from "../../base/printable.ts";
import { concernsOneFile, type FileKind, OsError } from "../../file/mod.ts";
import { nameKey } from "./keyspace_writers.ts";

const RETRY_MS = 30_000;

/** A failure of one file, after which the others can go on. */
export type FileFailure = CorruptError | FormatError | OsError;

/** True if a fold leaves this keyspace, or this log, alone and takes the others. */
export function isFailureOf(kind: FileKind, error: unknown): error is FileFailure {
  return error instanceof CorruptError || isFormatError(error) || concernsOneFile(error, kind);
}

/** A log or a keyspace that is left alone. */
interface LeftAlone {
  /** Why, for people; null for a log that only waits for a keyspace. */
  readonly warning: string | null;
  /** When it was found so last. */
  readonly seenMs: number;
}

export class Quarantine {
  readonly #logs = new Map<number, LeftAlone>();
  readonly #keyspaces = new Map<string, LeftAlone>();
  /** Set by the first failure that is not about a format. */
  #hasDamage = false;
  #formatError: FormatError | null = null;

  constructor(readonly clock: Clock, readonly events: Events) {}

  get logCount(): number {
    return this.#logs.size;
  }

  /** Why logs wait, if files of another format are the only reason: then nothing has to be repaired. */
  get formatError(): FormatError | null {
    return this.#hasDamage ? null : this.#formatError;
  }

  hasLog(slot: number): boolean {
    return this.#isFresh(this.#logs, slot);
  }

  hasKeyspace(name: Uint8Array): boolean {
    return this.#isFresh(this.#keyspaces, nameKey(name));
  }

  addLog(slot: number, error: FileFailure): void {
    this.#noteKind(error);
    if (this.#isNews(this.#logs, slot, `log ${slot} is in quarantine: ${error.message}`)) {
      this.events.report("error", "log quarantined", {
        slot,
        ...placeOf(error),
        reason: error.message,
      });
    }
  }

  /** A sound log that names a keyspace in quarantine: it stays sealed. */
  addBlockedLog(slot: number): void {
    if (this.#isNews(this.#logs, slot, null)) {
      this.events.report("warn", "log waits for a keyspace in quarantine", { slot });
    }
  }

  addKeyspace(name: Uint8Array, error: FileFailure): void {
    const key = nameKey(name);
    const keyspace = printableName(name);
    const isOfOtherFormat = isFormatError(error);
    this.#noteKind(error);
    const place = isOfOtherFormat ? "left alone" : "in quarantine";
    const warning = `keyspace ${keyspace} is ${place}: ${error.message}`;
    if (this.#isNews(this.#keyspaces, key, warning)) {
      const message = isOfOtherFormat
        ? "keyspace of another format is left alone"
        : "keyspace quarantined";
      this.events.report("error", message, {
        keyspace,
        ...placeOf(error),
        reason: error.message,
      });
    }
  }

  /** Takes out a log that is folded. */
  removeLog(slot: number): void {
    this.#logs.delete(slot);
  }

  /** Takes out a keyspace that is sound: if it is damaged later, that is news. */
  removeKeyspace(name: Uint8Array): void {
    if (this.#keyspaces.size > 0) this.#keyspaces.delete(nameKey(name));
  }

  /** What was left alone in the last minute, for `countd status`. */
  warnings(): string[] {
    const recentMs = this.clock.nowMs() - 2 * RETRY_MS;
    return [...this.#logs.values(), ...this.#keyspaces.values()].flatMap(({ warning, seenMs }) =>
      warning === null || seenMs < recentMs ? [] : [warning]
    );
  }

  /** Notes that something is left alone. False if it was before, for the same reason. */
  #isNews<Key>(map: Map<Key, LeftAlone>, key: Key, warning: string | null): boolean {
    const before = map.get(key);
    map.set(key, { warning, seenMs: this.clock.nowMs() });
    return before === undefined || before.warning !== warning;
  }

  #noteKind(error: FileFailure): void {
    if (isFormatError(error)) this.#formatError ??= error;
    else this.#hasDamage = true;
  }

  #isFresh<Key>(map: Map<Key, LeftAlone>, key: Key): boolean {
    const found = map.get(key);
    return found !== undefined && this.clock.nowMs() - found.seenMs < RETRY_MS;
  }
}

function placeOf(error: FileFailure): { readonly path?: string; readonly offset?: number } {
  if (error instanceof CorruptError) return error.where;
  return error instanceof OsError ? { path: error.path } : {};
}
