/** Logs whose names are removed or replaced, while their writer runs and after its death. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { runCountd, startCountd } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { waitUntil } from "../support/wait.ts";

const LOG_SIZE = "64KiB";

function serveOptions(data: string): string[] {
  return ["--data", data, "--log-size", LOG_SIZE, "--ack", "--sync", "always"];
}

function message(keyspace: string, key: string, increment: bigint): Uint8Array {
  const bytes = new Uint8Array(520);
  new DataView(bytes.buffer).setBigInt64(0, increment, true);
  bytes.set(new TextEncoder().encode(keyspace), 8);
  bytes.set(new TextEncoder().encode(key), 264);
  return bytes;
}

/** Reads the next answer of three bytes; null if the connection ends before it. */
async function answer(connection: Deno.TcpConn): Promise<string | null> {
  const bytes = new Uint8Array(3);
  for (let read = 0; read < bytes.length;) {
    const more = await connection.read(bytes.subarray(read)).catch(() => null);
    if (more === null) return null;
    read += more;
  }
  return new TextDecoder().decode(bytes);
}

/** Returns the answer to one increment of 1; null if the server is gone before it. */
async function increment(connection: Deno.TcpConn): Promise<string | null> {
  try {
    const bytes = message("visits", "/", 1n);
    for (let sent = 0; sent < bytes.length;) sent += await connection.write(bytes.subarray(sent));
  } catch {
    return null;
  }
  return await answer(connection);
}

/** Lists the logs that a writer holds, such as `0000000000`, by their lock names. */
function heldLogs(data: string): string[] {
  return [...Deno.readDirSync(`${data}/logs`)].map(({ name }) => name)
    .filter((name) => name.startsWith("lock-")).map((name) => name.slice("lock-".length)).sort();
}

async function countOf(data: string): Promise<string> {
  const get = await runCountd(["get", "visits", "/", "--data", data]);
  return get.code === 0 ? get.text.trim() : get.stderr;
}

async function assertSound(data: string): Promise<void> {
  const check = await runCountd(["check", "--data", data]);
  assertEquals(check.code, 0, check.text);
  assertMatch(check.stderr, /no broken rules$/, check.text);
}

/** Makes a directory with two answered increments in the log of a killed writer, without its plain name. */
async function loseName(data: string): Promise<string> {
  await using writer = startCountd(["write", "--port", "0", ...serveOptions(data)]);
  const { port } = await writer.listening();
  {
    using connection = await Deno.connect({ hostname: "127.0.0.1", port });
    assertEquals([await increment(connection), await increment(connection)], ["WIN", "WIN"]);
  }
  await writer.kill();
  const [log = ""] = heldLogs(data);
  Deno.removeSync(`${data}/logs/${log}`);
  return log;
}

Deno.test("A writer whose log is removed stops answering, exits with 6, and loses no answered increment", async () => {
  await withTemporaryDirectory(async (temporary) => {
    const data = `${temporary}/data`;
    await using writer = startCountd(["write", "--port", "0", ...serveOptions(data)]);
    const { port } = await writer.listening();
    using connection = await Deno.connect({ hostname: "127.0.0.1", port });
    assertEquals(await increment(connection), "WIN");
    const [log = ""] = heldLogs(data);
    Deno.removeSync(`${data}/logs/${log}`);
    assertEquals(await increment(connection), null);
    const { code, stderr } = await writer.ended();
    assertEquals(code, 6, stderr);
    assertMatch(
      stderr,
      /logs\/0000000000 does not lead to the log that was being written: it was removed/,
    );

    await using next = startCountd(["write", "--port", "0", ...serveOptions(data)]);
    await next.listening();
    assertEquals(await next.stop(), 0);
    // The second increment was not answered, so it may count or not.
    assert(["1", "2"].includes(await countOf(data)), await countOf(data));
    await assertSound(data);
  });
});

Deno.test("A writer whose log was linked elsewhere, as by cp -al, answers nothing after its names are removed", async () => {
  await withTemporaryDirectory(async (temporary) => {
    const data = `${temporary}/data`;
    await using writer = startCountd(["write", "--port", "0", ...serveOptions(data)]);
    const { port } = await writer.listening();
    using connection = await Deno.connect({ hostname: "127.0.0.1", port });
    const [log = ""] = heldLogs(data);
    const names = [`${data}/logs/${log}`, `${data}/logs/lock-${log}`];
    for (const [at, name] of names.entries()) Deno.linkSync(name, `${temporary}/copy-${at}`);
    assertEquals(await increment(connection), "WIN");
    for (const name of names) Deno.removeSync(name);
    assertEquals(await increment(connection), null);
    const { code, stderr } = await writer.ended();
    assertEquals(code, 6, stderr);
  });
});

