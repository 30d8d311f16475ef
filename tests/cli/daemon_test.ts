/** Notices, metrics, event lines and reports of daemons, in real processes. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { parsePrometheus } from "../support/prometheus.ts";
import { runCountd, runProgram, startCountd } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { waitUntil } from "../support/wait.ts";

/** Collects the lines of a child's stdout until it ends. */
function collectLines(child: Deno.ChildProcess): string[] {
  const lines: string[] = [];
  const collect = async () => {
    let partial = "";
    for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
      const parts = (partial + text).split("\n");
      partial = parts.pop() as string;
      lines.push(...parts);
    }
  };
  collect();
  return lines;
}

Deno.test("A daemon notifies systemd that it is ready, that it is alive, and that it stops", async () => {
  if (Deno.build.os !== "linux") return;
  await withTemporaryDirectory(async (directory) => {
    const path = `${directory}/notify`;
    const listener = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--quiet",
        "-A",
        "--unstable-net",
        new URL("notify_listener.ts", import.meta.url).pathname,
        path,
      ],
      stdout: "piped",
    }).spawn();
    const notices = collectLines(listener);
    try {
      await waitUntil("the listener", () => notices.includes("ready to listen"));
      await using daemon = await startCountd([
        "write",
        "--data",
        `${directory}/data`,
        "--port",
        "0",
      ], {
        env: { NOTIFY_SOCKET: path, WATCHDOG_USEC: "100000" },
      });
      await daemon.listening();
      await waitUntil("READY=1", () => notices.includes("READY=1"));
      await waitUntil("a sign of life", () => notices.includes("WATCHDOG=1"));
      assertEquals(notices.includes("STOPPING=1"), false);
      assertEquals(await daemon.stop(), 0);
      await waitUntil("STOPPING=1", () => notices.includes("STOPPING=1"));
    } finally {
      listener.kill("SIGKILL");
      await listener.status;
    }
  });
});

Deno.test("A daemon serves although its service manager does not listen", async () => {
  await withTemporaryDirectory(async (directory) => {
    await using daemon = await startCountd(
      ["write", "--data", `${directory}/data`, "--port", "0"],
      {
        env: { NOTIFY_SOCKET: `${directory}/missing` },
      },
    );
    await daemon.listening();
    assertEquals(await daemon.stop(), 0);
  });
});

Deno.test("--metrics-port serves metrics that a strict parser accepts, health and readiness", async () => {
  await withTemporaryDirectory(async (directory) => {
    const args = ["write", "--data", `${directory}/data`, "--port", "0", "--metrics-port", "0"];
    await using daemon = await startCountd(args);
    const [, address] = await daemon.stderrLine(/^metrics on (\S+)$/);
    const { host, port } = await daemon.listening();
    await send(host, port, 3);
    const url = `http://${address}`;
    await checkByPromtool(`${url}/metrics`);
    const families = await waitUntil("three increments in the metrics", async () => {
      const response = await fetch(`${url}/metrics`);
      assertMatch(response.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/);
      const parsed = parsePrometheus(await response.text());
      const accepted = parsed.get("countd_increments_total")?.samples
        .find(({ labels }) => labels["result"] === "accepted");
      return accepted?.value === 3 ? parsed : null;
    });
    assert(families !== null);
    assertEquals(families.get("countd_build_info")?.samples[0]?.value, 1);
    for (const path of ["/healthz", "/readyz"]) {
      const response = await fetch(url + path);
      assertEquals([response.status, await response.text()], [200, "ready\n"]);
    }
    const missing = await fetch(`${url}/other`);
    assertEquals(missing.status, 404);
    await missing.body?.cancel();
    const posted = await fetch(`${url}/metrics`, { method: "POST" });
    assertEquals(posted.status, 405);
    await posted.body?.cancel();
    assertEquals(await daemon.stop(), 0);
  });
});

Deno.test("serve shows the metrics of its worker with its own, and the progress of folding", async () => {
  await withTemporaryDirectory(async (directory) => {
    const ports = ["--write-port", "0", "--read-port", "0", "--metrics-port", "0"];
    const args = ["serve", "--data", `${directory}/data`, ...ports, "--seal-after", "10ms"];
    // The worker must not take the port of serve from the environment.
    await using daemon = startCountd(args, { env: { COUNTD_METRICS_PORT: "1" } });
    const [, address] = await daemon.stderrLine(/^metrics on (\S+)$/);
    const { host, port } = await daemon.listening("write");
    await send(host, port, 7);
    await waitUntil("the metrics of the worker", async () => {
      const text = await (await fetch(`http://${address}/metrics`)).text();
      const families = parsePrometheus(text);
      const valueOf = (name: string) => families.get(name)?.samples[0]?.value;
      return valueOf("countd_fold_records_total") === 7 &&
        valueOf("countd_increments_total") === 7 &&
        (families.get("countd_fold_seconds")?.samples.at(-1)?.value ?? 0) >= 1 &&
        families.has("countd_log_slots") && families.has("countd_fold_lag_records");
    });
    assertEquals(await daemon.stop(), 0);
  });
});

