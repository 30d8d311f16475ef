/** The shell in a terminal, for tests. */

import { assertEquals } from "@std/assert";
import { systemStorage } from "../../src/file/mod.ts";
import { checkTables } from "../../src/tables/mod.ts";
import { countdCommand, runCountd } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";
import { waitUntil } from "../support/wait.ts";
import { quoted, Terminal, tmuxIsInstalled } from "./terminal.ts";

interface Place {
  readonly directory: string;
  readonly data: string;
  readonly history: string;
}

/** Runs a shell in a terminal; at the end of the test its tables must be sound. */
export async function withShell(
  body: (terminal: Terminal, place: Place) => Promise<void>,
  options: { columns?: number; rows?: number; words?: string[]; setUp?: string[] } = {},
): Promise<void> {
  if (!tmuxIsInstalled()) return;
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    if (options.setUp !== undefined) {
      const { code, stderr } = await runCountd([
        "shell",
        "--data",
        data,
        "-c",
        options.setUp.join("\n"),
      ]);
      assertEquals(code, 0, stderr);
    }
    const command = countdCommand(["shell", "--data", data, ...options.words ?? []]);
    await using terminal = await Terminal.open(
      `${
        command.map(quoted).join(" ")
      }; echo "left with $?"; stty -a | grep -o -e -icanon -e icanon`,
      { directory, env: { XDG_STATE_HOME: `${directory}/state`, NO_COLOR: "1" }, ...options },
    );
    await terminal.shows("countd shell: .help lists the commands, Ctrl-D leaves", "countd>");
    await body(terminal, { directory, data, history: `${directory}/state/countd/history` });
    assertEquals(checkTables(systemStorage(), `${data}/tables`), []);
  });
}

/** Asserts that the shell has ended and the terminal reads lines again. */
export async function assertLeft(terminal: Terminal, code: number): Promise<void> {
  await waitUntil("the shell to leave", async () => {
    const [left, mode] = (await terminal.lines()).slice(-2);
    return left === `left with ${code}` && mode === "icanon";
  });
}

/** Finds the process that has this data directory on its command line. */
export function shellPid(data: string): number {
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const words = Deno.readTextFileSync(`/proc/${name}/cmdline`).split("\0");
      if (words.includes("shell") && words.includes(data) && words[0] !== "sh") return Number(name);
    } catch {
      // The process has ended.
    }
  }
  throw new Error(`No shell runs on ${data}`);
}

export function isAlive(pid: number): boolean {
  try {
    return !/^State:\tZ/m.test(Deno.readTextFileSync(`/proc/${pid}/status`));
  } catch {
    return false;
  }
}
