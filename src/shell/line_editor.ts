/**
 * Edits a line at a terminal with `node:readline`. Added here are Ctrl-R, Ctrl-C and Ctrl-Z, and keys that
 * are typed while a command runs are kept until it ends.
 *
 * The keys are read here and passed to readline, so that a key can be kept back without relying on
 * readline's internals: only its public events, `line` and `write` are used.
 */

import process from "node:process";
import { createInterface, type Interface } from "node:readline";
import { PassThrough } from "node:stream";
import { assert } from "../base/assert.ts";
import type { Completions } from "./completion.ts";
import { HISTORY_LINES_MAX, isKept } from "./history.ts";
import { ReverseSearch } from "./reverse_search.ts";

export interface LineEditorOptions {
  /** Earlier lines, the oldest first. */
  readonly history: readonly string[];
  complete(line: string): Promise<Completions>;
  /** Called at Ctrl-C while no line is being edited. */
  interrupted(): void;
}

const CTRL_C = "\x03";
const CTRL_G = "\x07";
const CTRL_H = "\x08";
const ENTER = "\r";
const NEWLINE = "\n";
const CTRL_R = "\x12";
const CTRL_Z = "\x1a";
const ESCAPE = "\x1b";
const DELETE = "\x7f";

/** Keys that are handled here before readline gets them. */
const WATCHED_KEYS = new RegExp(`[${CTRL_C}${NEWLINE}${ENTER}${CTRL_R}${CTRL_Z}]`);

/**
 * Long text without a control character. The letters around it stay with their neighbours: some may belong to
 * an escape sequence, and a Tab completes nothing if it comes together with a letter.
 */
const PASTED_TEXT = /((?<=\P{Cc}{8})\P{Cc}{16,}(?=\P{Cc}))/u;

export class LineEditor implements Disposable {
  readonly #options: LineEditorOptions;
  readonly #keys = new PassThrough();
  readonly #readline: Interface;
  /** The lines in the history of readline, the newest first. */
  #lines: readonly string[];
  #search: { readonly state: ReverseSearch; readonly line: string } | null = null;
  /** Keys that readline has not got yet. */
  #pending = "";
  /** Resolves the pending `readLine`; null while a command runs. */
  #waiting: ((line: string | null) => void) | null = null;
  #isClosed = false;

