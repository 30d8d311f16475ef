/** The verbs that keep files open, and what is asked of each. */

import { CountdError } from "../../src/base/errors.ts";
import { ReadClient } from "../../src/counters/client/mod.ts";
import { DEFAULT_SIZES } from "../../src/counters/wire/mod.ts";
import type { CountdProcess } from "../support/process.ts";
import { waitUntil } from "../support/wait.ts";
import { type Answered, daemonVerb, type Work, worse } from "./daemon.ts";
import { sendOnes, type Sent } from "./increments.ts";
import { isNamed } from "./outcome.ts";
import type { Scene } from "./scene.ts";
import { truth } from "./sample.ts";
import { type Expected, isStored, nextBytes } from "./truth.ts";
import type { Verb } from "./verbs.ts";

/** A daemon that keeps a file looks at its name each second. */
const LOOK_MS = 1300;
/** Long enough for a busy machine: it is waited for only if there is no answer. */
const ANSWER_MS = 15_000;

async function pause(milliseconds: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, milliseconds));
}

const text = new TextEncoder();

/** What a read port answers about the counter `a`. */
async function ask(port: number): Promise<number | Exclude<Answered, "right">> {
  try {
    const server = { hostname: "127.0.0.1", port };
    using client = await ReadClient.connect(server, DEFAULT_SIZES, { silenceMs: ANSWER_MS });
    const value = await client.value(text.encode("visits"), text.encode("a"));
    return value === null ? "wrong" : Number(value);
  } catch (error) {
    if (!(error instanceof CountdError)) throw error;
    return error.kind === "cannot-connect" ? "nothing" : "refused";
  }
}

async function asked(port: number, [low, high]: readonly [number, number]): Promise<Answered> {
  const value = await ask(port);
  if (typeof value === "string") return value;
  if (low <= value && value <= high) return "right";
  console.log(`      answered ${value}, not ${low} to ${high}`);
  return "wrong";
}

/** Sends three increments, one of them after the daemon has had time to look at its files again. */
async function sendThree(port: number): Promise<Sent> {
  const first = await sendOnes(port, 2);
  await pause(LOOK_MS);
  const second = await sendOnes(port, 1);
  return { sent: first.sent + second.sent, won: first.won + second.won };
}

function stored(scene: Scene, expected: Expected): () => Promise<boolean> {
  return () => isStored(scene, scene.data, expected);
}

/** The counter `a` after increments that were answered, or perhaps taken without an answer. */
function counted({ sent, won }: Sent): Expected {
  return { a: [truth.a + won, truth.a + sent] };
}

/** Another process adds 1. Returns what is certain of it. */
async function addByShell(scene: Scene): Promise<Sent> {
  const command = ["shell", "--data", scene.data, "-c", "incr visits a 1"];
  const ended = await scene.runAfterwards(command);
  return { sent: 1, won: ended?.code === 0 ? 1 : 0 };
}

/** The folds of logs, or the complaints, of a worker until now. */
function signsOfWork(process: CountdProcess): number {
  return process.stderrLines
    .filter((line) => /event=folded logs=[1-9]|level=(?:warn|error)/.test(line)).length;
}

async function untilWorked(process: CountdProcess, before: number): Promise<void> {
  await waitUntil("a fold", () => process.over || signsOfWork(process) > before, {
    deadlineMs: ANSWER_MS,
  }).catch(() => {});
}

/** True if there is a log to fold. */
function hasSealed({ data }: Scene): boolean {
  const logs = [...Deno.readDirSync(`${data}/logs`)].filter(({ isFile }) => isFile);
  return logs.some(({ name }) => (Deno.lstatSync(`${data}/logs/${name}`).mode ?? 0) % 512 === 128);
}

const write = daemonVerb({
  name: "write",
  args: ({ data }) => ["write", "--data", data, "--port", "0", "--ack", "--sync", "always"],
  ready: /^listening on/,
  first: async (process) => await sendOnes((await process.listening()).port, 1),
  async work(process, scene): Promise<Work> {
    const sent = await sendThree((await process.listening()).port);
    const before = scene.isRunning ? 1 : 0;
    const all = { sent: sent.sent + before, won: sent.won + before };
    return {
      answered: sent.won === 3 ? "right" : "nothing",
      isKept: stored(scene, counted(all)),
    };
  },
});

