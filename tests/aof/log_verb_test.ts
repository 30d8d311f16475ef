/** `countd log`: looking into append-only files and commit logs from the command line. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Aof, MAGIC_CHECKPOINT } from "../../src/aof/mod.ts";
import { giveToOrdinaryUser } from "../support/ordinary_user.ts";
import { type Ended, runCountd, startCountd } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { concat, creating, littleEndian, storage, tailMark, text, withFile } from "./support.ts";

const checkpointMark = littleEndian(MAGIC_CHECKPOINT);

/** What must be the same after an inspection. */
function stateOf(path: string): unknown {
  const { mode, mtime, size } = Deno.statSync(path);
  return { mode, mtime, size, bytes: Deno.readFileSync(path) };
}

async function inspect(path: string): Promise<{ code: number; found: Record<string, unknown> }> {
  const before = stateOf(path);
  const { code, text, stderr } = await runCountd(["log", "inspect", path, "--json"]);
  assertEquals(stateOf(path), before);
  assertEquals(stderr, "");
  return { code, found: JSON.parse(text) };
}

Deno.test("Inspect tells each outcome with tail, checkpoint and size, and changes nothing", async () => {
  const cases: [Uint8Array, number, Record<string, unknown>][] = [
    [new Uint8Array(), 0, { outcome: "Tail", tail: "0", checkpoint: "0", fileSize: "0" }],
    [new Uint8Array(4096), 0, { outcome: "Empty", tail: "0", checkpoint: "0", fileSize: "4096" }],
    [concat(text("data"), tailMark, new Uint8Array(90)), 0, {
      outcome: "Tail",
      tail: "4",
      checkpoint: "0",
      fileSize: "102",
      state: "appendable",
    }],
    [concat(text("a"), checkpointMark, text("b"), tailMark), 0, {
      outcome: "Tail",
      tail: "10",
      checkpoint: "1",
      tailMark: "10",
      checkpointMark: "1",
    }],
    [concat(text("data"), checkpointMark), 0, {
      outcome: "Checkpoint",
      tail: "12",
      checkpoint: "4",
      size: "4",
      state: "finished",
      tailMark: null,
      checkpointMark: "4",
    }],
    [concat(text("garbage"), new Uint8Array(200_000)), 6, {
      outcome: "Corrupted",
      tail: "7",
      fileSize: "200007",
      state: "damaged",
    }],
    [concat(text("data half"), littleEndian(5n).subarray(0, 5), tailMark.subarray(5)), 0, {
      outcome: "Tail",
      tail: "4",
      pendingBytes: "5",
    }],
  ];
  for (const [bytes, code, expected] of cases) {
    await withFile(async (path) => {
      Deno.writeFileSync(path, bytes, { mode: 0o640 });
      const inspected = await inspect(path);
      assertEquals(inspected.code, code);
      for (const [name, value] of Object.entries(expected)) {
        assertEquals(inspected.found[name], value, name);
      }
      assertEquals(inspected.found.mode, "0640");
    }, { damaged: true });
  }
});

Deno.test("Inspect looks into a file that is being written to and tells what is published", async () => {
  await withFile(async (path) => {
    using aof = Aof.open(storage, path, { geometry: creating(), shared: true });
    aof.write(text("on its way"));
    const { code, found } = await inspect(path);
    assertEquals([code, found.outcome, found.tail], [0, "Tail", "10"]);
    assertEquals([found.publishedSize, found.upperSize], ["10", "65536"]);
    const { text: plain } = await runCountd(["log", "inspect", path]);
    assertMatch(plain, /^outcome +Tail$/m);
    assertMatch(plain, /^published size +10$/m);
  });
});

Deno.test("A file that is not there exits 3, one that may not be read says so", async () => {
  await withTemporaryDirectory(async (directory) => {
    for (const verb of ["inspect", "tail"]) {
      const { code, stdout, stderr } = await runCountd(["log", verb, `${directory}/none`]);
      assertEquals([code, stdout.length], [3, 0]);
      assertStringIncludes(stderr, "none");
    }
    assertEquals([...Deno.readDirSync(directory)], []);
  });
});