  /** Makes the terminal raw until `close`. */
  constructor(options: LineEditorOptions) {
    this.#options = options;
    this.#lines = options.history.toReversed();
    Deno.stdin.setRaw(true);
    this.#readline = createInterface({
      input: this.#keys,
      output: process.stdout,
      terminal: true,
      historySize: HISTORY_LINES_MAX,
      history: [...this.#lines],
      completer: (line: string, done: (error: null, found: [string[], string]) => void) =>
        void this.#complete(line).then((found) => done(null, found)),
    });
    this.#readline.on("line", (line) => this.#resolve(line));
    this.#readline.on("close", () => this.#resolve(null));
    this.#readline.on("SIGINT", () => this.#clearLine());
    this.#readline.on("history", (lines: string[]) => {
      if (lines[0] !== undefined && !isKept(lines[0])) lines.shift();
      this.#lines = lines;
    });
    void this.#readKeys();
  }

  /** Returns the next line, or null at the end (Ctrl-D, a closed terminal, `close`). */
  readLine(prompt: string): Promise<string | null> {
    assert(this.#waiting === null, "One line is asked for at a time");
    if (this.#isClosed) return Promise.resolve(null);
    return new Promise((resolve) => {
      this.#waiting = resolve;
      this.#readline.setPrompt(prompt);
      this.#readline.prompt();
      this.#pump();
    });
  }

  /** Restores the terminal. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#search !== null) this.#endSearch(this.#search.line);
    this.#readline.close();
    Deno.stdin.setRaw(false);
    this.#resolve(null);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #resolve(line: string | null): void {
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting?.(line);
  }

  async #readKeys(): Promise<void> {
    const bytes = new Uint8Array(4096);
    const decoder = new TextDecoder();
    while (!this.#isClosed) {
      const count = await Deno.stdin.read(bytes).catch(() => null);
      // The terminal is gone.
      if (count === null) return this.close();
      this.#pending += decoder.decode(bytes.subarray(0, count), { stream: true });
      this.#pump();
    }
  }

  /** Passes keys to readline while a `readLine` is pending. */
  #pump(): void {
    while (this.#pending !== "" && !this.#isClosed) {
      if (this.#waiting === null) return this.#pumpWhileBusy();
      if (this.#search !== null) {
        this.#searchKey(this.#takeSearchKey());
        continue;
      }
      const at = this.#pending.search(WATCHED_KEYS);
      if (at !== 0) {
        this.#passOn(this.#take(at === -1 ? this.#pending.length : at));
        continue;
      }
      const key = this.#take(1);
      if (key === CTRL_R) this.#beginSearch();
      else if (key === CTRL_Z) this.#suspend();
      else this.#passOn(key === NEWLINE ? ENTER : key);
    }
  }

  /** While a command runs, only Ctrl-C has an effect; it drops the keys before it. */
  #pumpWhileBusy(): void {
    const at = this.#pending.lastIndexOf(CTRL_C);
    if (at === -1) return;
    this.#take(at + 1);
    process.stdout.write("^C\n");
    this.#options.interrupted();
  }

  #take(length: number): string {
    const taken = this.#pending.slice(0, length);
    this.#pending = this.#pending.slice(length);
    return taken;
  }

  /**
   * Passes keys to readline, which handles them before this call returns. It measures the whole line after
   * each key, so what was pasted is inserted at once.
   */
  #passOn(keys: string): void {
    for (const [index, part] of keys.split(PASTED_TEXT).entries()) {
      if (index % 2 === 1) this.#readline.write(part);
      else if (part !== "") this.#keys.emit("data", new TextEncoder().encode(part));
    }
  }

  /** Clears the line at Ctrl-C. Ctrl-Y brings it back, as after Ctrl-U. */
  #clearLine(): void {
    this.#emptyLine();
    process.stdout.write("^C\n");
    this.#readline.prompt();
  }

  /** Suspends at Ctrl-Z: the parent shell has the terminal until it resumes countd. */
  #suspend(): void {
    Deno.stdin.setRaw(false);
    process.stdout.write("\n");
    Deno.kill(Deno.pid, "SIGTSTP");
    Deno.stdin.setRaw(true);
    this.#readline.prompt(true);
  }

  async #complete(line: string): Promise<[string[], string]> {
    const { candidates, typed, isWhole } = await this.#options.complete(line);
    const [only] = candidates;
    if (only === undefined) return [[], typed];
    // readline inserts the common beginning of all candidates: the last one keeps it to what is typed.
    if (!isWhole) return [[...candidates, `${typed}…`], typed];
    return [candidates.length === 1 ? [only + " "] : [...candidates], typed];
  }

  #beginSearch(): void {
    const { line } = this.#readline;
    this.#emptyLine();
    this.#search = { state: new ReverseSearch(this.#lines.toReversed()), line };
    this.#drawSearch();
  }

  /** Takes one key of a search; an escape sequence counts as one key. */
  #takeSearchKey(): string {
    if (this.#pending.startsWith(ESCAPE)) return this.#take(this.#pending.length);
    return this.#take((this.#pending.codePointAt(0) as number) > 0xffff ? 2 : 1);
  }

  #searchKey(key: string): void {
    const { state, line } = this.#search as { state: ReverseSearch; line: string };
    const found = state.match ?? line;
    if (key === CTRL_R) state.older();
    else if (key === DELETE || key === CTRL_H) state.erase();
    else if (key === CTRL_G || key === CTRL_C) return this.#endSearch(line);
    else if (key === ESCAPE) return this.#endSearch(found);
    else if (key < " ") {
      // Enter, an arrow and the like end the search and act on the line that was found.
      this.#endSearch(found);
      this.#pending = key + this.#pending;
      return;
    } else state.type(key);
    this.#drawSearch();
  }

  #drawSearch(): void {
    const { state } = this.#search as { state: ReverseSearch };
    const text = [...state.prompt, ...(state.match ?? "")];
    // One row only, so that it can be erased again.
    const width = Math.max(1, (process.stdout.columns ?? 80) - 1);
    process.stdout.write(`\r\x1b[K${text.slice(0, width).join("")}`);
  }

  #endSearch(line: string): void {
    this.#search = null;
    process.stdout.write("\r\x1b[K");
    this.#readline.prompt();
    this.#readline.write(line);
  }

  #emptyLine(): void {
    this.#readline.write(null, { ctrl: true, name: "e" });
    this.#readline.write(null, { ctrl: true, name: "u" });
  }
}
