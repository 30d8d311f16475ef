/** Effects of the options that daemons share: ports, metrics, event lines, sizes, logs. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { runCountd, startCountd } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { waitUntil } from "../support/wait.ts";
import { checkData } from "../support/check_data.ts";
import { increment, joined } from "../process/plain_messages.ts";
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
  withUnfolded,
  worker,
  write,
} from "./effect_support.ts";

/** The options of every daemon. */
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
        // Some daemons make it, others wait for it and report that.
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

/** With a limit of two, a third keyspace is refused, and every place where an operator looks says so. */
function maxKeyspaces({ verb, args }: Daemon, ready: RegExp): Effects {
  return {
    [`${verb} --max-keyspaces`]: () =>
      withTemporaryDirectory(async (directory) => {
        const data = `${directory}/data`;
        const command = [verb, "--data", data, ...args, "--max-keyspaces", "2", "--ack"];
        await using process = startCountd([...command, "--metrics-port", "0"]);
        const [, hostname, port] = await process.stderrLine(ready);
        const connection = await Deno.connect({ hostname: hostname!, port: Number(port) });
        const names = ["one", "two", "three", "one", "four", "two"];
        const writer = connection.writable.getWriter();
        await writer.write(joined(names.map((name) => increment(name, "key", 1n))));
        writer.releaseLock();
        await connection.closeWrite();
        const answer = await new Response(connection.readable).text();
        assertEquals(answer.slice(0, 18), "WINWINNAYWINNAYWIN");
        await process.stderrLine(/new keyspaces are refused.*keyspaces=2.*max_keyspaces=2/);
        const refused = (await samplesOf(process)).find(({ labels }) =>
          labels["reason"] === "too-many-keyspaces"
        );
        assertEquals(refused?.value, 2);
        await waitUntil("the number in status", async () => {
          return (await statusJson(data)).refusedByReason["too-many-keyspaces"] === "2";
        });
        assertEquals(await process.stop(), 0);
        checkData(data);
      }),
  };
}

/** The error for a port in use names the option. */
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

/** Sizes are stored when a directory is made; different sizes are refused afterwards. */
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

export const daemonEffects: Effects = {
  ...common(write),
  ...common(read),
  ...common(worker),
  ...common(serve),
  ...common(db),
  ...maxConnections(write),
  ...maxConnections(read),
  ...maxConnections(serve),
  ...maxKeyspaces(write, write.ready),
  ...maxKeyspaces(serve, /write listening on (\S+):(\d+)/),
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
};
