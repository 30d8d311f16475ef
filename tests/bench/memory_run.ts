/**
 * Memory of every daemon over a long run at full load:
 *
 *     deno task bench:memory --minutes 10
 *
 * One writer, one worker and one reader. Increments are sent as fast as they are taken (100,000 keys, Zipf
 * 1.0), and pages and ranks are asked for at the same time. Anonymous memory is read every few seconds;
 * MEMORY.md gets the median of each tenth of the run.
 */

import { parseArgs } from "@std/cli/parse-args";
import { type CountdProcess, startCountd } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { median } from "./row.ts";
import { prepareSender } from "./servers.ts";

const { minutes } = parseArgs(Deno.args, { string: ["minutes"], default: { minutes: "10" } });
const runMs = Number(minutes) * 60_000;
const sampleMs = Math.max(500, runMs / 200);
const roundIncrements = 5_000_000;

/** Private memory of the process. Pages of mapped files do not count: they can be read again from disk. */
function anonymousMebibytes(process: CountdProcess): number {
  const text = Deno.readTextFileSync(`/proc/${process.pid}/smaps_rollup`);
  return Number(/^Anonymous:\s+(\d+) kB$/m.exec(text)?.[1]) / 1024;
}

await withTemporaryDirectory(async (directory) => {
  const data = `${directory}/data`;
  await using write = startCountd(["write", "--data", data, "--port", "0"]);
  const { port } = await write.listening();
  await using worker = startCountd(["worker", "--data", data]);
  await using read = startCountd(["read", "--data", data, "--port", "0"]);
  const asked = await read.listening();
  const daemons = { write, worker, read };
  const samples = Object.keys(daemons).map((name) => ({ name, mebibytes: [] as number[] }));

  const startMs = performance.now();
  const isOver = () => performance.now() - startMs > runMs;
  let sent = 0;
  const load = async () => {
    while (!isOver()) {
      const sender = await prepareSender("countd", port, {
        count: roundIncrements,
        keys: 100_000,
        connections: 4,
        window: 0,
      });
      await sender.send();
      sent += roundIncrements;
    }
  };
  let answered = 0;
  const ask = async () => {
    const { ReadClient } = await import("../../src/counters/client/mod.ts");
    using client = await ReadClient.connect(
      { hostname: asked.host, port: asked.port },
      { keyspaceSize: 256, keySize: 256 },
    );
    const keyspace = new TextEncoder().encode("bench");
    while (!isOver()) {
      await client.page(keyspace, { offset: answered % 50_000, length: 100 });
      answered++;
    }
  };
  const watch = async () => {
    while (!isOver()) {
      await new Promise((resolve) => setTimeout(resolve, sampleMs));
      for (const { name, mebibytes } of samples) {
        mebibytes.push(anonymousMebibytes(daemons[name as keyof typeof daemons]));
      }
    }
  };
  await Promise.all([load(), ask(), watch()]);
  for (const process of [write, read, worker]) await process.stop();

  const tenths = samples.map(({ name, mebibytes }) => ({
    name,
    values: Array.from({ length: 10 }, (_, tenth) => {
      const [from, to] = [tenth, tenth + 1].map((at) => Math.floor(at * mebibytes.length / 10));
      return Math.round(median(mebibytes.slice(from, to)));
    }),
  }));
  const text = [
    "# Memory over time",
    "",
    `Made by \`deno task bench:memory --minutes ${minutes}\`: ` +
    `${(sent / 1e6).toFixed(0)} million increments taken and folded, ${answered} pages of 100 ` +
    "answered. Anonymous memory of each daemon in MiB, the median of each tenth of the run.",
    "",
    `| daemon | ${tenths[0]?.values.map((_, index) => index + 1).join(" | ")} |`,
    `| --- |${" --- |".repeat(10)}`,
    ...tenths.map(({ name, values }) => `| ${name} | ${values.join(" | ")} |`),
    "",
  ].join("\n");
  console.log(text);
  Deno.writeTextFileSync(new URL("MEMORY.md", import.meta.url), text);
});
