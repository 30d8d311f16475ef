/** A copy of the source and the tests, in which one text at a time is replaced. */

import { assert } from "@std/assert";
import { walkSync } from "@std/fs/walk";
import { dirname } from "node:path/posix";
import { type Ended, runProgram } from "../support/process.ts";
import type { PlantedFault } from "./faults.ts";

const PROJECT = decodeURIComponent(new URL("../../", import.meta.url).pathname);
/** A whole test in a process of its own, some of which start many processes. */
const DEADLINE_MS = 600_000;
const FILES = ["README.md", "deno.json", "deno.lock", "main.ts"];
const FOLDERS = ["ffi", "src", "tests"];

export class PlantedTree {
  readonly #root: string;

  private constructor(root: string) {
    this.#root = root;
  }

  static copy(root: string): PlantedTree {
    const paths = FOLDERS.flatMap((folder) =>
      [...walkSync(PROJECT + folder, { includeDirs: false })].map(({ path }) =>
        path.slice(PROJECT.length)
      )
    );
    for (const path of [...FILES, ...paths]) {
      Deno.mkdirSync(dirname(`${root}/${path}`), { recursive: true });
      Deno.copyFileSync(PROJECT + path, `${root}/${path}`);
    }
    return new PlantedTree(root);
  }

  /** Runs the test of a fault, which must pass; then plants the fault, and it must fail. */
  async assertCaught({ name, test, ...fault }: PlantedFault): Promise<void> {
    const sound = await this.#run(test);
    assert(isPassed(sound, test.name), `without the fault, ${test.name}: ${told(sound)}`);
    const path = `${this.#root}/${fault.file}`;
    const text = Deno.readTextFileSync(path);
    Deno.writeTextFileSync(path, replacedOnce(text, { name, ...fault }));
    try {
      const ended = await this.#run(test);
      assert(isFailed(ended, test.name), `${name}: not caught by ${test.name}: ${told(ended)}`);
    } finally {
      Deno.writeTextFileSync(path, text);
    }
  }

  async #run({ file, name }: PlantedFault["test"]): Promise<Ended> {
    const filter = `--filter=${name}`;
    return await runProgram([Deno.execPath(), "test", "-A", "--no-check", filter, file], {
      cwd: this.#root,
      env: { NO_COLOR: "1" },
      deadlineMs: DEADLINE_MS,
    });
  }
}

/** Text with the fault in it. Throws if the text that it replaces is not there once. */
export function replacedOnce(
  text: string,
  { name, file, from, to }: Pick<PlantedFault, "name" | "file" | "from" | "to">,
): string {
  const parts = text.split(from);
  assert(parts.length === 2, `${name}: ${file} has the text ${parts.length - 1} times: ${from}`);
  return parts.join(to);
}

/** A test that prints something has its result on a line of its own. */
function resultOf({ text }: Ended, name: string): string | undefined {
  const line = text.indexOf(`${name} ...`);
  return line < 0 ? undefined : /\b(ok|FAILED) \(/.exec(text.slice(line))?.[1];
}

function isPassed(ended: Ended, name: string): boolean {
  return ended.code === 0 && resultOf(ended, name) === "ok";
}

function isFailed(ended: Ended, name: string): boolean {
  return ended.code !== 0 && resultOf(ended, name) === "FAILED";
}

function told({ text, stderr }: Ended): string {
  return `${text}${stderr}`.slice(-3000);
}
