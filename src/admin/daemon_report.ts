/**
 * The report of a running daemon, for `countd status`: one file in `DATA/run` for each daemon, named after
 * its verb and process. It is rewritten in place when its metrics change (twice a second at most) and
 * removed at a clean stop.
 *
 * Invariants:
 *  1. The daemon holds `flock` on its file while it runs; a file without a holder is stale. Daemons in two
 *     containers may have the same process number: the name of the second file gets a number behind it.
 *  2. The file has `REPORT_BYTES`, allocated when it is made: a full disk cannot stop a report.
 *  3. The content is one JSON object, padded with blanks. Reports are for people and tools: no data depends
 *     on them, they are never synced, and one that cannot be read is left out.
 */
import type { Clock } from "../base/clock.ts";
import type { Metrics, MetricsSnapshot } from "../base/metrics.ts";
import { toJson } from "../base/printable.ts";
import type { DaemonState } from "../base/readiness.ts";
import { undoOnError } from "../base/undo_on_error.ts";
import { holdsBackup } from "../counters/commitlog/mod.ts";
import {
  holdAbandoned,
  holdOrNull,
  leadsTo,
  nullIfCode,
  OsError,
  type Storage,
  type StoredFile,
} from "../file/mod.ts";

export interface DaemonReport {
  readonly verb: string;
  readonly pid: number;
  readonly state: DaemonState;
  /** Wall times, for display. */
  readonly startedMs: number;
  readonly updatedMs: number;
  readonly figures: MetricsSnapshot;
  /** Why a part of the daemon cannot do its work, one sentence each; limited in number and length. */
  readonly troubles: readonly string[];
}

const TROUBLES_MAX = 20;
const TROUBLE_CHARACTERS_MAX = 300;

export const REPORT_BYTES = 16_384;
const REPORT_EVERY_MS = 500;
/** A daemon whose metrics do not change writes only this often, so that a disk can sleep. */
const REPEAT_EVERY_MS = 10_000;

/** How often a report is read if its end is missing, because it is being written. */
const READ_ATTEMPTS = 5;

export function runDirectory(data: string): string {
  return `${data}/run`;
}

export interface ReporterOptions {
  readonly verb: string;
  readonly metrics: Metrics;
  readonly clock: Clock;
}

/**
 * Keeps the report of this process until it is disposed. If it cannot be written (the data directory does
 * not exist yet, the disk is full) or was removed, it is tried again: a daemon works without a report.
 */
export class DaemonReporter implements Disposable {
  readonly #storage: Storage;
  readonly #data: string;
  readonly #directory: string;
  readonly #options: ReporterOptions;
  readonly #startedMs: number;
  readonly #timer: ReturnType<typeof setInterval>;
  #file: StoredFile | null = null;
  #written = "";
  #writtenMs = -Infinity;

