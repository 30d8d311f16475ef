/** System calls that are cut short or interrupted are completed inside the seam. */

import { assert, assertEquals } from "@std/assert";
import { systemStorage } from "../../src/file/mod.ts";
import { runProgram, startProgram } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";

const door = new URL("../../src/file/mod.ts", import.meta.url).href;

Deno.test("A read that the system returns in pieces is complete", () => {
  // The kernel returns a few pages of this file for each call, however much is asked for.
  using file = systemStorage().open("/proc/kallsyms", { access: "read" });
  const bytes = new Uint8Array(1 << 20);
  assertEquals(file.read(bytes, 0), bytes.length);
  assertEquals(bytes.indexOf(0), -1, "no gap");
});

Deno.test("A write that fits only in part is an error, and the bytes before it stay", async () => {
  await withTemporaryDirectory(async (directory) => {
    const script = `const { systemStorage } = await import(${JSON.stringify(door)});
      const file = systemStorage().open(Deno.args[0], { access: "write", create: "missing" });
      file.write(new Uint8Array(4096).fill(1), 0);
      try { file.write(new Uint8Array(8192).fill(2), 4096); } catch (error) { console.log(error.code); }
      console.log(file.status().size);`;
    const path = `${directory}/file`;
    Deno.writeTextFileSync(`${directory}/script.ts`, script);
    // The limit counts blocks of 1024 bytes: the second write fits up to 8192 and no further.
    const { text, stderr } = await runProgram([
      "bash",
      "-c",
      'ulimit -f 8; exec "$@"',
      "bash",
      ...[Deno.execPath(), "run", "-A", "--no-config", `${directory}/script.ts`, path],
    ]);
    assertEquals(text, "EFBIG\n8192\n", stderr);
    const bytes = Deno.readFileSync(path);
    assert(bytes.subarray(0, 4096).every((byte) => byte === 1));
  });
});

Deno.test("A storm of signals interrupts no call", async () => {
  await withTemporaryDirectory(async (directory) => {
    const script = `const { systemStorage } = await import(${JSON.stringify(door)});
      let signals = 0;
      Deno.addSignalListener("SIGUSR1", () => signals++);
      console.log("ready");
      const storage = systemStorage();
      const end = performance.now() + 1500;
      let rounds = 0;
      while (performance.now() < end || signals === 0) {
        const path = Deno.args[0] + rounds % 4;
        using file = storage.open(path, { access: "write", create: "missing" });
        file.allocate(0, 4 << 20);
        file.write(new Uint8Array(1 << 20).fill(rounds), 0);
        file.syncData();
        if (!file.tryLockRange(0, 1, "exclusive") || !file.tryFlock("exclusive")) throw "no lock";
        const back = new Uint8Array(1 << 20);
        if (file.read(back, 0) !== back.length || back.at(-1) !== (rounds & 255)) throw "not whole";
        rounds++;
        await new Promise((resolve) => setTimeout(resolve, 0));
      }
      console.log(rounds > 0 && signals > 0 ? "whole" : "nothing happened");
      Deno.exit(0);`;
    Deno.writeTextFileSync(`${directory}/script.ts`, script);
    await using process = startProgram([
      ...[Deno.execPath(), "run", "-A", "--no-config", `${directory}/script.ts`],
      `${directory}/file`,
    ]);
    await process.stdoutLine(/^ready$/);
    while (!process.over && process.stdoutLines.length < 2) {
      process.signal("SIGUSR1");
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    const { code, text, stderr } = await process.ended();
    assertEquals([code, text], [0, "ready\nwhole\n"], stderr);
  });
});
