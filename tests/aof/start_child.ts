/** Start `child.ts` as a process of its own. */

import { type CountdProcess, startProgram } from "../support/process.ts";

const child = decodeURIComponent(new URL("child.ts", import.meta.url).pathname);

export function startChild(...args: (string | number)[]): CountdProcess {
  return startChildWith([], ...args);
}

/** `flags` are for the runtime. */
export function startChildWith(
  flags: readonly string[],
  ...args: (string | number)[]
): CountdProcess {
  const command = [Deno.execPath(), "run", "--quiet", "--no-check", "-A", ...flags, child];
  return startProgram([...command, ...args.map(String)]);
}
