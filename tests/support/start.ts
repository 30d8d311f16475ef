/**
 * `deno task start`: the counter server on a new temporary data directory, with the sample access log in
 * it. Prints the ten most wanted paths and what to try next, then `ready`, and stays until Ctrl-C or
 * SIGHUP. With `--once` it ends after the top ten. The directory goes when it ends.
 */

import { parseArgs } from "@std/cli/parse-args";
import { sampleLines } from "./sample_log.ts";

const main = decodeURIComponent(new URL("../../main.ts", import.meta.url).pathname);
const countd = [Deno.execPath(), "run", "--quiet", "-A", main];

function command(args: string[], options: Partial<Deno.CommandOptions> = {}): Deno.Command {
  const [program = "", ...first] = countd;
  return new Deno.Command(program, { args: [...first, ...args], ...options });
}

/** Reads stderr of the server and waits for the ports; all other lines are passed on. */
async function announced(stderr: ReadableStream<Uint8Array>): Promise<Record<string, string>> {
  const ports: Record<string, string> = {};
  const ready = Promise.withResolvers<Record<string, string>>();
  const lines = async () => {
    let rest = "";
    for await (const text of stderr.pipeThrough(new TextDecoderStream())) {
      const all = (rest + text).split("\n");
      rest = all.pop() ?? "";
      for (const line of all) {
        const match = /^(write|read) listening on (.*)$/.exec(line);
        if (match) ports[match[1] ?? ""] = match[2] ?? "";
        else if (/level=(warn|error)|^countd:/.test(line)) console.error(line);
        if (ports["write"] && ports["read"]) ready.resolve(ports);
      }
    }
    ready.reject(new Error("countd serve ended before it listened"));
  };
  lines();
  return await ready.promise;
}

async function load(lines: string, server: string): Promise<string> {
  const child = command(["load", "--connect", server], {
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(lines));
  await writer.close();
  const { stdout } = await child.output();
  return new TextDecoder().decode(stdout).trim().split("\n").join(", ");
}

async function start(args: string[]): Promise<void> {
  const options = parseArgs(args, {
    boolean: ["once"],
    unknown: (option) => {
      console.error(`start knows --once alone, not ${option}`);
      Deno.exit(2);
    },
  });
  const data = Deno.makeTempDirSync({ prefix: "countd-start-" });
  const server = command(
    ["serve", "--data", data, "--write-port", "0", "--read-port", "0"],
    { stdin: "null", stderr: "piped" },
  ).spawn();
  const stopped = Promise.withResolvers<void>();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    Deno.addSignalListener(signal, () => stopped.resolve());
  }
  try {
    const ports = await announced(server.stderr);
    console.log(`countd serves ${data}: writes on ${ports["write"]}, reads on ${ports["read"]}`);
    const loaded = await load(sampleLines("paths"), ports["write"] ?? "");
    console.log(
      `sample access log, one increment a path: ${loaded} (a path longer than 256 bytes)`,
    );
    console.log("\nthe ten most wanted paths:");
    const top = await command(["top", "paths", "--data", data]).output();
    await Deno.stdout.write(top.stdout);
    if (!top.success) throw new Error(new TextDecoder().decode(top.stderr));
    if (options.once) return;
    console.log(`\ntry next:\n  npx -y deno@2.9.4 run -A main.ts rank paths / --data ${data}`);
    console.log("ready");
    await Promise.race([stopped.promise, server.status]);
  } finally {
    try {
      server.kill("SIGTERM");
    } catch {
      // The server has already ended.
    }
    await server.status;
    Deno.removeSync(data, { recursive: true });
  }
}

if (import.meta.main) {
  await start(Deno.args);
  Deno.exit(0);
}
