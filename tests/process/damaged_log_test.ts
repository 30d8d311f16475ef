/**
 * A commit log with damage below its durable length may hold a part of any counter, so no question is
 * answered without it. A torn tail does not count as damage.
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { liveWordsLayout } from "../../src/counters/commitlog/control_layout.ts";
import { runCountd, startCountd } from "../support/process.ts";
import { checkData } from "../support/check_data.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";

const LOG_SIZE = 65_536;
const HEADER_COPY_BYTES = 512;
const HEAD_PAGE_BYTES = 4096;
const FIRST_LOG = "/logs/0000000000";

type Increment = readonly [keyspace: string, key: string, count: number];

/** Makes the data of a stopped writer: a frame for each increment, all in the first log. */
async function writeIncrements(
  data: string,
  increments: readonly Increment[],
  end: "stop" | "kill" = "stop",
): Promise<void> {
  await using writer = startCountd(
    ["write", "--data", data, "--port", "0", "--log-size", String(LOG_SIZE), "--seal-after", "1h"],
  );
  const { port } = await writer.listening();
  for (const [keyspace, key, count] of increments) {
    const words = ["incr", keyspace, key, String(count), "--connect", `127.0.0.1:${port}`];
    assertEquals((await runCountd(words)).code, 0);
  }
  if (end === "kill") await writer.kill();
  else assertEquals(await writer.stop(), 0);
}

/** Changes the bytes of a file in place, whatever its mode, and returns a function that undoes it. */
function change(path: string, edit: (bytes: Uint8Array<ArrayBuffer>) => void): () => void {
  const mode = Deno.statSync(path).mode! & 0o777;
  const write = (bytes: Uint8Array) => {
    Deno.chmodSync(path, 0o600);
    using file = Deno.openSync(path, { write: true });
    file.writeSync(bytes);
    Deno.chmodSync(path, mode);
  };
  Deno.chmodSync(path, 0o600);
  const before = Deno.readFileSync(path);
  const after = before.slice();
  edit(after);
  write(after);
  return () => write(before);
}

/** Returns the offset of the last occurrence of a text. */
function find(bytes: Uint8Array, text: string): number {
  const at = new TextDecoder("latin1").decode(bytes).lastIndexOf(text);
  assert(at >= HEAD_PAGE_BYTES, `${text} lies in a frame`);
  return at;
}

function flip(data: string, text: string): () => void {
  return change(data + FIRST_LOG, (bytes) => bytes[find(bytes, text)]! ^= 1);
}

const QUESTIONS = [
  ["get", "visits", "/"],
  ["get", "visits", "/nowhere"],
  ["top", "visits"],
  ["rank", "visits", "/"],
  ["top", "nothing"],
  ["keyspaces"],
];

/** Asserts that every verb that reads, and the shell, exits with 6 and the message `says`. */
async function assertNoAnswer(source: readonly string[], says: string): Promise<void> {
  for (const question of QUESTIONS) {
    const plain = await runCountd([...question, ...source]);
    assertEquals([plain.code, plain.text], [6, ""], question.join(" "));
    assertStringIncludes(plain.stderr, says);
    const json = await runCountd([...question, "--json", ...source]);
    const { error } = JSON.parse(json.text);
    assertEquals([json.code, error.code, error.name], [6, 6, "corruption"], question.join(" "));
    assertStringIncludes(error.message, says);
  }
}

async function assertCheckNames(data: string, path: string): Promise<void> {
  const { code, text } = await runCountd(["check", "--data", data]);
  assertEquals(code, 6);
  assertStringIncludes(text, path);
}

/** Returns the totals in the replies to a request for ten rows and to one for a key. */
async function rawTotals(port: number, keyspace: string, key: string): Promise<bigint[]> {
  const text = new TextEncoder();
  const page = new Uint8Array(272);
  page.set(text.encode(keyspace));
  new DataView(page.buffer).setBigInt64(264, 10n, true);
  const extended = new Uint8Array(528);
  extended.set(text.encode(keyspace));
  new DataView(extended.buffer).setBigInt64(256, -(2n ** 63n), true);
  new DataView(extended.buffer).setBigInt64(264, 1n, true);
  extended.set(text.encode(key), 272);
  using socket = await Deno.connect({ hostname: "127.0.0.1", port });
  const totals: bigint[] = [];
  for (const request of [page, extended]) {
    await socket.write(request);
    const head = new Uint8Array(24);
    for (let filled = 0; filled < head.length;) {
      filled += await socket.read(head.subarray(filled)) ?? head.length;
    }
    const view = new DataView(head.buffer);
    totals.push(view.getBigInt64(0, true));
    const body = Number(view.getBigInt64(16, true));
    assertEquals(body, 0, "An error has no rows");
  }
  return totals;
}

