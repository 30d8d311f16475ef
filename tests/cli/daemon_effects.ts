/** Effects of the options of `write`, `worker`, `read`, `serve` and `db serve`. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { runCountd, startCountd } from "../support/process.ts";
import { capture } from "./capture.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { waitUntil } from "../support/wait.ts";
import {
  type Effects,
  samplesOf,
  small,
  statusJson,
  valueIn,
  withDaemon,
  withUnfolded,
} from "./effect_support.ts";

/** A daemon, what it needs to start on a free port, and the line that says that it serves. */
interface Daemon {
  readonly verb: string;
  readonly args: readonly string[];
  readonly ready: RegExp;
}

const write = { verb: "write", args: ["--port", "0", ...small], ready: /listening on (\S+):(\d+)/ };
const read = { verb: "read", args: ["--port", "0"], ready: /listening on (\S+):(\d+)/ };
const worker = { verb: "worker", args: [], ready: /worker ready()()/ };
const serve = {
  verb: "serve",
  args: ["--write-port", "0", "--read-port", "0", ...small],
  ready: /read listening on (\S+):(\d+)/,
};
const db = { verb: "db serve", args: ["--port", "0"], ready: /listening on (\S+):(\d+)/ };

/** Starts a daemon on a directory with increments, waits until it serves, looks, and stops it. */
async function start(
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

/** What every daemon has. */
function common(daemon: Daemon): Effects {
  const { verb } = daemon;
  return {
    [`${verb} --metrics-port`]: () =>
      start(daemon, ["--metrics-port", "0"], async (process) => {
        const samples = await samplesOf(process);
        assertEquals(valueIn(samples, "countd_build_info"), 1);
      }),
    [`${verb} --log-format`]: () =>
      start({ ...daemon, ready: /"event":"/ }, ["--log-format", "json"], async (process) => {
        await process.stderrLine(daemon.ready);
        for (const line of process.stderrLines) JSON.parse(line);
      }),
    [`${verb} --listen`]: () =>
      start(daemon, ["--listen", "127.0.0.2", "--metrics-port", "0"], async (process, [, host]) => {
        if (host !== "") assertEquals(host, "127.0.0.2");
        await process.stderrLine(/metrics on 127\.0\.0\.2:\d+/);
      }),
    [`${verb} --data`]: async () => {
      await withTemporaryDirectory(async (directory) => {
        const data = `${directory}/elsewhere`;
        await using process = startCountd([...verb.split(" "), "--data", data, ...daemon.args]);
        // Some make it, others wait for it and say so.
        await waitUntil(
          "the directory or a word about it",
          () => exists(data) || process.stderrLines.some((line) => line.includes(data)),
        );
        assertEquals(await process.stop(), 0);
      });
    },
  };
}

/** Refuses the second connection with a limit of one. */
function maxConnections(daemon: Daemon): Effects {
  return {
    [`${daemon.verb} --max-connections`]: () =>
      start(daemon, ["--max-connections", "1"], async (process, [, hostname, port]) => {
        const address = { hostname: hostname as string, port: Number(port) };
        using _held = await Deno.connect(address);
        using refused = await Deno.connect(address);
        assertEquals(await refused.read(new Uint8Array(1)), null);
        await process.stderrLine(/too many/);
      }),
  };
}

/** A port that somebody else has is refused by name. */
function port(daemon: Daemon, option: string): Effects {
  return {
    [`${daemon.verb} --${option}`]: () =>
      withUnfolded(async (data) => {
        using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
        const number = String((taken.addr as Deno.NetAddr).port);
        const args = daemon.args.filter((_, index, all) =>
          all[index] !== `--${option}` && all[index - 1] !== `--${option}`
        );
        const command = [...daemon.verb.split(" "), "--data", data, ...args];
        const { code, stderr } = await runCountd([...command, `--${option}`, number]);
        assertEquals(code, 1, stderr);
        assertStringIncludes(stderr, "in use");
      }),
  };
}

/** Sizes are stored when a directory is made; other ones are refused afterwards. */
function sizes(daemon: Daemon): Effects {
  const shown = (option: string, value: string) => async () => {
    await withUnfolded(async (data) => {
      const command = [...daemon.verb.split(" "), "--data", data, ...daemon.args];
      const others = command.filter((_, index) =>
        command[index] !== option && command[index - 1] !== option
      );
      const { code, stderr } = await runCountd([...others, option, value]);
      assertEquals(code, 2, stderr);
      assertStringIncludes(stderr, `was made with ${option}`);
    });
  };
  const options = ["keyspace-size", "key-size"];
  return Object.fromEntries(
    options.map((option) => [`${daemon.verb} --${option}`, shown(`--${option}`, "8")]),
  );
}

function logs(daemon: Daemon): Effects {
  const { verb } = daemon;
  const onNew = async (
    options: readonly string[],
    look: (data: string, process: ReturnType<typeof startCountd>) => Promise<void>,
  ) => {
    await withTemporaryDirectory(async (directory) => {
      const data = `${directory}/data`;
      const ports = daemon.args.slice(0, daemon.args.length - small.length);
      await using process = startCountd([verb, "--data", data, ...ports, ...options]);
      await process.stderrLine(daemon.ready);
      await look(data, process);
      assertEquals(await process.stop(), 0);
    });
  };
  return {
    [`${verb} --log-size`]: () =>
      onNew(["--log-size", "128KiB", "--logs", "2"], async (data) => {
        assertEquals(Deno.statSync(`${data}/logs/0000000000`).size, 131_072);
        assertEquals((await statusJson(data)).sizes.logSize, "131072");
      }),
    [`${verb} --logs`]: () =>
      onNew(["--log-size", "65536", "--logs", "5"], (data) => {
        assertEquals(slotsIn(data), 5);
        return Promise.resolve();
      }),
    [`${verb} --backlog`]: () =>
      onNew(["--log-size", "65536", "--logs", "9", "--backlog", "196608"], (data) => {
        assertEquals(slotsIn(data), 3);
        return Promise.resolve();
      }),
  };
}

function slotsIn(data: string): number {
  return [...Deno.readDirSync(`${data}/logs`)].filter(({ name }) => /^\d{10}$/.test(name)).length;
}

/** Sends one increment and waits for what the server answers before it closes. */
async function sendOne(address: string, key = "a"): Promise<Uint8Array> {
  const [hostname = "", port = ""] = address.split(":");
  const connection = await Deno.connect({ hostname, port: Number(port) });
  const message = new Uint8Array(520);
  new DataView(message.buffer).setBigInt64(0, 1n, true);
  message.set(new TextEncoder().encode("pages"), 8);
  message.set(new TextEncoder().encode(key), 264);
  for (let written = 0; written < message.length;) {
    written += await connection.write(message.subarray(written));
  }
  await connection.closeWrite();
  return new Uint8Array(await new Response(connection.readable).arrayBuffer());
}

/** Syncs of the logs so far, of a writer that has taken one increment and said so. */
async function syncsAfterOne(options: readonly string[]): Promise<number> {
  let syncs = -1;
  await withDaemon("write", [...small, "--metrics-port", "0", ...options], async (serving) => {
    await sendOne(serving.address);
    syncs = valueIn(await samplesOf(serving.daemon), "countd_fsync_seconds_count");
  });
  return syncs;
}

const writeEffects: Effects = {
  "write --ack": () =>
    withDaemon("write", [...small, "--ack"], async ({ address }) => {
      const answer = await sendOne(address);
      assertEquals(new TextDecoder().decode(answer.subarray(0, 3)), "WIN");
      assertEquals(answer.length, 3 + 16);
    }),
  "write --sync": async () => {
    assertEquals(await syncsAfterOne(["--sync", "os"]), 0);
    assert(await syncsAfterOne(["--sync", "always"]) >= 1);
  },
  "write --sync-interval": async () => {
    // Nobody waits for an answer, so only the timer can sync.
    await syncedByTimer(write, "write", pushOne);
  },
  "write --seal-after": () =>
    withDaemon(
      "write",
      ["--log-size", "65536", "--logs", "8", "--seal-after", "1h"],
      async ({ address, data }) => {
        await using folding = startCountd(["worker", "--data", data]);
        await folding.stderrLine(/worker ready/);
        await sendOne(address, "kept");
        // A second writer hands its log over after longer than the default: ours had its time.
        const others = ["write", "--data", data, "--port", "0", "--seal-after", "1500ms"];
        await using other = startCountd(others);
        const listening = await other.listening();
        await sendOne(`${listening.host}:${listening.port}`, "folded");
        await waitUntil("the fold of the second log", async () => {
          const { stdout } = await capture(["top", "pages", "--stale", "--data", data]);
          return stdout === "1\tfolded\n";
        });
        assertEquals(await other.stop(), 0);
        assertEquals(await folding.stop(), 0);
      },
    ),
};

const workerEffects: Effects = {
  "worker --once": () =>
    withUnfolded(async (data) => {
      const { code } = await runCountd(["worker", "--once", "--data", data]);
      assertEquals(code, 0);
      const { stdout } = await capture(["top", "pages", "--stale", "--data", data]);
      assertEquals(stdout, "30\ta\n20\tb\n10\tc\n");
      assertEquals((await statusJson(data)).backlog.records, "0");
    }),
  "worker --until-stdin-ends": () =>
    withUnfolded(async (data) => {
      await using process = startCountd(["worker", "--data", data, "--until-stdin-ends"]);
      await process.stderrLine(/worker ready/);
      await process.closeStdin();
      assertEquals((await process.ended()).code, 0);
    }),
  "worker --lock-timeout": () =>
    withUnfolded(async (data) => {
      await using holder = startCountd(["worker", "--data", data]);
      await holder.stderrLine(/worker ready/);
      const args = ["worker", "--once", "--data", data, "--lock-timeout", "1ms"];
      const { code, stderr } = await runCountd(args);
      assertEquals(code, 75, stderr);
      assertEquals(await holder.stop(), 0);
    }),
};

/** Asks a server for the top of `pages`. */
async function topAt(hostname: string, port: string): Promise<string> {
  const { stdout } = await capture(["top", "pages", "--connect", `${hostname}:${port}`]);
  return stdout;
}

const staleEffects: Effects = {
  "read --stale": () =>
    start(read, ["--stale"], async (_, [, hostname = "", number = ""]) => {
      assertEquals(await topAt(hostname, number), "");
    }),
  "serve --stale": async () => {
    await withTemporaryDirectory(async (directory) => {
      const data = `${directory}/data`;
      const args = ["serve", "--data", data, ...serve.args, "--stale", "--seal-after", "1h"];
      await using process = startCountd(args);
      const writing = await process.listening("write");
      const reading = await process.listening("read");
      await sendOne(`${writing.host}:${writing.port}`);
      assertEquals(await topAt(reading.host, String(reading.port)), "");
      // The increment is there for those who ask the logs too.
      const { stdout } = await capture(["top", "pages", "--data", data]);
      assertEquals(stdout, "1\ta\n");
      assertEquals(await process.stop(), 0);
    });
  },
};

/** `serve` passes these on to the same writer; what they do there is shown by `write`. */
const serveEffects: Effects = {
  "serve --ack": () =>
    start({ ...serve, ready: /write listening on (\S+):(\d+)/ }, ["--ack"], async (_, match) => {
      const answer = await sendOne(`${match[1]}:${match[2]}`);
      assertEquals(new TextDecoder().decode(answer.subarray(0, 3)), "WIN");
    }),
  "serve --sync": () => noSyncsOfServe(["--sync", "os", "--seal-after", "1h"]),
  "serve --sync-interval": async () => {
    const daemon = { ...serve, ready: /write listening on (\S+):(\d+)/ };
    await syncedByTimer(
      { ...daemon, args: [...serve.args, "--seal-after", "1h"] },
      "serve",
      pushOne,
    );
  },
  "serve --seal-after": () =>
    start({ ...serve, ready: /write listening on (\S+):(\d+)/ }, ["--seal-after", "10ms"], async (
      process,
      match,
    ) => {
      await sendOne(`${match[1]}:${match[2]}`, "sealed");
      await process.stderrLine(/event=folded.* records=1 /);
    }),
};

async function noSyncsOfServe(options: readonly string[]): Promise<void> {
  const daemon = { ...serve, ready: /write listening on (\S+):(\d+)/ };
  await start(daemon, ["--metrics-port", "0", ...options], async (process, match) => {
    await sendOne(`${match[1]}:${match[2]}`);
    assertEquals(valueIn(await samplesOf(process), "countd_fsync_seconds_count"), 0);
  });
}

/** Longer than the default interval: what an hour's interval must not do in this time. */
const longerThanDefaultMs = 1500;

/** With a short interval there is a sync soon; with an hour's there is none in the default's time. */
async function syncedByTimer(
  daemon: Daemon,
  kind: "write" | "serve" | "db",
  store: (hostname: string, port: number) => Promise<{ close(): void }>,
): Promise<void> {
  const name = kind === "db" ? "countd_db_syncs_total" : "countd_fsync_seconds_count";
  const run = (interval: string, look: (syncs: () => Promise<number>) => Promise<void>) =>
    start(daemon, ["--sync-interval", interval, "--metrics-port", "0"], async (process, match) => {
      const before = valueIn(await samplesOf(process), name);
      const stored = await store(match[1] as string, Number(match[2]));
      await look(async () => valueIn(await samplesOf(process), name) - before);
      stored.close();
    });
  await run("20ms", async (syncs) => {
    await waitUntil("a sync by the timer", async () => await syncs() >= 1);
  });
  await run("1h", async (syncs) => {
    await new Promise((resolve) => setTimeout(resolve, longerThanDefaultMs));
    assertEquals(await syncs(), 0);
  });
}

/** Sends one increment and keeps the connection, so that no answer waits for a sync. */
async function pushOne(hostname: string, port: number): Promise<{ close(): void }> {
  const connection = await Deno.connect({ hostname, port });
  const message = new Uint8Array(520);
  message[0] = 1;
  message[8] = message[264] = 0x61;
  for (let written = 0; written < message.length;) {
    written += await connection.write(message.subarray(written));
  }
  return connection;
}

const dbEffects: Effects = {
  "db serve --sync-interval": async () => {
    await syncedByTimer(db, "db", async (hostname, port) => {
      const url = `http://${hostname}:${port}/set/a`;
      const response = await fetch(url, { method: "POST", body: "1" });
      await response.body?.cancel();
      assertEquals(response.status, 200);
      return { close: () => {} };
    });
  },
  "db serve --db": () => servesFile("--db", "other.json"),
  "db serve --log": () => servesFile("--log", "other.log"),
  "db serve --sync": async () => {
    for (const mode of ["always", "interval", "os"]) {
      await start(db, ["--sync", mode], async (_, [, host, number]) => {
        const response = await fetch(`http://${host}:${number}/status`);
        assertMatch(await response.text(), new RegExp(mode));
      });
    }
  },
};

async function servesFile(option: string, name: string): Promise<void> {
  await withTemporaryDirectory(async (directory) => {
    const path = `${directory}/${name}`;
    const args = ["db", "serve", "--data", `${directory}/data`, "--port", "0", option, path];
    await using process = startCountd(args);
    await process.listening();
    assert(exists(path));
    assertEquals(await process.stop(), 0);
  });
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(path) !== null;
  } catch {
    return false;
  }
}

export const daemonEffects: Effects = {
  ...common(write),
  ...common(read),
  ...common(worker),
  ...common(serve),
  ...common(db),
  ...maxConnections(write),
  ...maxConnections(read),
  ...maxConnections(serve),
  ...port(write, "port"),
  ...port(read, "port"),
  ...port(serve, "write-port"),
  ...port(serve, "read-port"),
  ...port(db, "port"),
  ...sizes(write),
  ...sizes(read),
  ...sizes(serve),
  ...logs(write),
  ...logs(serve),
  ...writeEffects,
  ...workerEffects,
  ...staleEffects,
  ...serveEffects,
  ...dbEffects,
};
