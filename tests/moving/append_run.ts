/**
 * A program that appends each line of its stdin to an append-only file, syncs, and prints the line. It ends
 * as countd's verbs do.
 */

import { Aof, createFile, systemStorage } from "../../src/aof/mod.ts";
import { failureOf } from "../../src/cli/failure.ts";
import { linesOf } from "../../src/shell/mod.ts";

async function append(path: string): Promise<number> {
  try {
    const options = { geometry: createFile(), shared: true };
    await using file = Aof.open(systemStorage(), path, options);
    console.log("ready");
    for await (const line of linesOf(Deno.stdin.readable)) {
      file.write(new TextEncoder().encode(`${line}\n`));
      await file.syncAsync();
      console.log(line);
    }
    return 0;
  } catch (error) {
    const { code, message, stack } = failureOf(error);
    console.error(`countd: ${message}`);
    if (stack !== undefined) console.error(stack);
    return code;
  }
}

if (import.meta.main) Deno.exit(await append(Deno.args[0] ?? ""));