Deno.test("An idle writer notices a removed log and exits with 6", async () => {
  await withTemporaryDirectory(async (temporary) => {
    const data = `${temporary}/data`;
    await using writer = startCountd(["write", "--data", data, "--port", "0", "--sync", "os"]);
    await writer.listening();
    for (const log of heldLogs(data)) Deno.removeSync(`${data}/logs/${log}`);
    const { code, stderr } = await writer.ended();
    assertEquals(code, 6, stderr);
  });
});

Deno.test("A writer continues if only its lock name is removed", async () => {
  await withTemporaryDirectory(async (temporary) => {
    const data = `${temporary}/data`;
    await using writer = startCountd(["write", "--port", "0", ...serveOptions(data)]);
    const { port } = await writer.listening();
    for (const log of heldLogs(data)) Deno.removeSync(`${data}/logs/lock-${log}`);
    {
      using connection = await Deno.connect({ hostname: "127.0.0.1", port });
      assertEquals([await increment(connection), await increment(connection)], ["WIN", "WIN"]);
    }
    assertEquals(await writer.stop(), 0);
    assertEquals(await countOf(data), "2");
    await assertSound(data);
  });
});

Deno.test("serve stops acknowledging when its data directory is removed, exits with 6, and says why", async () => {
  await withTemporaryDirectory(async (temporary) => {
    const data = `${temporary}/data`;
    const ports = ["--write-port", "0", "--read-port", "0", "--metrics-port", "0"];
    // No fold makes a file while the directory is being removed.
    const options = [...serveOptions(data), "--seal-after", "1h"];
    await using server = startCountd(["serve", ...ports, ...options]);
    const { port } = await server.listening("write");
    await server.listening("read");
    const connect = ["--connect", `127.0.0.1:${port}`];
    const before = await runCountd(["incr", "visits", "/", ...connect]);
    assertEquals(before.code, 0, before.stderr);
    using connection = await Deno.connect({ hostname: "127.0.0.1", port });
    assertEquals(await increment(connection), "WIN");
    Deno.removeSync(data, { recursive: true });
    assertEquals(await increment(connection), null);
    const { code, stderr } = await server.ended();
    assertEquals(code, 6, stderr);
    assertMatch(stderr, /Data directory .* is gone, and with it the log that was being written/);
  });
});

Deno.test("A log with only a lock name is named by check, counted by readers and kept in a backup", async () => {
  await withTemporaryDirectory(async (temporary) => {
    const data = `${temporary}/data`;
    const log = await loseName(data);
    assertEquals(await countOf(data), "2");
    const check = await runCountd(["check", "--data", data]);
    assertEquals(check.code, 6, check.text);
    assertMatch(check.text + check.stderr, new RegExp(`lock-${log}.*lost its plain name`));

    const backup = await runCountd(["backup", `${temporary}/backup`, "--data", data]);
    assertEquals(backup.code, 0, backup.stderr);
    const copy = `${temporary}/copy`;
    const restore = await runCountd(["restore", `${temporary}/backup`, "--data", copy]);
    assertEquals(restore.code, 0, restore.stderr);
    assertEquals(await countOf(copy), "2");
    await assertSound(copy);
  });
});

Deno.test("The next writer restores the plain name of a log and recovers it", async () => {
  await withTemporaryDirectory(async (temporary) => {
    const data = `${temporary}/data`;
    const log = await loseName(data);
    await using writer = startCountd(["write", "--port", "0", ...serveOptions(data)]);
    await writer.listening();
    await writer.stderrLine(/log recovered.*kept_records=2/);
    assertEquals(await writer.stop(), 0);
    assertEquals(Deno.statSync(`${data}/logs/${log}`).nlink, 1);
    await assertSound(data);
    const fold = await runCountd(["worker", "--once", "--data", data]);
    assertEquals(fold.code, 0, fold.stderr);
    assertEquals(await countOf(data), "2");
    await assertSound(data);
  });
});

Deno.test("A worker alone restores the plain name of a log and folds it", async () => {
  await withTemporaryDirectory(async (temporary) => {
    const data = `${temporary}/data`;
    await loseName(data);
    const fold = await runCountd(["worker", "--once", "--data", data]);
    assertEquals(fold.code, 0, fold.stderr);
    const get = await runCountd(["get", "visits", "/", "--stale", "--data", data]);
    assertEquals(get.text, "2\n", get.stderr);
    await assertSound(data);
  });
});