Deno.test("Tail prints the data byte for byte and none of the marks", async () => {
  const data = Uint8Array.from({ length: 5000 }, (_, index) => index);
  for (const finish of [false, true]) {
    await withFile(async (path) => {
      {
        using aof = Aof.open(storage, path, { geometry: creating() });
        aof.write(data);
        if (finish) aof.finish();
      }
      const before = stateOf(path);
      const { code, stdout } = await runCountd(["log", "tail", path]);
      assertEquals([code, stdout], [0, data]);
      assertEquals(stateOf(path), before);
    });
  }
});

Deno.test("Tail of a damaged file prints nothing and exits 6", async () => {
  await withFile(async (path) => {
    Deno.writeFileSync(path, text("garbage"));
    Deno.truncateSync(path, 4096);
    const { code, stdout, stderr } = await runCountd(["log", "tail", path]);
    assertEquals([code, stdout.length], [6, 0]);
    assertStringIncludes(stderr, "log inspect");
  }, { damaged: true });
});

Deno.test("Tail --follow goes on with what is appended and ends when the file is finished", async () => {
  await withFile(async (path) => {
    using aof = Aof.open(storage, path, { geometry: creating(), shared: true });
    aof.write(text("first\n"));
    await using tail = startCountd(["log", "tail", path, "--follow"]);
    await tail.stdoutLine(/^first$/);
    for (let count = 0; count < 3; count++) {
      aof.write(text(`line ${count}\n`));
      await tail.stdoutLine(new RegExp(`^line ${count}$`));
    }
    aof.write(text("last"));
    aof.finish();
    const { code, text: printed } = await tail.ended();
    assertEquals([code, printed], [0, "first\nline 0\nline 1\nline 2\nlast"]);
  });
});

Deno.test("Tail --follow ends with 0 at a signal", async () => {
  await withFile(async (path) => {
    using aof = Aof.open(storage, path, { geometry: creating(), shared: true });
    aof.write(text("first\n"));
    await using tail = startCountd(["log", "tail", path, "--follow"]);
    await tail.stdoutLine(/^first$/);
    assertEquals(await tail.stop("SIGTERM"), 0);
  });
});

Deno.test("Tail --follow refuses a file that is not shared", async () => {
  await withFile(async (path) => {
    using aof = Aof.open(storage, path, { geometry: creating() });
    aof.write(text("data"));
    const { code, stdout, stderr } = await runCountd(["log", "tail", path, "--follow"]);
    assertEquals([code, stdout.length], [5, 0]);
    assertStringIncludes(stderr, "not shared");
  });
});

/** A data directory with a sealed, an active and a free log; `body` runs while the writer lives. */
async function withLogs(
  body: (logs: string[], data: string) => Promise<void>,
): Promise<void> {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    const start = () =>
      startCountd(["write", "--data", data, "--port", "0", "--logs", "3", "--log-size", "65536"]);
    const incr = async (port: number, ...args: string[]) => {
      const { code, stderr } = await runCountd(["incr", "--connect", `127.0.0.1:${port}`, ...args]);
      assertEquals(code, 0, stderr);
    };
    {
      await using first = start();
      const { port } = await first.listening();
      await incr(port, "pages", "home", "3");
      await incr(port, "pages", "about", "--", "-1");
      assertEquals(await first.stop(), 0);
    }
    await using second = start();
    const { port } = await second.listening();
    await incr(port, "people", "ada");
    const logs = [0, 1, 2].map((slot) => `${data}/logs/${String(slot).padStart(10, "0")}`);
    await body(logs, data);
    assertEquals(await second.stop(), 0);
  });
}

function inspections(ended: Ended[]): Record<string, unknown>[] {
  return ended.map(({ code, text, stderr }) => {
    assertEquals(code, 0, stderr);
    return JSON.parse(text);
  });
}

