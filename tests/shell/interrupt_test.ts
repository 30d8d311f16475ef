/** Ctrl-C during a long answer. */

import { assert, assertEquals } from "@std/assert";
import { systemStorage } from "../../src/file/mod.ts";
import { runLine } from "../../src/shell/run_line.ts";
import { InterruptedError, Session } from "../../src/shell/session.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";

const KEYS = 500;

Deno.test("A long answer ends at Ctrl-C, and the next command runs", async () => {
  await withTemporaryDirectory(async (directory) => {
    const tables = `${directory}/tables`;
    Deno.mkdirSync(tables, { mode: 0o700 });
    for (let index = 0; index < KEYS; index++) {
      Deno.writeTextFileSync(`${tables}/k${index}.kv`, "v", { mode: 0o600 });
    }
    await using session = new Session({
      storage: systemStorage(),
      tables,
      lockTimeoutMs: 5000,
      mode: "raw",
      prepareToWrite: () => {},
      counters: {
        openReader: () => Promise.reject(new Error("no counters here")),
        openWriter: () => Promise.reject(new Error("no counters here")),
      },
    });
    const errors: unknown[] = [];
    let lines = 0;
    const output = {
      isTerminal: false,
      hasColor: false,
      write(content: string | Uint8Array) {
        // Like a pressed key, this arrives when the event loop runs.
        if (lines === 0) setTimeout(() => session.interrupt(), 0);
        if (content === "\n") lines++;
      },
      flush: () => {},
    };
    const failed = (error: unknown) => void errors.push(error);
    const options = { output, remarks: output, isInteractive: false, failed };
    await runLine(session, "each", options);
    assert(errors[0] instanceof InterruptedError);
    assert(lines > 0 && lines < KEYS, `${lines} rows came`);
    errors.length = 0;
    lines = 0;
    await runLine(session, "get k7", options);
    assertEquals([errors.length, lines], [0, 1]);
  });
});
