/** Effects of the options of the clients, of `kv`, `db export` and its like, and of administration. */
import { dirname } from "node:path/posix";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { systemStorage } from "../../src/file/mod.ts";
import { startCountd } from "../support/process.ts";
import { capture } from "./capture.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { type Effects, small, withDaemon, withUnfolded } from "./effect_support.ts";

/** Arguments that the reading verbs need. */
const readers: Readonly<Record<string, readonly string[]>> = {
  top: ["pages"],
  get: ["pages", "a"],
  rank: ["pages", "a"],
  keyspaces: [],
};

/** Their answers about the data of `withUnfolded`. */
const answers: Readonly<Record<string, string>> = {
  top: "30\ta\n20\tb\n10\tc\n",
  get: "30\n",
  rank: "0\n",
  keyspaces: "pages\t3\n",
};

/** A port of this machine on which nothing listens. */
function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return (listener.addr as Deno.NetAddr).port;
}

/** Runs a client with `--wait`, and starts the daemon that it waits for only after it was refused. */
async function waits(
  verb: "write" | "read",
  data: string,
  command: (address: string) => readonly string[],
): Promise<string> {
  const port = freePort();
  const words = command(`127.0.0.1:${port}`);
  // With an address, the default is not to wait.
  assertEquals((await capture(words)).code, 4);
  const answer = capture([...words, "--wait", "60s"]);
  await using daemon = startCountd([verb, "--data", data, "--port", String(port)]);
  const { code, stdout, stderr } = await answer;
  assertEquals([code, stderr], [0, ""]);
  assertEquals(await daemon.stop(), 0);
  return stdout;
}

function readerEffects(verb: string): Effects {
  const command = [verb, ...readers[verb] as string[]];
  const ask = (...more: string[]) => capture([...command, ...more]);
  const withServer = (
    sizes: { keyspaceSize?: number; keySize?: number },
    body: (address: string) => Promise<void>,
  ) =>
    withUnfolded(async (data) => {
      await using server = startCountd(["read", "--data", data, "--port", "0"]);
      const { host, port } = await server.listening();
      await body(`${host}:${port}`);
      assertEquals(await server.stop(), 0);
    }, sizes);
  const effects: Effects = {};
  if (verb !== "top") {
    effects[`${verb} --key-size`] = () =>
      withServer({ keySize: 8 }, async (address) => {
        const { code, stdout } = await ask("--connect", address, "--key-size", "8");
        assertEquals([code, stdout], [0, answers[verb]]);
        if (verb === "keyspaces") {
          // A request of another length is another request.
          assert((await ask("--connect", address)).code !== 0);
          return;
        }
        const command = [verb, "pages", "nine-long", "--connect", address];
        assertEquals((await capture([...command, "--key-size", "8"])).code, 2);
      });
  }
  return {
    ...effects,
    [`${verb} --data`]: () =>
      withUnfolded(async (data) => {
        const { code, stdout } = await ask("--data", data);
        assertEquals([code, stdout], [0, answers[verb]]);
        const missing = await ask("--data", `${data}/missing`);
        assertEquals([missing.code, missing.stdout], [3, ""]);
      }),
    [`${verb} --connect`]: () =>
      withServer({}, async (address) => {
        const { code, stdout } = await ask("--connect", address);
        assertEquals([code, stdout], [0, answers[verb]]);
        const failed = await ask("--connect", `127.0.0.1:${freePort()}`);
        assertEquals([failed.code, failed.stdout], [4, ""]);
      }),
    [`${verb} --wait`]: () =>
      withUnfolded(async (data) => {
        const stdout = await waits("read", data, (address) => [...command, "--connect", address]);
        assertEquals(stdout, answers[verb]);
      }),
    [`${verb} --stale`]: () =>
      withUnfolded(async (data) => {
        const { code, stdout } = await ask("--data", data, "--stale");
        assertEquals([code, stdout], [verb === "keyspaces" ? 0 : 3, ""]);
      }),
    [`${verb} --keyspace-size`]: () =>
      withServer({ keyspaceSize: 8 }, async (address) => {
        const { code, stdout } = await ask("--connect", address, "--keyspace-size", "8");
        assertEquals([code, stdout], [0, answers[verb]]);
        // A request of another length is another request.
        const wrong = await ask("--connect", address, "--keyspace-size", "16");
        assert(wrong.stdout !== answers[verb], `${verb} --keyspace-size has no effect`);
      }),
  };
}

const topEffects: Effects = {
  "top --offset": () =>
    withUnfolded(async (data) => {
      const { stdout } = await capture(["top", "pages", "--data", data, "--offset", "1"]);
      assertEquals(stdout, "20\tb\n10\tc\n");
    }),
  "top --length": () =>
    withUnfolded(async (data) => {
      const { stdout } = await capture(["top", "pages", "--data", data, "--length", "2"]);
      assertEquals(stdout, "30\ta\n20\tb\n");
    }),
};