  constructor(storage: Storage, data: string, options: ReporterOptions) {
    this.#storage = storage;
    this.#data = data;
    this.#directory = runDirectory(data);
    this.#options = options;
    this.#startedMs = options.clock.wallMs();
    this.#write();
    this.#timer = setInterval(() => this.#write(), REPORT_EVERY_MS);
    Deno.unrefTimer(this.#timer);
  }

  #write(): void {
    const { verb, metrics, clock } = this.#options;
    const facts = {
      verb,
      pid: Deno.pid,
      state: metrics.readiness.state,
      startedMs: this.#startedMs,
      figures: metrics.snapshot(),
      troubles: metrics.readiness.reasons().slice(0, TROUBLES_MAX)
        .map((sentence) => sentence.slice(0, TROUBLE_CHARACTERS_MAX)),
    };
    const text = toJson(facts);
    const nowMs = clock.nowMs();
    try {
      this.#closeIfLost();
      if (text === this.#written && nowMs - this.#writtenMs < REPEAT_EVERY_MS) return;
      this.#file ??= this.#open();
      if (this.#file === null) return;
      writeReport(this.#file, { ...facts, updatedMs: clock.wallMs() });
      this.#written = text;
      this.#writtenMs = nowMs;
    } catch (error) {
      if (!(error instanceof OsError)) throw error;
    }
  }

  #closeIfLost(): void {
    const file = this.#file;
    if (file === null || leadsTo(this.#storage, file.path, file.status())) return;
    file.close();
    this.#file = null;
    this.#written = "";
  }

  /** Opens the report, and removes stale ones. Null while the data directory is empty, and for a backup. */
  #open(): StoredFile | null {
    const storage = this.#storage;
    // Nothing of a backup may change.
    if (holdsBackup(storage, this.#data)) return null;
    if (storage.statusOrNull(this.#directory) === null) {
      // A worker may wait for a restore, which needs an empty directory.
      if (storage.readDirectory(this.#data).length === 0) return null;
      nullIfCode(() => storage.makeDirectory(this.#directory, 0o700), "EEXIST");
    }
    removeStale(storage, this.#directory);
    return openOwn(storage, `${this.#directory}/${this.#options.verb}-${Deno.pid}`);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    const file = this.#file;
    this.#file = null;
    if (file === null) return;
    try {
      this.#storage.unlink(file.path);
    } catch (error) {
      if (!(error instanceof OsError)) throw error;
    }
    file.close();
  }
}

/** The reports of all running daemons, by verb and process. Only reads. */
export function readReports(storage: Storage, data: string): DaemonReport[] {
  const directory = runDirectory(data);
  if (storage.statusOrNull(directory) === null) return [];
  return storage.readDirectory(directory).sort()
    .map((name) => readLiving(storage, `${directory}/${name}`))
    .filter((report) => report !== null);
}

/** Opens and locks the first file of this name that no running daemon holds. */
function openOwn(storage: Storage, path: string): StoredFile {
  for (let number = 1;; number++) {
    const own = number === 1 ? path : `${path}-${number}`;
    const file = holdOrNull(storage, storage.open(own, { access: "write", create: "missing" }));
    if (file === null) continue;
    undoOnError(() => file.close(), () => file.allocate(0, REPORT_BYTES));
    return file;
  }
}

function removeStale(storage: Storage, directory: string): void {
  for (const name of storage.readDirectory(directory)) {
    const path = `${directory}/${name}`;
    try {
      using file = holdAbandoned(storage, path);
      if (file !== null) storage.unlink(path);
    } catch (error) {
      if (!(error instanceof OsError)) throw error;
    }
  }
}

/** Writes a report with as many of its troubles as fit, the first ones. */
function writeReport(file: StoredFile, report: DaemonReport): void {
  const { troubles } = report;
  const text = new TextEncoder().encode(toJson(report));
  if (text.length > REPORT_BYTES && troubles.length > 0) {
    return writeReport(file, { ...report, troubles: troubles.slice(0, -1) });
  }
  // Its figures alone do not fit: without its end it could not be read.
  if (text.length > REPORT_BYTES) return;
  const bytes = new Uint8Array(REPORT_BYTES).fill(0x20);
  bytes.set(text);
  file.write(bytes, 0);
}

function readLiving(storage: Storage, path: string): DaemonReport | null {
  try {
    using file = storage.open(path, { access: "read" });
    // A shared lock for a moment: if it is granted, no daemon keeps this report any more.
    if (file.tryFlock("shared")) return null;
    const bytes = new Uint8Array(REPORT_BYTES);
    for (let attempt = 0; attempt < READ_ATTEMPTS; attempt++) {
      const text = new TextDecoder().decode(bytes.subarray(0, file.read(bytes, 0)));
      const report = parseReport(text);
      if (report !== null) return report;
    }
    return null;
  } catch (error) {
    if (error instanceof OsError) return null;
    throw error;
  }
}

function parseReport(text: string): DaemonReport | null {
  try {
    const report = JSON.parse(text);
    return typeof report?.verb === "string" && Array.isArray(report.troubles) ? report : null;
  } catch {
    return null;
  }
}