/** Checks the metrics with the tool of the Prometheus project. */
async function checkByPromtool(url: string): Promise<void> {
  const { code } = await runProgram(["sh", "-c", "command -v promtool"]);
  if (code !== 0) return console.log("not run: needs promtool");
  const text = await (await fetch(url)).text();
  const checked = await runProgram(["promtool", "check", "metrics"], { stdin: text });
  assertEquals([checked.code, checked.text, checked.stderr], [0, "", ""]);
}

Deno.test("SIGTERM, SIGINT and SIGHUP each stop a daemon cleanly, also when sent twice", async () => {
  await withTemporaryDirectory(async (directory) => {
    for (const name of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
      const args = ["write", "--data", `${directory}/data`, "--port", "0"];
      await using daemon = await startCountd(args);
      await daemon.listening();
      daemon.signal(name);
      assertEquals(await daemon.stop(name), 0);
    }
  });
});

Deno.test("--log-format json makes every line on stderr one JSON object", async () => {
  await withTemporaryDirectory(async (directory) => {
    const args = ["write", "--data", `${directory}/data`, "--port", "0", "--max-connections", "1"];
    await using daemon = await startCountd([...args, "--log-format", "json"]);
    const { port } = await daemon.listening();
    const held = await Deno.connect({ hostname: "127.0.0.1", port });
    const refused = await Deno.connect({ hostname: "127.0.0.1", port });
    await daemon.stderrLine(/too many/);
    held.close();
    refused.close();
    assertEquals(await daemon.stop(), 0);
    for (const text of daemon.stderrLines) {
      const event = JSON.parse(text);
      assertMatch(event.time, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
      assert(["info", "warn", "error"].includes(event.level));
      assert(typeof event.event === "string");
    }
  });
});

Deno.test("With --log-format json the failure of a daemon is a line of JSON too", async () => {
  await withTemporaryDirectory(async (directory) => {
    Deno.writeTextFileSync(`${directory}/control`, "x".repeat(16_384));
    const args = ["write", "--data", directory, "--port", "0", "--log-format", "json"];
    const { code, text, stderr } = await runCountd(args);
    assertEquals([code, text], [6, ""]);
    const event = JSON.parse(stderr);
    assertEquals([event.level, event.code, event.name], ["error", 6, "corruption"]);
    assertStringIncludes(event.event, `${directory}/control`);
  });
});

Deno.test("status shows running daemons and their counts, and forgets them when they end", async () => {
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    await using daemon = await startCountd(["write", "--data", data, "--port", "0"]);
    const { host, port } = await daemon.listening();
    await send(host, port, 5);
    const shown = await waitUntil("five increments in status", async () => {
      const { code, text } = await runCountd(["status", "--data", data, "--json"]);
      assertEquals(code, 0);
      const status = JSON.parse(text);
      return status.accepted === "5" ? status : null;
    });
    assertEquals(shown.backlog.records, "5");
    assertEquals(shown.logs.active, "2");
    assertEquals(shown.failed, null);
    assertEquals(shown.daemons.length, 1);
    assertEquals([shown.daemons[0].verb, shown.daemons[0].pid], ["write", daemon.pid]);
    await daemon.kill();
    const after = JSON.parse((await runCountd(["status", "--data", data, "--json"])).text);
    assertEquals([after.daemons, after.accepted], [[], "0"]);
    assertEquals(after.backlog.records, "5");
    // The next daemon removes the report of the dead one.
    await using next = await startCountd(["write", "--data", data, "--port", "0"]);
    await next.listening();
    assertEquals([...Deno.readDirSync(`${data}/run`)].map(({ name }) => name), [
      `write-${next.pid}`,
    ]);
    assertEquals(await next.stop(), 0);
    assertEquals([...Deno.readDirSync(`${data}/run`)], []);
  });
});

Deno.test("status of a missing data directory makes nothing and exits 3", async () => {
  await withTemporaryDirectory(async (directory) => {
    const { code, text, stderr } = await runCountd(["status", "--data", `${directory}/none`]);
    assertEquals([code, text], [3, ""]);
    assertStringIncludes(stderr, `No data directory at ${directory}/none`);
    assertEquals([...Deno.readDirSync(directory)], []);
  });
});

/** Sends increments of one key and waits until the server has taken them. */
async function send(hostname: string, port: number, count: number): Promise<void> {
  const connection = await Deno.connect({ hostname, port });
  const message = new Uint8Array(520);
  new DataView(message.buffer).setBigInt64(0, 1n, true);
  message.set(new TextEncoder().encode("pages"), 8);
  message.set(new TextEncoder().encode("/index.html"), 264);
  for (let sent = 0; sent < count; sent++) {
    for (let written = 0; written < message.length;) {
      written += await connection.write(message.subarray(written));
    }
  }
  await connection.closeWrite();
  const answer = new Uint8Array(await new Response(connection.readable).arrayBuffer());
  assertEquals(new DataView(answer.buffer).getBigInt64(0, true), BigInt(count));
}
