/** Effects of options on the work of daemons: acknowledging, syncing, sealing, folding, files. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { runCountd, startCountd } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { waitUntil } from "../support/wait.ts";
import { capture } from "./capture.ts";
import {
  type Daemon,
  db,
  type Effects,
  exists,
  read,
  samplesOf,
  serve,
  small,
  start,
  statusJson,
  valueIn,
  withDaemon,
  withUnfolded,
  write,
} from "./effect_support.ts";

/** Sends one increment and returns what the server answers before the connection is closed. */
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

/** Returns the number of log syncs of a writer that has acknowledged one increment. */
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
    // No client waits for an answer, so only the timer can sync.
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

/** Returns what `countd top pages` prints about a server. */
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
      // A reader that also reads the logs finds the increment.
      const { stdout } = await capture(["top", "pages", "--data", data]);
      assertEquals(stdout, "1\ta\n");
      assertEquals(await process.stop(), 0);
    });
  },
};

/** `serve` passes these to the same writer; `write` shows their effects in detail. */
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
  "serve --seal-after": async () => {
    const daemon = { ...serve, ready: /write listening on (\S+):(\d+)/ };
    const run = (age: string, look: (isFolded: () => Promise<boolean>) => Promise<void>) =>
      start(daemon, ["--seal-after", age], async (process, match) => {
        await process.stderrLine(/worker ready/);
        await sendOne(`${match[1]}:${match[2]}`, "sealed");
        const data = /--data (\S+)/.exec(process.commandLine)?.[1] as string;
        await look(async () => {
          const { stdout } = await capture(["top", "pages", "--stale", "--data", data]);
          return stdout.includes("\tsealed\n");
        });
      });
    await run("10ms", async (isFolded) => {
      await waitUntil("the fold", isFolded);
    });
    await run("1h", async (isFolded) => {
      await new Promise((resolve) => setTimeout(resolve, longerThanDefaultMs));
      assertEquals(await isFolded(), false);
    });
  },
};

async function noSyncsOfServe(options: readonly string[]): Promise<void> {
  const daemon = { ...serve, ready: /write listening on (\S+):(\d+)/ };
  await start(daemon, ["--metrics-port", "0", ...options], async (process, match) => {
    await sendOne(`${match[1]}:${match[2]}`);
    assertEquals(valueIn(await samplesOf(process), "countd_fsync_seconds_count"), 0);
  });
}

/** Longer than the default interval. With an interval of an hour there must be no sync in this time. */
const longerThanDefaultMs = 1500;

/** With a short interval a sync comes soon; with one of an hour none comes in the default time. */
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

export const workEffects: Effects = {
  ...writeEffects,
  ...workerEffects,
  ...staleEffects,
  ...serveEffects,
  ...dbEffects,
};
