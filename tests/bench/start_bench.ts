/**
 * Row 9: the time from the shell to the answer of `--version`, whole processes, the compiled executable
 * against redis-server.
 *
 *     deno task compile && deno run -A tests/bench/start_bench.ts
 */

import { existsSync } from "@std/fs/exists";
import { median, reportRow } from "./row.ts";
import { hasProgram } from "./servers.ts";

const rounds = 21;
const executable = decodeURIComponent(new URL("../../countd", import.meta.url).pathname);

async function startMs(program: string): Promise<number> {
  const start = performance.now();
  const { success } = await new Deno.Command(program, {
    args: ["--version"],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).output();
  if (!success) throw new Error(`${program} --version failed`);
  return performance.now() - start;
}

if (!existsSync(executable)) {
  console.log("not run: needs ./countd (deno task compile)");
} else if (!await hasProgram("redis-server")) {
  console.log("not run: needs redis-server");
} else {
  const times = { ours: [] as number[], theirs: [] as number[] };
  for (let round = 0; round < rounds; round++) {
    times.ours.push(await startMs(executable));
    times.theirs.push(await startMs("redis-server"));
  }
  const [ours, theirs] = [median(times.ours), median(times.theirs)];
  reportRow({
    id: "9",
    work: "start-up of `countd --version`, compiled",
    against: "`redis-server --version`",
    ours: `${ours.toFixed(0)} ms`,
    theirs: `${theirs.toFixed(0)} ms`,
    result: `${(ours / theirs).toFixed(1)} times as long`,
    goal: "reported",
    met: null,
  });
}
