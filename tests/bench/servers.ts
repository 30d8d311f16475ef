/** The servers that the benches compare, each on a fresh directory and a free port. */

import { type CountdProcess, startCountd, startProgram } from "../support/process.ts";

export interface BenchServer extends AsyncDisposable {
  readonly port: number;
}

/** Starts a `countd write` with these options, and a worker beside it if one is wanted. */
export async function startWriter(
  directory: string,
  options: { readonly worker: boolean; readonly more?: readonly string[] },
): Promise<BenchServer> {
  const data = `${directory}/data`;
  const writer = startCountd(["write", "--data", data, "--port", "0", ...options.more ?? []]);
  const { port } = await writer.listening();
  const worker = options.worker ? startCountd(["worker", "--data", data]) : null;
  await worker?.stderrLine(/worker ready/);
  return {
    port,
    async [Symbol.asyncDispose]() {
      await writer.stop();
      await worker?.stop();
    },
  };
}

export async function startDropServer(): Promise<BenchServer> {
  const path = decodeURIComponent(new URL("drop_server.ts", import.meta.url).pathname);
  const server = startProgram([Deno.execPath(), "run", "-A", path]);
  const { port } = await server.listening();
  return { port, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

/** Redis with its append-only file on, on a port that was free a moment ago. */
export async function startRedis(
  directory: string,
  appendfsync: "everysec" | "always",
): Promise<BenchServer> {
  const probe = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = probe.addr as Deno.NetAddr;
  probe.close();
  const server = startProgram([
    "redis-server",
    ...["--port", String(port), "--bind", "127.0.0.1", "--dir", directory, "--save", ""],
    ...["--appendonly", "yes", "--appendfsync", appendfsync, "--daemonize", "no"],
  ]);
  await server.stdoutLine(/Ready to accept connections/);
  return { port, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

/** True if the program is installed. */
export async function hasProgram(name: string): Promise<boolean> {
  const { success } = await new Deno.Command("sh", {
    args: ["-c", `command -v ${name}`],
    stdout: "null",
    stderr: "null",
  }).output();
  return success;
}

/** A sender process that is connected and has its stream ready; `send` starts it. */
export async function prepareSender(
  kind: "countd" | "drop" | "redis",
  port: number,
  load: {
    readonly count: number;
    readonly keys: number;
    readonly connections: number;
    readonly window: number;
  },
): Promise<{ send(): Promise<number> }> {
  const path = decodeURIComponent(new URL("sender.ts", import.meta.url).pathname);
  const { count, keys, connections, window } = load;
  const args = [kind, port, count, keys, connections, window].map(String);
  const sender: CountdProcess = startProgram([Deno.execPath(), "run", "-A", path, ...args]);
  await sender.stdoutLine(/^ready$/, { deadlineMs: 120_000 });
  return {
    async send() {
      await sender.writeStdin("\n");
      const [, ms] = await sender.stdoutLine(/^sent (.*)$/, { deadlineMs: 600_000 });
      await sender.ended();
      return Number(ms);
    },
  };
}
