/**
 * Every verb of the compiled executable, run for real: it lies alone in a directory, the sources are
 * not there, and its permissions are the ones that were baked in. As the user of the tests, and, when
 * that is root, as an ordinary user too.
 */

import { assertEquals, assertStringIncludes } from "@std/assert";
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

/** One user with the executable and a directory of its own, which is also where it works. */
class Installation {
  constructor(readonly binary: string, readonly directory: string, readonly as: RunAs) {}

  #options(options: RunOptions): RunOptions {
    return { cwd: this.directory, ...options, binary: this.binary, as: this.as };
  }

  start(...args: string[]): CountdProcess {
    return startCountd(args, this.#options({}));
  }

  async run(args: string[], options: RunOptions & { stdin?: string } = {}): Promise<Ended> {
    return await runCountd(args, { ...this.#options(options), ...options });
  }

  /** What a command that ends with 0 prints. */
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

function testBinary(name: string, body: (countd: Installation) => Promise<void>): void {
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

testBinary("says what it is and how it is used", async (countd) => {
  assertStringIncludes(await countd.answer(["--version"]), "countd ");
  assertStringIncludes(await countd.answer(["--help"]), "Usage: countd VERB");
  assertEquals((await countd.run(["no-such-verb"])).code, 2);
});

testBinary("looks after an installation", async (countd) => {
  assertStringIncludes(await countd.answer(["doctor", "--data", "data"]), "ok ");
  assertStringIncludes(
    await countd.answer(["config", "doctor"], { env: { COUNTD_DATA: "/somewhere" } }),
    "/somewhere\tenvironment",
  );
  assertStringIncludes(await countd.answer(["completion", "bash"]), "complete ");
  assertStringIncludes(await countd.answer(["completion", "man"]), ".TH ");
  assertStringIncludes(await countd.answer(["systemd", "serve"]), "[Service]");
});
