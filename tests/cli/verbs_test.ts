/** config, systemd and completion: every option has its effect. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { UNITS } from "../../src/cli/systemd_unit.ts";
import { capture } from "./capture.ts";
import { withUnfolded } from "./effect_support.ts";
import { runCountd, runProgram } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";

Deno.test("config shows the default and the origin of a value", async () => {
  const plain = await capture(["config", "write"]);
  assertEquals(plain.code, 0);
  assertStringIncludes(plain.stdout, "write\t--port\t48879\tdefault\n");
  assertStringIncludes(plain.stdout, "write\t--data\t./countd-data\tdefault\n");
  const set = await capture(["config", "write"], { COUNTD_PORT: "0", COUNTD_SYNC: "os" });
  assertStringIncludes(set.stdout, "write\t--port\t0\tenvironment COUNTD_PORT\n");
  assertStringIncludes(set.stdout, "write\t--sync\tos\tenvironment COUNTD_SYNC\n");
});

Deno.test("config shows one verb alone, or every verb with options", async () => {
  const one = await capture(["config", "doctor"]);
  assertEquals(one.stdout, "doctor\t--data\t./countd-data\tdefault\n");
  const all = await capture(["config", "--json"]);
  const { settings } = JSON.parse(all.stdout);
  const verbs = new Set(settings.map(({ verb }: { verb: string }) => verb));
  assert(verbs.has("write") && verbs.has("doctor"));
  for (const { value, variable } of settings) {
    assert(value === null || typeof value === "string");
    assert(/^COUNTD_[A-Z_]+$/.test(variable));
  }
});

Deno.test("config shows the sizes that a data directory keeps", async () => {
  await withUnfolded(async (data) => {
    const { code, stdout } = await capture(["config", "write", "--data", data]);
    assertEquals(code, 0);
    assertStringIncludes(stdout, `write\t--data\t${data}\tcommand line\n`);
    assertStringIncludes(stdout, "write\t--log-size\t64KiB\tdata directory\n");
    assertStringIncludes(stdout, "write\t--keyspace-size\t99\tdata directory\n");
    const given = { COUNTD_LOG_SIZE: "128KiB", COUNTD_DATA: data };
    const set = await capture(["config", "write"], given);
    assertStringIncludes(set.stdout, "write\t--log-size\t128KiB\tenvironment COUNTD_LOG_SIZE\n");
    assertStringIncludes(set.stdout, `write\t--data\t${data}\tenvironment COUNTD_DATA\n`);
  }, { keyspaceSize: 99 });
});

Deno.test("config refuses what a verb would refuse, and an unknown verb", async () => {
  const wrong = await capture(["config"], { COUNTD_SYNC: "sometimes" });
  assertEquals(wrong.code, 2);
  assertStringIncludes(wrong.stderr, "COUNTD_SYNC must be one of always, interval, os");
  assertEquals((await capture(["config", "nothing"])).code, 3);
});

Deno.test("config shows values from the real environment", async () => {
  const { code, text } = await runCountd(["config", "doctor"], {
    env: { COUNTD_DATA: "/some/where" },
  });
  assertEquals([code, text], [0, "doctor\t--data\t/some/where\tenvironment COUNTD_DATA\n"]);
});

Deno.test("config reports variables that no verb knows", async () => {
  if (Deno.build.os !== "linux") return;
  const env = { COUNTD_SYNC: "os", COUNTD_SYNK: "os", COUNTD_FAULT: "" };
  const { code, text, stderr } = await runCountd(["config", "write"], { env });
  assertEquals([code, stderr], [2, "countd: No verb knows COUNTD_SYNK"]);
  assertStringIncludes(text, "--sync\tos\tenvironment COUNTD_SYNC\n");
});

Deno.test("systemd prints a unit for each daemon, and that of serve by default", async () => {
  for (const name of UNITS) {
    const { code, stdout } = await capture(["systemd", name]);
    assertEquals(code, 0);
    assertStringIncludes(stdout, `ExecStart=/usr/local/bin/countd ${name}\n`);
    assertStringIncludes(stdout, "Type=notify\n");
    assertStringIncludes(stdout, "Environment=COUNTD_DATA=/var/lib/countd/%i\n");
    assertStringIncludes(stdout, "StateDirectory=countd countd/%i\n");
    assertStringIncludes(stdout, "User=countd\n");
  }
  const plain = await capture(["systemd"]);
  assertEquals(plain.stdout, (await capture(["systemd", "serve"])).stdout);
});

Deno.test("systemd takes another executable, place and user", async () => {
  const args = [
    "systemd",
    "write",
    "--binary",
    "/opt/countd",
    "--root",
    "/srv/c/",
    "--user",
    "eve",
  ];
  const { code, stdout } = await capture(args);
  assertEquals(code, 0);
  assertStringIncludes(stdout, "ExecStart=/opt/countd write\n");
  assertStringIncludes(stdout, "Environment=COUNTD_DATA=/srv/c/%i\n");
  assertStringIncludes(stdout, "ReadWritePaths=/srv/c\n");
  assertEquals(stdout.includes("StateDirectory"), false);
  assertStringIncludes(stdout, "User=eve\nGroup=eve\n");
});

Deno.test("systemd refuses what would break a unit", async () => {
  for (
    const [option, value] of [
      ["--binary", "countd"],
      ["--binary", "/opt/with blank"],
      ["--root", "data"],
      ["--root", "/srv/%i"],
      ["--user", "a b"],
      ["--user", ""],
    ] as const
  ) {
    const { code, stdout, stderr } = await capture(["systemd", "write", option, value]);
    assertEquals([code, stdout], [2, ""]);
    assertStringIncludes(stderr, `Option ${option} must be`);
  }
});

Deno.test("systemd itself accepts the units", async () => {
  const { code } = await runProgram(["sh", "-c", "command -v systemd-analyze"]);
  if (code !== 0) return console.log("not run: needs systemd-analyze");
  await withTemporaryDirectory(async (directory) => {
    for (const name of UNITS) {
      for (const root of ["/var/lib/countd", directory]) {
        const args = ["systemd", name, "--binary", "/bin/sh", "--root", root, "--user", "root"];
        const { stdout } = await capture(args);
        const file = `${directory}/countd-${name}@.service`;
        Deno.writeTextFileSync(file, stdout);
        // The man page is not installed where this runs.
        const verified = await runProgram(["systemd-analyze", "verify", "--man=no", file]);
        assertEquals([verified.code, verified.stderr], [0, ""]);
        await checkHardening(file);
      }
    }
  });
});

/** Returns systemd's own measure of what a unit leaves exposed, from 0 (nothing) to 10. */
async function checkHardening(file: string): Promise<void> {
  const command = ["systemd-analyze", "security", "--offline=true", "--threshold=25", file];
  const { code, text, stderr } = await runProgram(command);
  if (stderr.includes("unrecognized option")) {
    return console.log("not run: needs systemd-analyze security --offline");
  }
  assertEquals(code, 0, text);
}

Deno.test("Help and versions need nothing of the machine but the environment", async () => {
  const main = new URL("../../main.ts", import.meta.url).pathname;
  const flags = ["run", "--quiet", "--no-prompt", "--no-check", "--allow-env"];
  for (const args of [["--help"], ["--version"], ["serve", "--help"], ["kv", "get", "--help"]]) {
    const command = [Deno.execPath(), ...flags, main, ...args];
    const { code, text, stderr } = await runProgram(command);
    assertEquals([code, stderr], [0, ""], args.join(" "));
    assert(text.includes("countd"));
  }
});

Deno.test("A command ends quietly if the reader of its pipe is gone", async () => {
  const main = new URL("../../main.ts", import.meta.url).pathname;
  const binary = Deno.env.get("COUNTD_TEST_BINARY");
  const command = binary
    ? `"${binary}"`
    : `"${Deno.execPath()}" run --quiet -A --no-check "${main}"`;
  // The reader is gone before the first byte.
  const script = `exec 3> >(exec true); wait $!; ${command} completion zsh >&3; echo "code $?" >&2`;
  const { code, stderr } = await runProgram(["bash", "-c", script]);
  assertEquals([code, stderr.trim()], [0, "code 0"]);
});
