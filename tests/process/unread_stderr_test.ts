/** Daemons whose stderr is connected to a program that does not read. */

import { assert, assertEquals } from "@std/assert";
import { checkData } from "../support/check_data.ts";
import { giveToOrdinaryUser, type RunAs, runningAsRoot } from "../support/ordinary_user.ts";
import { countdCommand, runCountd, runProgram, startProgram } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { waitUntil } from "../support/wait.ts";

/** A named pipe, which the test fills and reads. */
class Pipe implements Disposable {
  readonly #keeper: Deno.FsFile;

  private constructor(readonly path: string) {
    // Open in both directions: the pipe has a reader, and no open of it waits for one.
    this.#keeper = Deno.openSync(path, { read: true, write: true });
  }

  static async make(path: string): Promise<Pipe> {
    assertEquals((await runProgram(["mkfifo", "-m", "600", path])).code, 0);
    return new Pipe(path);
  }

  async fill(): Promise<void> {
    const { stderr } = await runProgram([
      ...["dd", "if=/dev/zero", `of=${this.path}`, "bs=4096", "oflag=nonblock"],
    ]);
    assert(/unavailable/.test(stderr), stderr);
  }

  /** Reads everything in the pipe, without the bytes that filled it. */
  async drain(): Promise<string> {
    const { text } = await runProgram([
      ...["dd", `if=${this.path}`, "bs=65536", "iflag=nonblock", "status=none"],
    ]);
    return text.replaceAll("\0", "");
  }

  [Symbol.dispose](): void {
    this.#keeper.close();
  }
}

/** Starts `countd ARGS…` with the pipe as stderr. The shell opens it as the user of the tests. */
function startInto(pipe: Pipe, args: readonly string[], as: RunAs) {
  const command = countdCommand(args, { as });
  return startProgram(["sh", "-c", `exec "$@" 2>"$0"`, pipe.path, ...command]);
}

/** A directory that the daemon may write to, and a pipe that may belong to another user. */
async function withPipe(
  as: RunAs,
  body: (world: { readonly pipe: Pipe; readonly data: string }) => Promise<void>,
): Promise<void> {
  await withTemporaryDirectory(async (directory) => {
    Deno.chmodSync(directory, 0o755);
    Deno.mkdirSync(`${directory}/place`);
    if (as === "ordinary") giveToOrdinaryUser(`${directory}/place`);
    using pipe = await Pipe.make(`${directory}/stderr`);
    const data = `${directory}/place/data`;
    await body({ pipe, data });
    checkData(data);
  });
}

function hasReport(data: string, name: string): boolean {
  try {
    return Deno.statSync(`${data}/run/${name}`).size > 0;
  } catch {
    return false;
  }
}

/** So small that each load fills several logs. */
const small = ["--log-size", "65536"];
const serveArgs = ["serve", "--write-port", "0", "--read-port", "0"];

/** The pipe belongs to root and the daemon does not, as under a supervisor that drops its rights. */
const users: readonly RunAs[] = runningAsRoot() ? ["self", "ordinary"] : ["self"];

for (const as of users) {
  const user = as === "ordinary" ? ", as another user" : "";

  Deno.test(`A server works while its stderr is not read, and reports what was lost${user}`, async () => {
    await withPipe(as, async ({ pipe, data }) => {
      await using server = startInto(pipe, [...serveArgs, ...small, "--data", data], as);
      let said = "";
      const port = await waitUntil("the ports", async () => {
        said += await pipe.drain();
        return said.includes("read listening on") &&
          /write listening on 127\.0\.0\.1:(\d+)/.exec(said)?.[1];
      });
      await pipe.fill();
      // More than a pipe holds: each sealed or folded log writes a line.
      for (let round = 1; round <= 3; round++) {
        const stdin = "pages\t/\n".repeat(2000);
        const load = ["load", "--connect", `127.0.0.1:${port}`];
        const { text } = await runCountd(load, { stdin });
        assertEquals(text, "accepted 2000\nrefused 0\n");
        // Only a fold brings the counter into its file.
        await waitUntil(`fold ${round}`, async () => {
          const get = ["get", "pages", "/", "--stale", "--data", data];
          return (await runCountd(get)).text === `${2000 * round}\n`;
        });
      }
      await waitUntil("the line that tells what was lost", async () => {
        said += await pipe.drain();
        return /^time=\S+ level=warn event="lines lost: stderr took none" lines=[3-9]$/m.test(said);
      });
      await pipe.fill();
      assertEquals(await server.stop(), 0);
    });
  });

  for (const [verb, ...args] of [serveArgs, ["worker"], ["write", "--port", "0"]]) {
    Deno.test(`${verb} starts and stops with a stderr that was full before${user}`, async () => {
      await withPipe(as, async ({ pipe, data }) => {
        // A worker waits for a directory that does not exist.
        const make = ["shell", "-c", "incr pages /", "--data", data];
        assertEquals((await runCountd(make, { as })).code, 0);
        await pipe.fill();
        await using daemon = startInto(pipe, [verb as string, ...args, "--data", data], as);
        await waitUntil("the report of the daemon", () => hasReport(data, `${verb}-${daemon.pid}`));
        assertEquals(await daemon.stop(), 0);
      });
    });
  }
}

/** Makes stderr one end of a full pair of sockets, whose other end does not read. */
const INTO_FULL_SOCKET = `
import os, socket, sys
near, far = socket.socketpair()
near.setblocking(False)
try:
    while True: near.send(bytes(65536))
except BlockingIOError: pass
near.setblocking(True)
far.set_inheritable(True)
os.dup2(near.fileno(), 2)
os.execvp(sys.argv[1], sys.argv[1:])
`;

Deno.test("A server starts, folds and stops with a stderr that is a full socket", async () => {
  if (!hasPython()) return console.log("not run: needs python3");
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    assertEquals((await runCountd(["shell", "-c", "incr pages /", "--data", data])).code, 0);
    const command = countdCommand([...serveArgs, "--data", data]);
    await using server = startProgram(["python3", "-c", INTO_FULL_SOCKET, ...command]);
    await waitUntil("the fold", async () => {
      return (await runCountd(["get", "pages", "/", "--stale", "--data", data])).code === 0;
    });
    await waitUntil("the report of the server", () => hasReport(data, `serve-${server.pid}`));
    assertEquals(await server.stop(), 0);
    checkData(data);
  });
});

function hasPython(): boolean {
  try {
    return new Deno.Command("python3", { args: ["--version"] }).outputSync().success;
  } catch {
    return false;
  }
}
