/**
 * Files of another format: each verb refuses them by name, and none changes them. Bytes that must be zero and
 * are not are damage, which repair deals with.
 */

import { crc32 } from "node:zlib";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { controlLayout } from "../../src/counters/commitlog/control_layout.ts";
import { headerLayout } from "../../src/counters/commitlog/layout.ts";
import { checkData } from "../support/check_data.ts";
import { type Ended, runCountd, startCountd } from "../support/process.ts";
import { ofNewerFormat } from "../support/other_format.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";

/** Each verb that meets the file, and whether it may answer. */
const VERBS = ["check", "repair", "write", "read", "worker", "backup", "top"] as const;

function run(verb: typeof VERBS[number], data: string): Promise<Ended> {
  const more = {
    check: [],
    repair: ["--in-place"],
    write: ["--port", "0"],
    read: ["--port", "0"],
    worker: ["--once"],
    backup: [`${data}-backup`],
    top: ["visits"],
  }[verb];
  return runCountd([verb, ...more, "--data", data]);
}

/** A directory with one increment that waits in the first log. */
async function makeData(data: string): Promise<void> {
  const writing = ["write", "--data", data, "--port", "0", "--log-size", "64KiB", "--logs", "2"];
  await using writer = startCountd(writing);
  const { port } = await writer.listening();
  const incr = ["incr", "visits", "/", "3", "--connect", `127.0.0.1:${port}`];
  assertEquals((await runCountd(incr)).code, 0);
  assertEquals(await writer.stop(), 0);
}

/** Changes the first 512 bytes of a file, whatever its mode, and sets their checksum right again. */
function edit(path: string, change: (view: DataView<ArrayBuffer>) => void): Uint8Array {
  const mode = Deno.statSync(path).mode! & 0o777;
  Deno.chmodSync(path, 0o600);
  const bytes = Deno.readFileSync(path);
  change(new DataView(bytes.buffer));
  const { offset } = controlLayout.checksum;
  new DataView(bytes.buffer).setUint32(offset, crc32(bytes.subarray(0, offset)), true);
  Deno.writeFileSync(path, bytes);
  Deno.chmodSync(path, mode);
  return bytes;
}

function bytesOf(path: string): Uint8Array {
  const mode = Deno.statSync(path).mode! & 0o777;
  Deno.chmodSync(path, 0o600);
  const bytes = Deno.readFileSync(path);
  Deno.chmodSync(path, mode);
  return bytes;
}

const setVersion = (view: DataView) => view.setUint32(8, 3, true);
const setFeature = (view: DataView) => view.setUint32(16, 1 << 7, true);

for (
  const [what, change, message] of [
    ["A later version of control", setVersion, "has format 3, and this countd reads format 2"],
    ["An unknown feature in control", setFeature, "features that this countd does not know (0x80)"],
  ] as const
) {
  Deno.test(`${what} is refused by every verb and left as it is`, async () => {
    await withTemporaryDirectory(async (temporary) => {
      const data = `${temporary}/data`;
      await makeData(data);
      const path = `${data}/control`;
      edit(path, change);
      const head = bytesOf(path).subarray(0, 4096);
      for (const verb of VERBS) {
        const { code, stderr } = await run(verb, data);
        assertEquals(code, 1, `${verb}: ${stderr}`);
        assertStringIncludes(stderr, message);
        assertStringIncludes(stderr, "use a newer countd");
      }
      assertEquals(bytesOf(path).subarray(0, 4096), head);
      assertEquals([...Deno.readDirSync(data)].some(({ name }) => /repair/.test(name)), false);
    });
  });
}

Deno.test("A control file of format 1 is refused, and the message says how to move its counters", async () => {
  await withTemporaryDirectory(async (temporary) => {
    const data = `${temporary}/data`;
    await makeData(data);
    const golden = new URL("../golden/control-1.bin", import.meta.url);
    Deno.copyFileSync(golden, `${data}/control`);
    for (const verb of VERBS) {
      const { code, stderr } = await run(verb, data);
      assertEquals(code, 1, `${verb}: ${stderr}`);
      assertStringIncludes(stderr, "has format 1, and this countd reads format 2");
      const section = /"(Move from format 1)"/.exec(stderr)?.[1];
      assert(section !== undefined, stderr);
      const readme = Deno.readTextFileSync(new URL("../../README.md", import.meta.url));
      assertStringIncludes(readme, `### ${section}\n`);
    }
    assertEquals(Deno.readFileSync(`${data}/control`), Deno.readFileSync(golden));
  });
});