Deno.test("A fold whose log loses its plain name labels no other file, and keeps the lock name", async () => {
  await withTemporaryDirectory(async (temporary) => {
    const data = `${temporary}/data`;
    {
      await using writer = startCountd(["write", "--port", "0", ...serveOptions(data)]);
      const { port } = await writer.listening();
      using connection = await Deno.connect({ hostname: "127.0.0.1", port });
      assertEquals(await increment(connection), "WIN");
      assertEquals(await writer.stop(), 0);
    }
    await using worker = startCountd(["worker", "--once", "--data", data], {
      env: { COUNTD_FAULT: "stop@recycle.1.before" },
    });
    await waitUntil("the log to be folded", () => {
      return /^State:\s+T/m.test(Deno.readTextFileSync(`/proc/${worker.pid}/status`));
    });
    const [log = ""] = heldLogs(data);
    const [plain, lock] = [`${data}/logs/${log}`, `${data}/logs/lock-${log}`];
    const { ino } = Deno.statSync(lock);
    Deno.removeSync(plain);
    Deno.writeTextFileSync(plain, "another file", { mode: 0o640 });
    worker.signal("SIGCONT");
    await worker.ended();
    assertEquals((Deno.statSync(plain).mode ?? 0) & 0o777, 0o640);
    assertEquals(Deno.statSync(lock).ino, ino);
    const get = await runCountd(["get", "visits", "/", "--stale", "--data", data]);
    assertEquals(get.text, "1\n", get.stderr);
  });
});

Deno.test("repair restores the plain name of a log, in a copy and in place", async () => {
  await withTemporaryDirectory(async (temporary) => {
    const data = `${temporary}/data`;
    const log = await loseName(data);
    // A second hard link elsewhere does not make the lock name a mere label.
    Deno.linkSync(`${data}/logs/lock-${log}`, `${temporary}/kept`);
    const out = `${temporary}/out`;
    const copied = await runCountd(["repair", "--data", data, "--out", out]);
    assertEquals(copied.code, 0, copied.stderr);
    assertMatch(copied.text, /its plain name was missing and was made again/);
    const inPlace = await runCountd(["repair", "--data", data, "--in-place"]);
    assertEquals(inPlace.code, 0, inPlace.stderr);
    for (const repaired of [out, data]) {
      await assertSound(repaired);
      const fold = await runCountd(["worker", "--once", "--data", repaired]);
      assertEquals(fold.code, 0, fold.stderr);
      assertEquals(await countOf(repaired), "2");
    }
  });
});

Deno.test("A log whose plain name was given to another file is left alone, and kept by repair", async () => {
  await withTemporaryDirectory(async (temporary) => {
    const data = `${temporary}/data`;
    const log = await loseName(data);
    const lock = `${data}/logs/lock-${log}`;
    const { ino } = Deno.statSync(lock);
    // A free log, as from an older copy of the directory.
    const [free] = ["0000000002", "0000000003"];
    const bytes = Deno.readFileSync(`${data}/logs/${free}`);
    Deno.writeFileSync(`${data}/logs/${log}`, bytes, { mode: 0o600 });

    await using writer = startCountd(["write", "--port", "0", ...serveOptions(data)]);
    await writer.listening();
    await writer.stderrLine(/log cannot be used.*both are left alone/);
    assertEquals(await writer.stop(), 0);
    assertEquals(Deno.statSync(lock).ino, ino);

    const check = await runCountd(["check", "--data", data]);
    assertEquals(check.code, 6, check.text);
    assertMatch(check.text + check.stderr, new RegExp(`lock-${log}.*leads to another file`));
    const backup = await runCountd(["backup", `${temporary}/backup`, "--data", data]);
    assertEquals(backup.code, 6, backup.stderr);
    const repair = await runCountd(["repair", "--data", data, "--in-place"]);
    assertEquals(repair.code, 0, repair.stderr);
    assertEquals(Deno.statSync(`${data}/repair-saved/logs/lock-${log}`).ino, ino);
    await assertSound(data);
  });
});

Deno.test("check names a gap in the slots, and repair fills it", async () => {
  await withTemporaryDirectory(async (temporary) => {
    const data = `${temporary}/data`;
    await using writer = startCountd(["write", "--port", "0", ...serveOptions(data)]);
    await writer.listening();
    assertEquals(await writer.stop(), 0);
    await assertSound(data);
    for (const log of ["0000000001", "0000000002"]) Deno.removeSync(`${data}/logs/${log}`);
    const check = await runCountd(["check", "--data", data]);
    assertEquals(check.code, 6, check.text);
    assertMatch(
      check.text + check.stderr,
      /logs\/0000000001.*The logs up to 0000000002 are missing/,
    );
    const repair = await runCountd(["repair", "--data", data, "--in-place"]);
    assertEquals(repair.code, 0, repair.stderr);
    await assertSound(data);
  });
});
