/** The same trouble ends every daemon with the same exit code, in words. README.md has the table. */

import { assert, assertEquals } from "@std/assert";
import { runningAsRoot } from "../support/ordinary_user.ts";
import { type Ended, runCountd, runProgram, startCountd } from "../support/process.ts";
import { withTemporaryDirectory } from "../support/temporary.ts";

/** The daemons, with a port of their own. */
const DAEMONS: Readonly<Record<string, readonly string[]>> = {
  write: ["write", "--port", "0"],
  worker: ["worker"],
  read: ["read", "--port", "0"],
  serve: ["serve", "--write-port", "0", "--read-port", "0"],
  db: ["db", "--port", "0"],
};
const ALL = Object.keys(DAEMONS);
const OF_COUNTERS = ["write", "worker", "read", "serve"];
const WRITING = ["write", "worker", "serve", "db"];

interface Trouble {
  readonly daemons: readonly string[];
  readonly code: number;
  /** What the sentence on stderr says. */
  readonly says: RegExp;
  /** Added to the command line. */
  readonly words?: readonly string[];
  readonly fault?: string;
  /** All ports of the daemon are in use. */
  readonly isTaken?: boolean;
  readonly before?: (data: string) => void | Promise<void>;
}

/** The first calls of a daemon, as many as the start of any of them makes. */
function failingFirst(code: string, call: string, calls: number): string {
  return Array.from({ length: calls }, (_, at) => `${code}@${call}#${at + 1}`).join(",");
}

function damage(path: string): void {
  const { size } = Deno.statSync(path);
  using file = Deno.openSync(path, { write: true });
  file.writeSync(new Uint8Array(Math.min(size, 4096)).fill(0xa5));
}

const TROUBLES: Readonly<Record<string, Trouble>> = {
  "an unknown option": { daemons: ALL, code: 2, says: /--nothing/, words: ["--nothing"] },
  "a port that is in use": {
    daemons: ["write", "read", "serve", "db"],
    code: 1,
    says: /is in use/,
    isTaken: true,
  },
  "a lack of descriptors": {
    daemons: ALL,
    code: 75,
    says: /too many open files/,
    fault: failingFirst("EMFILE", "open", 40),
  },
  "a sync that fails": {
    daemons: WRITING,
    code: 6,
    says: /\(EIO\)/,
    fault: failingFirst("EIO", "sync", 40),
  },
  "a damaged control file": {
    daemons: OF_COUNTERS,
    code: 6,
    says: /control/,
    before: (data) => damage(`${data}/control`),
  },
  "a damaged database": {
    daemons: ["db"],
    code: 6,
    says: /damaged|repair/,
    before: (data) => damage(`${data}/db/db.json`),
  },
};

/** Runs a daemon that is expected to end by itself. */
async function run(
  name: string,
  data: string,
  { words = [], fault, isTaken = false }: Pick<Trouble, "words" | "fault" | "isTaken">,
): Promise<Ended> {
  const env = fault === undefined ? {} : { COUNTD_FAULT: fault };
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const port = isTaken ? String(taken.addr.port) : "0";
  const own = DAEMONS[name]!.map((word) => word === "0" ? port : word);
  await using daemon = startCountd([...own, "--data", data, ...words], { env });
  return await daemon.ended({ deadlineMs: 20_000 });
}

/** A data directory with counters and a database, on which no daemon runs. */
async function makeData(data: string): Promise<void> {
  for (const name of ["write", "db"]) {
    await using daemon = startCountd([...DAEMONS[name]!, "--data", data]);
    await daemon.listening();
    assertEquals(await daemon.stop(), 0, daemon.stderrLines.join("\n"));
  }
}

function assertEndedInWords(ended: Ended, what: string, { code, says }: Trouble): void {
  assertEquals([what, ended.signal, ended.code], [what, null, code], ended.stderr);
  assert(says.test(ended.stderr), `${what}: ${ended.stderr}`);
  assert(!/bug in countd|^ +at /m.test(ended.stderr), ended.stderr);
}

for (const [what, trouble] of Object.entries(TROUBLES)) {
  Deno.test(`Every daemon that meets ${what} exits with ${trouble.code}`, async () => {
    await withTemporaryDirectory(async (directory) => {
      const made = `${directory}/made`;
      await makeData(made);
      for (const name of trouble.daemons) {
        const data = `${directory}/${name}`;
        assertEquals((await runProgram(["cp", "-a", made, data])).code, 0);
        await trouble.before?.(data);
        assertEndedInWords(await run(name, data, trouble), name, trouble);
      }
    });
  });
}

Deno.test("Every daemon of a directory that is marked failed exits with 6", async () => {
  await withTemporaryDirectory(async (data) => {
    await makeData(data);
    const trouble = { daemons: OF_COUNTERS, code: 6, says: /is marked failed/ };
    const fault = failingFirst("EIO", "sync", 40);
    assertEquals((await run("worker", data, { fault })).code, 6);
    for (const name of OF_COUNTERS) {
      assertEndedInWords(await run(name, data, {}), name, trouble);
    }
    const cleared = await runCountd(["check", "--clear-failed", "--data", data]);
    assertEquals(cleared.code, 0, cleared.stderr);
  });
});

Deno.test("Every daemon that must write on a read-only file system exits with 6", async () => {
  if (!runningAsRoot()) return console.log("left to root: a read-only mount");
  await withTemporaryDirectory(async (directory) => {
    const data = `${directory}/data`;
    await makeData(data);
    const place = `${directory}/read-only`;
    Deno.mkdirSync(place);
    const bound = await runProgram(["mount", "--bind", "-o", "ro", data, place]);
    if (bound.code !== 0) return console.log("not run: needs to mount a directory read-only");
    try {
      const trouble = { daemons: WRITING, code: 6, says: /read-only \(EROFS\)/ };
      for (const name of WRITING) {
        assertEndedInWords(await run(name, place, {}), name, trouble);
      }
    } finally {
      await runProgram(["umount", "-l", place]);
    }
  });
});