Deno.test("A byte of control that must be zero and is not is damage, and repair keeps the sizes", async () => {
  await withTemporaryDirectory(async (temporary) => {
    const data = `${temporary}/data`;
    await makeData(data);
    const path = `${data}/control`;
    // The stream id, the zeros of the head, those behind the order counter, the epoch, and behind the words.
    for (const offset of [60, 300, 600, 8192 + 4, 24_592 + 40]) {
      const identity = edit(path, (view) => view.setUint8(offset, 1)).subarray(40, 56);
      for (const verb of VERBS) {
        if (verb === "repair") continue;
        const { code, stdout, stderr } = await run(verb, data);
        assertEquals(code, 6, `${verb}: ${stderr}`);
        assertStringIncludes(stderr + new TextDecoder().decode(stdout), "must be zero");
      }
      const { code, stderr } = await run("repair", data);
      // The head is not to be trusted if the stray byte is in it.
      if (offset >= 512) assertEquals(bytesOf(path).subarray(40, 56), identity);
      assertEquals(code, 0, stderr);
      await checkData(data);
    }
    assertEquals((await run("worker", data)).code, 0);
    assertEquals((await run("top", data)).text, "3\t/\n");
  });
});

Deno.test("A torn order counter stops claims, not reads, and is repaired", async () => {
  await withTemporaryDirectory(async (temporary) => {
    const data = `${temporary}/data`;
    await makeData(data);
    edit(`${data}/control`, (view) => view.setUint8(520, view.getUint8(520) ^ 1));
    const { code, stderr } = await run("write", data);
    assertEquals(code, 6, stderr);
    assertStringIncludes(stderr, "order counter");
    assertEquals((await run("top", data)).text, "3\t/\n");
    assertEquals((await run("check", data)).code, 6);
    assertEquals((await run("repair", data)).code, 0);
    assertEquals((await run("worker", data)).code, 0);
    await checkData(data);
    // A writer claims an active log and a spare.
    assertEquals(new DataView(bytesOf(`${data}/control`).buffer).getBigUint64(512, true), 2n);
  });
});

const LOG = "logs/0000000000";
const LOCK_NAME = "logs/lock-0000000000";
const newer = "use a newer countd";

for (
  const [what, change, messages] of [
    ["A log of a later version", setVersion, ["has format 3, and this countd reads", newer]],
    ["A log with an unknown feature", setFeature, ["does not know (0x80)", newer]],
    ["A log of format 1", "golden", ["has format 1, and this countd reads", "Move from format 1"]],
  ] as const
) {
  Deno.test(`${what} is refused or left alone by every verb, and stays as it is`, async () => {
    await withTemporaryDirectory(async (temporary) => {
      const data = `${temporary}/data`;
      await makeData(data);
      const path = `${data}/${LOG}`;
      if (change === "golden") await copyGoldenLog(path);
      else edit(path, change);
      // As a dead writer of the other countd left it.
      Deno.linkSync(path, `${data}/${LOCK_NAME}`);
      Deno.chmodSync(path, 0o600);
      const before = bytesOf(path);
      for (const verb of ["check", "repair", "worker", "backup", "top"] as const) {
        const { code, stderr } = await run(verb, data);
        assertEquals(code, 1, `${verb}: ${stderr}`);
        for (const message of messages) assertStringIncludes(stderr, message);
      }
      {
        // The writer uses the other logs, and readers answer nothing: any counter may be in this one.
        await using writer = startCountd(["write", "--data", data, "--port", "0", "--ack"]);
        const { port } = await writer.listening();
        const incr = ["incr", "visits", "/", "1", "--connect", `127.0.0.1:${port}`];
        assertEquals((await runCountd(incr)).code, 0);
        assertEquals(await writer.stop(), 0);
        await using reader = startCountd(["read", "--data", data, "--port", "0"]);
        const { port: readPort } = await reader.listening();
        const top = await runCountd(["top", "visits", "--connect", `127.0.0.1:${readPort}`]);
        assertEquals(top.code, 6, top.stderr);
        assertEquals(await reader.stop(), 0);
        assertStringIncludes(reader.stderrLines.join("\n"), "file of another format");
      }
      const status = await runCountd(["status", "--json", "--data", data]);
      const { logs, troubles } = JSON.parse(status.text);
      assertEquals([status.code, logs.unreadable, troubles.length], [0, "1", 1], status.text);
      // Story: status counted such a log as unreadable, and nothing said why.
      for (const message of messages) assertStringIncludes(troubles[0], message);
      const inspected = await runCountd(["log", "inspect", path]);
      assertEquals(inspected.code, 1, inspected.text);
      assertEquals(bytesOf(path), before);
      const { nlink, mode } = Deno.statSync(`${data}/${LOCK_NAME}`);
      assertEquals([nlink, mode! & 0o777], [2, 0o600]);
      assertEquals([...Deno.readDirSync(data)].some(({ name }) => /repair/.test(name)), false);
    });
  });
}