Deno.test("A flipped byte below the durable length of a sealed log stops all answers until repair has run", async () => {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    await writeIncrements(data, [["visits", "/", 271], ["visits", "/", 1000], ["other", "k", 5]]);
    const mend = change(data + FIRST_LOG, (bytes) => {
      bytes[bytes.indexOf(1000 & 0xff, find(bytes, "visits"))]! ^= 1;
    });
    await assertNoAnswer(["--data", data], data + FIRST_LOG);
    for (const line of ["count visits /", "rank visits /", "top visits", "keyspaces"]) {
      const shell = await runCountd(["shell", "--data", data, "-c", line]);
      assertEquals([shell.code, shell.text], [6, ""], line);
      assertStringIncludes(shell.stderr, data + FIRST_LOG);
    }
    await assertCheckNames(data, data + FIRST_LOG);

    await using reader = startCountd(["read", "--data", data, "--port", "0"]);
    const { port } = await reader.listening();
    assertEquals(await rawTotals(port, "visits", "/"), [-5n, -5n]);
    await assertNoAnswer(["--connect", `127.0.0.1:${port}`], "countd check");
    const told = await reader.stderrLine(/level=error event="damaged file"/);
    assertStringIncludes(told.input, data + FIRST_LOG);
    assertEquals(await reader.stop(), 0);

    const repaired = `${directory}/repaired`;
    assertEquals((await runCountd(["repair", "--data", data, "--out", repaired])).code, 0);
    assertEquals((await runCountd(["get", "visits", "/", "--data", repaired])).text, "271\n");
    assertEquals(
      (await runCountd(["keyspaces", "--data", repaired])).text,
      "other\t1\nvisits\t1\n",
    );
    checkData(repaired);
    mend();
    assertEquals((await runCountd(["get", "visits", "/", "--data", data])).text, "1271\n");
    checkData(data);
  });
});

Deno.test("A flipped byte in the log of a killed writer is damage if a later frame shows it was durable", async () => {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    await writeIncrements(data, [["visits", "/first", 1], ["visits", "/later", 2]], "kill");
    const mend = flip(data, "/first");
    await assertNoAnswer(["--data", data], data + FIRST_LOG);
    await assertCheckNames(data, data + FIRST_LOG);
    mend();
    assertEquals(
      (await runCountd(["top", "visits", "--data", data])).text,
      "2\t/later\n1\t/first\n",
    );
    assertEquals((await runCountd(["worker", "--once", "--data", data])).code, 0);
    checkData(data);
  });
});

Deno.test("Damage behind a live word that a power cut set back stops all answers, and the backup", async () => {
  // Story: the word said less than the log held. Readers looked for frames behind it, up to the first that was
  // not valid, and took that for the end: increments that were answered were left out, with exit code 0.
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    const increments: readonly Increment[] = [
      ["visits", "/first", 1],
      ["visits", "/second", 2],
      ["visits", "/third", 3],
    ];
    await writeIncrements(data, increments, "kill");
    const { offset } = liveWordsLayout.tails;
    change(`${data}/control`, (bytes) => bytes.fill(0, offset, offset + 16));
    assertEquals((await runCountd(["get", "visits", "/third", "--data", data])).text, "3\n");
    const mend = flip(data, "/second");
    await assertNoAnswer(["--data", data], data + FIRST_LOG);
    const backup = await runCountd(["backup", `${directory}/backup`, "--data", data]);
    assertEquals(backup.code, 6, backup.text + backup.stderr);
    assertStringIncludes(backup.stderr, data + FIRST_LOG);
    await using reader = startCountd(["read", "--data", data, "--port", "0"]);
    assertEquals(
      await rawTotals((await reader.listening()).port, "visits", "/first"),
      [-5n, -5n],
    );
    assertEquals(await reader.stop(), 0);
    mend();
    assertEquals((await runCountd(["worker", "--once", "--data", data])).code, 0);
    assertEquals(
      (await runCountd(["top", "visits", "--data", data])).text,
      "3\t/third\n2\t/second\n1\t/first\n",
    );
    checkData(data);
  });
});

