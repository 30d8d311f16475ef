/** The compiled executable, installed for one user in a directory of its own. */

import { assertEquals } from "@std/assert";
import { placeBinary } from "../support/binary.ts";
import { giveToOrdinaryUser, type RunAs, runningAsRoot } from "../support/ordinary_user.ts";
import {
  type CountdProcess,
  type Ended,
  runCountd,
  type RunOptions,
  startCountd,
} from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";

/** One user, with the executable in a working directory of its own. */
export class Installation {
  constructor(readonly binary: string, readonly directory: string, readonly as: RunAs) {}

  /** The verbs of all commands that were run: `kv`, `kv set`. */
  static readonly verbsRun = new Set<string>();

  #options(options: RunOptions): RunOptions {
    return { cwd: this.directory, ...options, binary: this.binary, as: this.as };
  }

  /** Starts a verb; the test waits for its output. */
  start(...args: string[]): CountdProcess {
    remember(args);
    return startCountd(args, this.#options({}));
  }

  async run(args: string[], options: RunOptions & { stdin?: string } = {}): Promise<Ended> {
    remember(args);
    return await runCountd(args, { ...this.#options(options), ...options });
  }

  /** Returns the output of a command, which must exit with 0. */
  async answer(args: string[], options: RunOptions & { stdin?: string } = {}): Promise<string> {
    const ended = await this.run(args, options);
    assertEquals(ended.code, 0, `${args.join(" ")}: ${ended.stderr}`);
    return ended.text;
  }
}

let placed: Promise<string> | undefined;

/** One copy for the tests of this file, alone in its directory. */
function theBinary(): Promise<string> {
  placed ??= (async () => {
    const directory = Deno.makeTempDirSync({ prefix: "countd-test-binary-" });
    globalThis.addEventListener("unload", () => Deno.removeSync(directory, { recursive: true }));
    Deno.chmodSync(directory, 0o755);
    return await placeBinary(directory);
  })();
  return placed;
}

/** Registers `body` as the user of the tests and, if that is root, as an ordinary user too. */
export function testBinary(name: string, body: (countd: Installation) => Promise<void>): void {
  for (const as of runningAsRoot() ? ["self", "ordinary"] as const : ["self"] as const) {
    const who = as === "ordinary" ? ", as an ordinary user" : "";
    Deno.test(`The executable ${name}${who}`, async () => {
      const binary = await theBinary();
      await withTemporaryDirectory(async (directory) => {
        if (as === "ordinary") giveToOrdinaryUser(directory);
        await body(new Installation(binary, directory, as));
      });
    });
  }
}

function remember(args: readonly string[]): void {
  Installation.verbsRun.add(args[0] ?? "");
  Installation.verbsRun.add(args.slice(0, 2).join(" "));
}
