/** The files of a database that are removed, moved or replaced while `countd db` has them open. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { type CountdProcess, runCountd, startCountd } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { waitUntil } from "../support/wait.ts";

class Served implements AsyncDisposable {
  readonly map: string;
  readonly log: string;
  readonly files: readonly string[];
  readonly server: CountdProcess;

  constructor(readonly directory: string, sync: string) {
    this.map = `${directory}/map`;
    this.log = `${directory}/log`;
    this.files = ["--db", this.map, "--log", this.log];
    const ports = ["--port", "0", "--metrics-port", "0"];
    this.server = startCountd(["db", ...this.files, ...ports, "--sync", sync]);
  }

  /** Returns the status; 0 if nothing listens any more. */
  async set(value: string): Promise<number> {
    const { port } = await this.server.listening();
    try {
      const url = `http://127.0.0.1:${port}/set/k`;
      const response = await fetch(url, { method: "POST", body: value });
      await response.body?.cancel();
      return response.status;
    } catch {
      return 0;
    }
  }

  async readiness(): Promise<number> {
    const [, address] = await this.server.stderrLine(/^metrics on (\S+)$/);
    try {
      const response = await fetch(`http://${address}/readyz`);
      await response.body?.cancel();
      return response.status;
    } catch {
      return 0;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
  }
}

for (const [file, what] of [["map", "moved"], ["log", "moved"], ["log", "replaced"]] as const) {
  Deno.test(`An idle database whose ${file} is ${what} is not ready any more, exits with 6, and loses nothing`, async () => {
    await withTemporaryDirectory(async (directory) => {
      {
        await using served = new Served(directory, "interval");
        assertEquals(await served.set("before"), 200);
        assertEquals(await served.readiness(), 200);
        Deno.renameSync(served[file], `${directory}/kept`);
        if (what === "replaced") Deno.writeTextFileSync(served[file], "");
        const startMs = performance.now();
        await waitUntil("the loss of readiness", async () => await served.readiness() !== 200);
        assert(performance.now() - startMs < 4000);
        const { code, stderr } = await served.server.ended();
        assertEquals(code, 6, stderr);
        const how = what === "moved" ? "was removed or moved" : "was replaced";
        assertMatch(stderr, new RegExp(`${file} ${how}`));
        assertEquals(
          [...Deno.readDirSync(directory)].map(({ name }) => name).sort().join(" "),
          {
            moved: file === "map" ? "kept log" : "kept map",
            replaced: "kept log map",
          }[what],
        );
        Deno.renameSync(`${directory}/kept`, served[file]);
      }
      await using served = new Served(directory, "interval");
      const { port } = await served.server.listening();
      const value = await fetch(`http://127.0.0.1:${port}/get/k`);
      assertEquals(await value.text(), "before");
      assertEquals(await served.server.stop(), 0);
    });
  });
}

Deno.test("A database that syncs before each answer answers none after its log was removed", async () => {
  await withTemporaryDirectory(async (directory) => {
    await using served = new Served(directory, "always");
    assertEquals(await served.set("before"), 200);
    Deno.removeSync(served.log);
    const status = await served.set("after");
    assert(status === 503 || status === 0, `${status}`);
    const { code, stderr } = await served.server.ended();
    assertEquals(code, 6, stderr);
  });
});

Deno.test("A database in a data directory that is marked failed by another daemon ends with 6", async () => {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    {
      await using writer = startCountd(["write", "--data", data, "--port", "0"]);
      await writer.listening();
      assertEquals(await writer.stop(), 0);
    }
    await using database = startCountd(["db", "--data", data, "--port", "0"]);
    await database.listening();
    await using writer = startCountd(["write", "--data", data, "--port", "0", "--sync", "always"], {
      env: { COUNTD_FAULT: "EIO@sync#8" },
    });
    const { port } = await writer.listening().catch(() => ({ port: 1 }));
    const server = ["--connect", `127.0.0.1:${port}`];
    for (let at = 0; at < 8 && !writer.over; at++) await runCountd(["incr", "a", "k", ...server]);
    assertEquals((await writer.ended()).code, 6);
    const { code, stderr } = await database.ended();
    assertEquals(code, 6, stderr);
    assertMatch(stderr, /marked failed/);
  });
});