Deno.test("A torn tail in the log of a killed writer does not count as damage", async () => {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    await writeIncrements(data, [["visits", "/first", 1], ["visits", "/torn", 2]], "kill");
    flip(data, "/torn");
    assertEquals((await runCountd(["top", "visits", "--data", data])).text, "1\t/first\n");
    assertEquals((await runCountd(["keyspaces", "--data", data])).text, "visits\t1\n");
    await using reader = startCountd(["read", "--data", data, "--port", "0"]);
    const connect = ["--connect", `127.0.0.1:${(await reader.listening()).port}`];
    assertEquals((await runCountd(["get", "visits", "/first", ...connect])).text, "1\n");
    assertEquals(await reader.stop(), 0);
    assertEquals((await runCountd(["worker", "--once", "--data", data])).code, 0);
    assertEquals((await runCountd(["top", "visits", "--data", data])).text, "1\t/first\n");
    checkData(data);
  });
});

Deno.test("A log that has lost its header or its length is not left out of an answer", async () => {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    await writeIncrements(data, [["visits", "/", 7]], "kill");
    const path = data + FIRST_LOG;
    const zeroCopies = (bytes: Uint8Array) => bytes.fill(0, 0, 2 * HEADER_COPY_BYTES);
    // A claim stores the second copy last: without it the log looks free.
    const zeroNewest = (bytes: Uint8Array) =>
      bytes.fill(0, HEADER_COPY_BYTES, 2 * HEADER_COPY_BYTES);
    for (const edit of [zeroCopies, zeroNewest]) {
      const mend = change(path, edit);
      await assertNoAnswer(["--data", data], path);
      await assertCheckNames(data, path);
      mend();
      assertEquals((await runCountd(["get", "visits", "/", "--data", data])).text, "7\n");
    }
    const whole = Deno.readFileSync(path);
    Deno.truncateSync(path, LOG_SIZE - 1);
    await assertNoAnswer(["--data", data], path);
    await assertCheckNames(data, path);
    Deno.writeFileSync(path, whole);
    const mend = change(path, zeroCopies);
    await using reader = startCountd(["read", "--data", data, "--port", "0"]);
    const { port } = await reader.listening();
    assertEquals(await rawTotals(port, "visits", "/"), [-5n, -5n]);
    mend();
    const connect = ["--connect", `127.0.0.1:${port}`];
    assertEquals((await runCountd(["get", "visits", "/", ...connect])).text, "7\n");
    assertEquals(await reader.stop(), 0);
    assertEquals((await runCountd(["worker", "--once", "--data", data])).code, 0);
    checkData(data);
  });
});

Deno.test("A keyspace answers although a log that it has already applied is damaged", async () => {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    await writeIncrements(data, [["good", "k", 7], ["stuck", "k", 8]]);
    // A keyspace file that cannot be read keeps the log from being recycled.
    Deno.mkdirSync(`${data}/keyspaces`, { recursive: true });
    Deno.writeFileSync(`${data}/keyspaces/stuck`, new Uint8Array(LOG_SIZE).fill(7));
    assertEquals((await runCountd(["worker", "--once", "--data", data])).code, 6);
    flip(data, "good");
    assertEquals((await runCountd(["get", "good", "k", "--data", data])).text, "7\n");
    Deno.removeSync(`${data}/keyspaces/stuck`);
    for (const name of ["stuck", "unknown"]) {
      const { code, stderr } = await runCountd(["top", name, "--data", data]);
      assertEquals(code, 6);
      assertStringIncludes(stderr, data + FIRST_LOG);
    }
    assertEquals((await runCountd(["repair", "--data", data, "--in-place"])).code, 0);
    assertEquals((await runCountd(["get", "good", "k", "--data", data])).text, "7\n");
    assertEquals((await runCountd(["get", "stuck", "k", "--data", data])).text, "8\n");
    checkData(data);
  });
});

Deno.test("A list of keyspaces exits with 6 if the name of one is only in a damaged file", async () => {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    const long = "n".repeat(256);
    await writeIncrements(data, [["short", "k", 1], [long, "k", 2]]);
    assertEquals((await runCountd(["worker", "--once", "--data", data])).code, 0);
    const name = [...Deno.readDirSync(`${data}/keyspaces`)].find((entry) => entry.name !== "short");
    const path = `${data}/keyspaces/${name!.name}`;
    const mend = change(path, (bytes) => bytes.fill(0));
    const { code, stderr } = await runCountd(["keyspaces", "--data", data]);
    assertEquals(code, 6);
    assertStringIncludes(stderr, path);
    mend();
    assertEquals(
      (await runCountd(["keyspaces", "--data", data])).text,
      `${long}\t1\nshort\t1\n`,
    );
    checkData(data);
  });
});