Deno.test("Commit logs show their state, frames and records, and read as increments", async () => {
  await withLogs(async (logs, data) => {
    const found = inspections(
      await Promise.all(logs.map((log) => runCountd(["log", "inspect", log, "--json"]))),
    );
    assertEquals(new Set(found.map(({ kind }) => kind)), new Set(["commit log"]));
    const sealed = found.find(({ state }) => state === "sealed");
    const active = found.find(({ state, records }) => state === "active" && records !== "0");
    assertEquals([sealed?.outcome, sealed?.records, sealed?.mode], ["Tail", "2", "0200"]);
    assertEquals(sealed?.tail, sealed?.sealedLength);
    assertEquals([active?.outcome, active?.records, active?.mode], ["Tail", "1", "0600"]);
    const tailed = await runCountd(["log", "tail", String(sealed?.path)]);
    assertEquals([tailed.code, tailed.text], [0, "pages\thome\t3\npages\tabout\t-1\n"]);
    await using follow = startCountd(["log", "tail", String(active?.path), "--follow"]);
    await follow.stdoutLine(/^people\tada\t1$/);
    for (const log of logs) assertEquals((await runCountd(["log", "inspect", log])).code, 0);
    const after = inspections([
      await runCountd(["log", "inspect", String(sealed?.path), "--json"]),
    ]);
    assertEquals(after[0], sealed);
    assert(data.length > 0);
  });
});

Deno.test("An ordinary user looks into a sealed and a free log, and their modes stay", async () => {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    {
      await using writer = startCountd(["write", "--data", data, "--port", "0", "--logs", "2"]);
      const { port } = await writer.listening();
      const { code } = await runCountd(["incr", "--connect", `127.0.0.1:${port}`, "ks", "key"]);
      assertEquals(code, 0);
      assertEquals(await writer.stop(), 0);
    }
    Deno.chmodSync(directory, 0o755);
    giveToOrdinaryUser(data);
    const logs = ["0000000000", "0000000001"].map((name) => `${data}/logs/${name}`);
    const modes = () => logs.map((log) => (Deno.statSync(log).mode ?? 0) & 0o777);
    const before = modes();
    assertEquals(before.toSorted(), [0o200, 0o400]);
    const found = inspections(
      await Promise.all(
        logs.map((log) => runCountd(["log", "inspect", log, "--json"], { as: "ordinary" })),
      ),
    );
    assertEquals(found.map(({ state }) => state).toSorted(), ["free", "sealed"]);
    const sealed = logs[before.indexOf(0o200)] as string;
    const { code, text } = await runCountd(["log", "tail", sealed], { as: "ordinary" });
    assertEquals([code, text], [0, "ks\tkey\t1\n"]);
    assertEquals(modes(), before);
  });
});

Deno.test("A damaged commit log is Corrupted, printed and exits 6", async () => {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    {
      await using writer = startCountd(["write", "--data", data, "--port", "0", "--logs", "2"]);
      const { port } = await writer.listening();
      await runCountd(["incr", "--connect", `127.0.0.1:${port}`, "ks", "key"]);
      assertEquals(await writer.stop(), 0);
    }
    const log = [...Deno.readDirSync(`${data}/logs`)]
      .map(({ name }) => `${data}/logs/${name}`)
      .find((path) => (Deno.statSync(path).mode ?? 0) % 0o1000 === 0o200) as string;
    const damage = (offset: number, bytes: Uint8Array) => {
      Deno.chmodSync(log, 0o600);
      {
        using file = storage.open(log, { access: "write" });
        file.write(bytes, offset);
      }
      Deno.chmodSync(log, 0o200);
    };
    damage(4096 + 40, text("damage"));
    const inspectJson = () => runCountd(["log", "inspect", log, "--json"]);
    const inFrame = await inspectJson();
    assertEquals([inFrame.code, JSON.parse(inFrame.text).outcome], [6, "Corrupted"]);
    assertEquals(JSON.parse(inFrame.text).tail, "4096");
    const tailed = await runCountd(["log", "tail", log]);
    assertEquals([tailed.code, tailed.text], [6, ""]);
    damage(0, new Uint8Array(1024));
    const inHeader = await inspectJson();
    assertEquals([inHeader.code, JSON.parse(inHeader.text).outcome], [6, "Corrupted"]);
    assertEquals((await runCountd(["log", "tail", log])).code, 6);
    assertEquals((Deno.statSync(log).mode ?? 0) & 0o777, 0o200);
  });
});
