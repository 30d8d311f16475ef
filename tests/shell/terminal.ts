/** A real terminal for tests: tmux on a socket of its own, with one window in which a command runs. */

import { runProgram } from "../support/process.ts";
import { waitUntil } from "../support/wait.ts";

/** Tells whether tmux is installed; if not, prints that the test did not run. */
export function tmuxIsInstalled(): boolean {
  try {
    if (new Deno.Command("tmux", { args: ["-V"] }).outputSync().success) return true;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  console.log("not run: needs tmux");
  return false;
}

export interface TerminalOptions {
  /** The directory of the socket; its path must be short, because the system limits paths of sockets. */
  readonly directory: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly columns?: number;
  readonly rows?: number;
}

export class Terminal implements AsyncDisposable {
  readonly #options: TerminalOptions;

  private constructor(options: TerminalOptions) {
    this.#options = options;
  }

  /** Runs a command line of sh; the window stays open when it ends. */
  static async open(commandLine: string, options: TerminalOptions): Promise<Terminal> {
    const terminal = new Terminal(options);
    const { columns = 80, rows = 40, env = {} } = options;
    const size = ["-x", String(columns), "-y", String(rows)];
    const variables = Object.entries(env).map(([name, value]) => `${name}=${quoted(value)}`);
    const line = `env ${variables.join(" ")} sh -c ${quoted(commandLine)}; exec sleep 1000`;
    await terminal.#tmux("new-session", "-d", ...size, line);
    return terminal;
  }

  /** Types text literally; readline treats text that comes at once as a paste. */
  async type(text: string): Promise<void> {
    await this.#tmux("send-keys", "-l", text);
  }

  /** Presses keys, given by their names in tmux, such as `Enter`, `Tab`, `C-c`. */
  async press(...keys: string[]): Promise<void> {
    for (const key of keys) await this.#tmux("send-keys", key);
  }

  async resize(columns: number, rows: number): Promise<void> {
    await this.#tmux("resize-window", "-x", String(columns), "-y", String(rows));
  }

  /** Returns the visible lines and those that have scrolled away, without blank lines at the end. */
  async lines(): Promise<string[]> {
    const { text } = await this.#tmux("capture-pane", "-p", "-S", "-1000");
    return text.trimEnd().split("\n");
  }

  /** Waits until the screen ends with these lines. Trailing blanks are ignored. */
  async shows(...expected: string[]): Promise<void> {
    let shown: string[] = [];
    try {
      await waitUntil("the screen", async () => {
        shown = (await this.lines()).slice(-expected.length).map((line) => line.trimEnd());
        return JSON.stringify(shown) === JSON.stringify(expected.map((line) => line.trimEnd()));
      }, { deadlineMs: 30_000, everyMs: 30 });
    } catch (error) {
      throw new Error(
        `The screen ends with\n${shown.join("\n")}\nnot with\n${expected.join("\n")}`,
        { cause: error },
      );
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tmux("kill-server");
  }

  async #tmux(...args: string[]) {
    const socket = `${this.#options.directory}/tmux`;
    // The server keeps the environment of its first client, so that gets a plain one. Without SHELL, tmux
    // would use the login shell of the user, and that of some system accounts ends at once.
    const env = { TERM: "xterm-256color", TMUX: "", LC_ALL: "C.UTF-8", SHELL: "/bin/sh" };
    const ended = await runProgram(["tmux", "-u", "-S", socket, "-f", "/dev/null", ...args], {
      env,
    });
    if (ended.code !== 0) throw new Error(`tmux ${args.join(" ")}: ${ended.stderr}`);
    return ended;
  }
}

/** Quotes a text as one word of sh. */
export function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
