/** Starts several processes of `client.ts`, which begin at one moment, and gathers their calls. */

import { assertEquals } from "@std/assert";
import type { Call, CallKind } from "../support/linearizability.ts";
import { type CountdProcess, startProgram } from "../support/process.ts";
import { waitUntil } from "../support/wait.ts";
import type { Job } from "./client.ts";

const client = decodeURIComponent(new URL("client.ts", import.meta.url).pathname);

/** What all clients of a test have in common; `directory` is where the counters are kept. */
export interface Clients {
  readonly directory: string;
  readonly root: string;
  readonly lockTimeoutMs?: number;
  readonly sync?: "always" | "os";
}

/** `Job` without what `runClients` fills in. */
export type Work = Job extends infer Each
  ? Each extends Job
    ? Omit<Each, "root" | "process" | "lockTimeoutMs" | "sync" | "counters" | "parties">
  : never
  : never;

let jobs = 0;

/** `directory` keeps the job, which is too long for a command line. */
export function startClient(directory: string, job: Job, fault?: string): CountdProcess {
  const path = `${directory}/job-${jobs++}`;
  Deno.writeTextFileSync(path, JSON.stringify(job));
  return startProgram(
    [Deno.execPath(), "run", "--quiet", "-A", "--no-check", client, path],
    fault === undefined ? {} : { env: { COUNTD_FAULT: fault } },
  );
}

/** A job of one durable call on the tables in `directory`. */
export function oneCall(
  directory: string,
  call: { kind: CallKind; key: string; value?: string },
): Job {
  return {
    job: "script",
    inLockStep: false,
    calls: [call],
    root: `${directory}/tables`,
    process: 0,
    lockTimeoutMs: 30_000,
    sync: "always",
    counters: `${directory}/counters`,
    parties: 1,
  };
}

/** Wait until a process is stopped by SIGSTOP, as a `stop@` fault does it. */
export async function untilStopped(process: CountdProcess): Promise<void> {
  await waitUntil(
    "the process to stop",
    () => /^State:\tT/m.test(Deno.readTextFileSync(`/proc/${process.pid}/status`)),
  );
}

let runs = 0;

/** Run each piece of work in a process of its own, all from one moment on. Returns their calls. */
export async function runClients(clients: Clients, work: readonly Work[]): Promise<Call[][]> {
  const counters = `${clients.directory}/counters-${runs++}`;
  await using stack = new AsyncDisposableStack();
  const processes = work.map((piece, process) =>
    stack.use(startClient(clients.directory, {
      ...piece,
      root: clients.root,
      lockTimeoutMs: clients.lockTimeoutMs ?? 60_000,
      sync: clients.sync ?? "os",
      process,
      counters,
      parties: work.length,
    }))
  );
  const calls = await Promise.all(processes.map(async (process) => {
    const { code, text, stderr } = await process.ended({ deadlineMs: 1_800_000 });
    if (code !== 0) throw new Error(`A client ended with ${code}: ${stderr}`);
    return JSON.parse(text) as Call[];
  }));
  const tickets = calls.flat().flatMap(({ start, end }) => [start, end]);
  assertEquals(new Set(tickets).size, tickets.length, "no ticket is given twice");
  return calls;
}