/** The two verbs that write through a server. */
function writerEffects(verb: "incr" | "load"): Effects {
  const send = (...more: string[]) =>
    verb === "incr"
      ? capture(["incr", "pages", "a", ...more])
      : capture(["load", ...more], {}, "pages\ta\n");
  const size = (option: string, names: string[]) => () =>
    withDaemon("write", [...small, option, "8"], async ({ address, data }) => {
      assertEquals((await send("--connect", address, option, "8")).code, 0);
      const { stdout } = await capture(["top", "pages", "--data", data]);
      assertEquals(stdout, "1\ta\n");
      const long = await (verb === "incr"
        ? capture(["incr", ...names, "--connect", address, option, "8"])
        : capture(["load", "--connect", address, option, "8"], {}, names.join("\t") + "\n"));
      assertEquals(long.code, verb === "incr" ? 2 : 5, long.stderr);
    });
  return {
    [`${verb} --connect`]: async () => {
      await withDaemon("write", small, async ({ address }) => {
        assertEquals((await send("--connect", address)).code, 0);
      });
      assertEquals((await send("--connect", `127.0.0.1:${freePort()}`)).code, 4);
    },
    [`${verb} --wait`]: () =>
      withUnfolded(async (data) => {
        await waits("write", data, (address) =>
          verb === "incr"
            ? ["incr", "pages", "a", "--connect", address]
            : ["load", "/dev/null", "--connect", address]);
      }),
    [`${verb} --keyspace-size`]: size("--keyspace-size", ["nine-long", "a"]),
    [`${verb} --key-size`]: size("--key-size", ["pages", "nine-long"]),
  };
}

const kvCommands: Readonly<Record<string, readonly string[]>> = {
  get: ["k"],
  set: ["k", "new"],
  create: ["other", "new"],
  update: ["k", "new"],
  delete: ["k"],
  keys: [],
  tables: [],
  each: [],
};

function kvEffects(verb: string): Effects {
  const command = ["kv", verb, ...kvCommands[verb] as string[]];
  const withTable = (body: (data: string) => Promise<void>) =>
    withTemporaryDirectory(async (directory) => {
      const data = `${directory}/data`;
      const args = ["kv", "set", "k", "v", "--data", data, "--table", "t"];
      assertEquals((await capture(args)).code, 0);
      await body(data);
    });
  const effects: Effects = {
    [`kv ${verb} --data`]: () =>
      withTable(async (data) => {
        const missing = `${data}-missing`;
        const { code } = await capture([...command, "--data", missing]);
        const makes = ["set", "create"].includes(verb);
        const isThere = [...Deno.readDirSync(dirname(data))].length === 2;
        assertEquals([isThere, code === 0], [makes, makes || verb === "delete"]);
      }),
  };
  if (["get", "set", "update", "delete", "each"].includes(verb)) {
    effects[`kv ${verb} --lock-timeout`] = () =>
      withTable(async (data) => {
        const key = `${data}/tables/t.tbl/k.kv`;
        using held = systemStorage().open(key, { access: "write" });
        assert(held.tryFlock("exclusive"));
        const args = [...command, "--data", data, "--table", "t", "--lock-timeout", "20ms"];
        const { code, stdout, stderr } = await capture(args);
        assertEquals([code, stdout], [75, ""], stderr);
      });
  }
  if (verb === "tables") return effects;
  return {
    ...effects,
    [`kv ${verb} --table`]: () =>
      withTable(async (data) => {
        const there = await capture([...command, "--data", data, "--table", "t"]);
        assertEquals(there.code, 0, there.stderr);
        const listed = await capture(["kv", "each", "--data", data, "--table", "t"]);
        const after: Record<string, string> = {
          set: "k\tnew\n",
          create: "k\tv\nother\tnew\n",
          update: "k\tnew\n",
          delete: "",
        };
        assertEquals(listed.stdout, after[verb] ?? "k\tv\n");
        const root = await capture(["kv", "each", "--data", data]);
        assertEquals(root.stdout, "");
      }),
  };
}

const careEffects: Effects = {
  "status --data": () =>
    withUnfolded(async (data) => {
      const { code, stdout } = await capture(["status", "--data", data]);
      assertEquals(code, 0);
      assertStringIncludes(stdout, `directory\t${data}\n`);
    }),
  "doctor --data": () =>
    withTemporaryDirectory(async (directory) => {
      const { stdout } = await capture(["doctor", "--data", directory]);
      assertStringIncludes(stdout, directory);
    }),
};

export const clientEffects: Effects = {
  "shell --wait": () =>
    withUnfolded(async (data) => {
      const stdout = await waits("read", data, (address) => {
        return ["shell", "-c", "rank pages a", "--data", data, "--connect-read", address];
      });
      assertEquals(stdout, "0\n");
    }),
  ...Object.assign({}, ...Object.keys(readers).map(readerEffects)),
  ...topEffects,
  ...writerEffects("incr"),
  ...writerEffects("load"),
  ...Object.assign({}, ...Object.keys(kvCommands).map(kvEffects)),
  ...careEffects,
};
