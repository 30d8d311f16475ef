/**
 * Starts and asks `lmdb_peer.ts`. The peer has a process of its own, so that its memory does not slow down
 * our measurements.
 */

import { installPackage } from "../support/npm_package.ts";

const LMDB = "lmdb@3.5.6";

export class LmdbClient {
  readonly #process: Deno.ChildProcess;
  readonly #lines: ReadableStreamDefaultReader<string>;
  readonly #requests: WritableStreamDefaultWriter<Uint8Array>;
  #rest = "";

  private constructor(process: Deno.ChildProcess) {
    this.#process = process;
    this.#lines = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
    this.#requests = process.stdin.getWriter();
  }

  /** A peer with a filled database; null if LMDB is not available. A round has `count` increments. */
  static async start(
    directory: string,
    { counters, count }: { readonly counters: number; readonly count: number },
  ): Promise<LmdbClient | null> {
    Deno.mkdirSync(directory);
    if (!await installPackage(LMDB, directory)) return null;
    const peer = new URL("./lmdb_peer.ts", import.meta.url).pathname;
    const client = new LmdbClient(
      new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", peer, directory, String(counters), String(count)],
        stdin: "piped",
        stdout: "piped",
        stderr: "inherit",
      }).spawn(),
    );
    if (await client.#line() === "ready") return client;
    console.log(`not run: needs ${LMDB} that runs here`);
    await client.close();
    return null;
  }

  /** Microseconds for one round. */
  async round(): Promise<number> {
    await this.#requests.write(new TextEncoder().encode("go\n"));
    const line = await this.#line();
    if (line === null) throw new Error("LMDB's process has ended");
    return Number(line);
  }

  async close(): Promise<void> {
    await this.#requests.close().catch(() => {});
    await this.#lines.cancel();
    await this.#process.status;
  }

  async #line(): Promise<string | null> {
    while (!this.#rest.includes("\n")) {
      const { value, done } = await this.#lines.read();
      if (done) return null;
      this.#rest += value;
    }
    const end = this.#rest.indexOf("\n");
    const line = this.#rest.slice(0, end);
    this.#rest = this.#rest.slice(end + 1);
    return line;
  }
}