const serve = daemonVerb({
  name: "serve",
  args: ({ data }) => [
    ...["serve", "--data", data, "--write-port", "0", "--read-port", "0", "--ack"],
    ...["--sync", "always", "--seal-after", "500ms"],
  ],
  ready: /^read listening on/,
  first: async (process) => await sendOnes((await process.listening("write")).port, 1),
  async work(process, scene): Promise<Work> {
    const before = scene.isRunning ? 1 : 0;
    const ports = [await process.listening("write"), await process.listening("read")] as const;
    const sent = await sendThree(ports[0].port);
    const all = { sent: sent.sent + before, won: sent.won + before };
    const { a = [0, 0] } = counted(all);
    const read = await asked(ports[1].port, a);
    return {
      answered: worse(sent.won === 3 ? "right" : "nothing", read),
      isKept: stored(scene, counted(all)),
    };
  },
});

const read = daemonVerb({
  name: "read",
  args: ({ data }) => ["read", "--data", data, "--port", "0"],
  ready: /^listening on/,
  first: async (process) => await ask((await process.listening()).port),
  async work(process, scene): Promise<Work> {
    const { port } = await process.listening();
    let added: Sent = { sent: 0, won: 0 };
    let answered = scene.isRunning ? "right" as const : await asked(port, [truth.a, truth.a]);
    if (scene.isRunning) {
      await pause(LOOK_MS);
      added = await addByShell(scene);
    }
    const { a = [0, 0] } = counted(added);
    answered = worse(answered, await asked(port, a));
    return { answered, isKept: stored(scene, counted(added)) };
  },
});

const worker = daemonVerb({
  name: "worker",
  args: ({ data }) => ["worker", "--data", data],
  ready: /^worker ready/,
  first: async (process) => await untilWorked(process, 0),
  async work(process, scene): Promise<Work> {
    const before = scene.isRunning ? signsOfWork(process) : 0;
    const added = scene.isRunning ? await addByShell(scene) : { sent: 0, won: 0 };
    await untilWorked(process, before);
    const isDone = signsOfWork(process) > before || added.sent > added.won || !hasSealed(scene);
    return { answered: isDone ? "right" : "nothing", isKept: stored(scene, counted(added)) };
  },
});

/** One request; null if the server is gone or silent, or refuses. */
async function request(port: number, path: string, body?: string): Promise<string | number> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, {
      signal: AbortSignal.timeout(ANSWER_MS),
      headers: { connection: "close" },
      ...body === undefined ? {} : { method: "POST", body },
    });
    const said = await response.text();
    return response.ok ? said : response.status;
  } catch {
    return 0;
  }
}

const db = daemonVerb({
  name: "db",
  args: ({ data }) => ["db", "--data", data, "--port", "0", "--sync", "always"],
  ready: /^listening on/,
  first: async (process) => await request((await process.listening()).port, "/get/x"),
  async work(process, scene): Promise<Work> {
    const { port } = await process.listening();
    const set = await request(port, "/set/z", "2");
    if (scene.isRunning) await pause(LOOK_MS);
    const again = await request(port, "/set/z", "3");
    const got = [await request(port, "/get/x"), await request(port, "/get/z")];
    const isSet = typeof again === "string";
    const wasSet = typeof set === "string";
    const isRight = got[0] === "new" && (!isSet || got[1] === "3");
    const isAnswered = typeof got[0] === "string" || got[0] === 404;
    const answered = !isAnswered ? "nothing" : !isRight ? "wrong" : isSet ? "right" : "refused";
    const database = isSet
      ? { ...truth.database, z: "3" }
      : wasSet
      ? { ...truth.database, z: "2" }
      : truth.database;
    return {
      answered,
      isKept: async () => isSet === wasSet ? await stored(scene, { database })() : true,
    };
  },
});

/** Numbers that a shell printed, one a line. */
function numbers(process: CountdProcess): number[] {
  return process.stdoutLines.filter((line) => /^\d+$/.test(line)).map(Number);
}

