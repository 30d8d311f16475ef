/** What the tests of options share: a directory with unfolded increments, and ways to inspect it. */
import { assertEquals } from "@std/assert";
import { DataDirectory, describeSelf } from "../../src/counters/commitlog/mod.ts";
import { systemStorage } from "../../src/file/mod.ts";
import { parsePrometheus, type Sample } from "../support/prometheus.ts";
import { batchOf, claim, poolOn } from "../support/data_directory.ts";
import { type CountdProcess, startCountd } from "../support/process.ts";
import { checkData } from "../support/check_data.ts";
import { capture } from "./capture.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";

/** Shows the effect of one option; the key is `verb --option`. */
export type Effects = Record<string, () => Promise<void>>;

/** Options that keep the logs of a test small. */
export const small = ["--log-size", "65536", "--logs", "2"];

export interface Serving {
  readonly daemon: CountdProcess;
  readonly address: string;
}

/** Runs `body` with a daemon that listens, in a directory of its own; it must stop cleanly. */
export async function withDaemon(
  verb: string,
  args: readonly string[],
  body: (serving: Serving & { readonly data: string }) => Promise<void>,
): Promise<void> {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    await using daemon = startCountd([verb, "--data", data, "--port", "0", ...args]);
    const { host, port } = await daemon.listening();
    await body({ daemon, address: `${host}:${port}`, data });
    assertEquals(await daemon.stop(), 0);
    checkData(data);
  });
}

/**
 * A data directory whose increments are all in the logs and none in a keyspace: 30 of `pages a`, 20 of
 * `pages b`, 10 of `pages c`. Its writer is gone.
 */
export async function withUnfolded(
  body: (data: string) => Promise<void>,
  sizes: { readonly keyspaceSize?: number; readonly keySize?: number } = {},
): Promise<void> {
  await withTemporaryDirectory(async (temporary) => {
    const data = `${temporary}/data`;
    const storage = systemStorage();
    {
      const wanted = { logSize: 65_536, ...sizes };
      const self = describeSelf(storage);
      using directory = DataDirectory.openOrCreate(storage, data, { wanted, self });
      const pool = poolOn(directory);
      await pool.prepare();
      const log = await claim(pool);
      log.append(batchOf([["pages", "a", 30n], ["pages", "b", 20n], ["pages", "c", 10n]]));
      await log.seal({ sync: true });
    }
    await body(data);
    checkData(data);
  });
}

/** Returns the answer of `status --json`. */
// deno-lint-ignore no-explicit-any -- the answer is checked field by field
export async function statusJson(data: string): Promise<any> {
  const { code, stdout } = await capture(["status", "--data", data, "--json"]);
  assertEquals(code, 0);
  return JSON.parse(stdout);
}

/** The samples of a daemon started with `--metrics-port 0`. */
export async function samplesOf(daemon: CountdProcess): Promise<readonly Sample[]> {
  const [, address] = await daemon.stderrLine(/metrics on ([^\s"]+)/);
  const response = await fetch(`http://${address}/metrics`);
  return [...parsePrometheus(await response.text()).values()].flatMap(({ samples }) => samples);
}

export function valueIn(samples: readonly Sample[], name: string): number {
  return samples.find((sample) => sample.name === name)?.value ?? 0;
}

/** A daemon, its arguments for a free port, and the line that announces that it serves. */
export interface Daemon {
  readonly verb: string;
  readonly args: readonly string[];
  readonly ready: RegExp;
}

export const write: Daemon = {
  verb: "write",
  args: ["--port", "0", ...small],
  ready: /listening on (\S+):(\d+)/,
};
export const read: Daemon = {
  verb: "read",
  args: ["--port", "0"],
  ready: /listening on (\S+):(\d+)/,
};
export const worker: Daemon = { verb: "worker", args: [], ready: /worker ready()()/ };
export const serve: Daemon = {
  verb: "serve",
  args: ["--write-port", "0", "--read-port", "0", ...small],
  ready: /read listening on (\S+):(\d+)/,
};
export const db: Daemon = {
  verb: "db serve",
  args: ["--port", "0"],
  ready: /listening on (\S+):(\d+)/,
};

/** Starts a daemon on a directory with increments, waits until it serves, runs a check, and stops it. */
export async function start(
  { verb, args, ready }: Daemon,
  more: readonly string[],
  look: (daemon: ReturnType<typeof startCountd>, ready: RegExpExecArray) => Promise<void> | void,
): Promise<void> {
  await withUnfolded(async (data) => {
    await using daemon = startCountd([...verb.split(" "), "--data", data, ...args, ...more]);
    await look(daemon, await daemon.stderrLine(ready));
    assertEquals(await daemon.stop(), 0);
  });
}

/** Tells whether the path exists. */
export function exists(path: string): boolean {
  try {
    return Deno.statSync(path) !== null;
  } catch {
    return false;
  }
}
