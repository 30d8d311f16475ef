/**
 * countd's command line, many commands in one process, so that an image costs milliseconds and not a start
 * of the runtime for each verb. As a program: a JSON array of words for each line of stdin, a JSON object
 * of code, stdout and stderr for each line of stdout.
 */

import { capture, type Captured } from "../cli/capture.ts";
import { TextLineStream } from "../crash/text_lines.ts";
import { type CountdProcess, startProgram } from "../support/process.ts";

/** No verb takes that long on a small data directory. */
const DEADLINE_MS = 60_000;

/** Runs verbs of countd in a process of its own, which ends if one hangs. */
export class Examiner implements AsyncDisposable {
  #process: CountdProcess | null = null;
  #answers = 0;

  async run(...words: string[]): Promise<Captured> {
    const process = this.#process ??= this.#start();
    await process.writeStdin(JSON.stringify(words) + "\n");
    try {
      const options = { from: this.#answers++, deadlineMs: DEADLINE_MS };
      const [line] = await process.stdoutLine(/^.*$/, options);
      return JSON.parse(line) as Captured;
    } catch (cause) {
      await this.end();
      throw new Error(`countd ${words.join(" ")} hangs, or ends its process`, { cause });
    }
  }

  #start(): CountdProcess {
    this.#answers = 0;
    const script = decodeURIComponent(new URL(import.meta.url).pathname);
    return startProgram([
      Deno.execPath(),
      "run",
      "--quiet",
      "-A",
      "--no-check",
      "--cached-only",
      script,
    ]);
  }

  /** Ends the process, so that nothing of it is open on an image. */
  async end(): Promise<void> {
    await this.#process?.[Symbol.asyncDispose]();
    this.#process = null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
  }
}

if (import.meta.main) {
  const lines = Deno.stdin.readable.pipeThrough(new TextDecoderStream())
    .pipeThrough(new TextLineStream());
  for await (const line of lines) {
    console.log(JSON.stringify(await capture(JSON.parse(line) as string[])));
  }
}