async function untilPrinted(process: CountdProcess, count: number): Promise<void> {
  await waitUntil(
    "an answer of the shell",
    () => process.over || numbers(process).length >= count,
    {
      deadlineMs: ANSWER_MS,
    },
  ).catch(() => {});
}

/** The commands of a session: what is first, what changes something, and what shows it. */
function session({ kind }: Scene): { first: string; change: string; show: string } {
  return kind.holds === "tables"
    ? { first: "use jobs; get next", change: "set next 18", show: "get next" }
    : { first: "count visits a", change: "incr visits a 1", show: "count visits a" };
}

function valueNow(scene: Scene): string {
  return nextBytes(scene, `${scene.data}/tables/jobs.tbl/next.kv`) ?? truth.next;
}

const shell = daemonVerb({
  name: "shell",
  args: ({ data }) => ["shell", "--data", data, "--keep-going"],
  endsWithInput: true,
  async first(process, scene) {
    await process.writeStdin(`${session(scene).first}\n`);
    await untilPrinted(process, 1);
  },
  async work(process, scene): Promise<Work> {
    const { first, change, show } = session(scene);
    if (!scene.isRunning) await process.writeStdin(`${first}\n`).catch(() => {});
    if (scene.isRunning) await pause(LOOK_MS);
    await process.writeStdin(`${change}\n${show}\n`).catch(() => {});
    await untilPrinted(process, 2);
    const printed = numbers(process);
    const [was, is] = [printed[0], printed[1]];
    const isTable = scene.kind.holds === "tables";
    const right = isTable ? [Number(truth.next), 18] : [truth.a, truth.a + 1];
    const isRight = was === right[0] && is === right[1];
    const hasFailed = process.stderrLines.some((line) => line.startsWith("countd: "));
    const answered = isRight
      ? "right"
      : hasFailed && isNamed(scene, process.stderrLines.join("\n"))
      ? "refused"
      : "wrong";
    // A value that was set and could not be shown counts as one or the other.
    const expected: Expected = isTable
      ? { next: printed.includes(18) ? ["18"] : ["18", truth.next, valueNow(scene)] }
      : { a: [truth.a + (is === right[1] ? 1 : 0), truth.a + 1] };
    return { answered, isKept: stored(scene, expected) };
  },
});

const logAppend = daemonVerb({
  name: "log append",
  args: () => [],
  command: (scene) => [
    ...[Deno.execPath(), "run", "--quiet", "-A", "--no-check", "--cached-only"],
    ...[new URL("append_run.ts", import.meta.url).pathname, scene.target().path],
  ],
  ready: /^ready/,
  endsWithInput: true,
  async work(process, scene): Promise<Work> {
    const lines = ["three", "four"];
    for (const line of lines) {
      await process.writeStdin(`${line}\n`).catch(() => {});
      await waitUntil("an append", () => process.over || process.stdoutLines.includes(line), {
        deadlineMs: ANSWER_MS,
      }).catch(() => {});
    }
    const appended = lines.filter((line) => process.stdoutLines.includes(line));
    const expected = contentBefore(scene) + appended.map((line) => `${line}\n`).join("");
    return {
      answered: appended.length === lines.length ? "right" : "nothing",
      // What the event itself took away is not lost by the program.
      isKept: () => Promise.resolve(appended.length === 0 || begins(scene.target().path, expected)),
    };
  },
});

/** What the append-only file holds when its program opens it: a missing one is made. */
function contentBefore({ event, isRunning }: Scene): string {
  if (isRunning || !["removed", "older copy"].includes(event.name)) return truth.appended;
  return event.name === "removed" ? "" : truth.olderAppended;
}

/** True if a file begins with a text. */
function begins(path: string, expected: string): boolean {
  try {
    if (!Deno.statSync(path).isFile) return false;
    using file = Deno.openSync(path);
    const bytes = new Uint8Array(text.encode(expected).length);
    file.readSync(bytes);
    return new TextDecoder().decode(bytes) === expected;
  } catch {
    return false;
  }
}

export const daemons: readonly Verb[] = [write, worker, read, serve, db, shell, logAppend];