// Story: get and check called such a keyspace damaged, and repair took it and its log away and exited with 0.
Deno.test("A keyspace of a later version is damage to no verb, and neither it nor its increments are touched", async () => {
  await withTemporaryDirectory(async (temporary) => {
    const data = `${temporary}/data`;
    await makeData(data);
    assertEquals((await run("worker", data)).code, 0);
    await makeData(data);
    const path = `${data}/keyspaces/visits`;
    const whole = Deno.readFileSync(path);
    const later = ofNewerFormat(whole, "version");
    Deno.writeFileSync(path, later);
    const get = await runCountd(["get", "visits", "/", "--data", data]);
    assertEquals([get.code, get.text], [1, ""], get.stderr);
    assertStringIncludes(get.stderr, "has format 3, and this countd reads format 2");
    for (const verb of ["check", "top", "worker", "backup", "repair"] as const) {
      const { code, text, stderr } = await run(verb, data);
      assertEquals(code, 1, `${verb}: ${stderr}`);
      assertStringIncludes(text + stderr, "has format 3, and this countd reads format 2");
    }
    assertEquals(Deno.readFileSync(path), later);
    Deno.writeFileSync(path, whole);
    assertEquals((await run("worker", data)).code, 0);
    assertEquals((await run("top", data)).text, "6\t/\n");
    checkData(data);
  });
});

// Story: the list of keyspaces ended with 6, corruption, for a keyspace of another format; other verbs with 1.
Deno.test("The list of keyspaces names one of another format, with exit 1, and damage with exit 6", async () => {
  await withTemporaryDirectory(async (temporary) => {
    const data = `${temporary}/data`;
    await makeData(data);
    assertEquals((await run("worker", data)).code, 0);
    const path = `${data}/keyspaces/visits`;
    const whole = Deno.readFileSync(path);
    Deno.writeFileSync(path, ofNewerFormat(whole, "version"));
    const listed = await runCountd(["keyspaces", "--data", data]);
    assertEquals([listed.code, listed.text], [1, ""], listed.stderr);
    assertStringIncludes(listed.stderr, "has format 3, and this countd reads format 2");
    Deno.writeFileSync(`${data}/keyspaces/a`, whole.fill(7));
    const both = await runCountd(["keyspaces", "--data", data]);
    assertEquals(both.code, 6, both.stderr);
    assertStringIncludes(both.stderr, "Keyspace a is damaged");
    assertStringIncludes(both.stderr, "has format 3");
  });
});

async function copyGoldenLog(path: string): Promise<void> {
  const golden = new URL("../golden/commit-log-1.gz", import.meta.url);
  const { body } = new Response((await Deno.open(golden)).readable);
  const unpacked = body!.pipeThrough(new DecompressionStream("gzip"));
  Deno.chmodSync(path, 0o600);
  Deno.writeFileSync(path, new Uint8Array(await new Response(unpacked).arrayBuffer()));
  Deno.chmodSync(path, 0o200);
}

Deno.test("A header whose unused bytes are not zero is damage, and repair keeps its increments", async () => {
  await withTemporaryDirectory(async (temporary) => {
    const data = `${temporary}/data`;
    await makeData(data);
    const path = `${data}/${LOG}`;
    const { claimEpoch, origin, zeros, reserved } = headerLayout;
    for (const { offset } of [claimEpoch, origin, zeros, reserved]) {
      const before = bytesOf(path);
      edit(path, (view) => {
        view.setUint8(offset, 1);
        view.setUint8(512 + offset, 1);
        const second = new Uint8Array(view.buffer, 512, 512);
        view.setUint32(1020, crc32(second.subarray(0, 508)), true);
      });
      const { code, text } = await run("check", data);
      assertEquals([code, text.includes("Neither header copy is valid")], [6, true], text);
      if (offset !== reserved.offset) edit(path, (view) => new Uint8Array(view.buffer).set(before));
    }
    assertEquals((await run("repair", data)).code, 0);
    assertEquals((await run("worker", data)).code, 0);
    await checkData(data);
    assertEquals((await run("top", data)).text, "3\t/\n");
  });
});
