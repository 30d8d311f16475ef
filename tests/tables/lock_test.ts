/** Which call waits for which lock. The other side of each lock is Deno's flock, or another program. */

import { dirname } from "node:path/posix";
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { type Clock, systemClock } from "../../src/base/clock.ts";
import { BusyError } from "../../src/base/errors.ts";
import { type Storage, systemStorage } from "../../src/file/mod.ts";
import {
  KeyExistsError,
  KeyNotFoundError,
  LockDeadlineError,
  TableRoot,
} from "../../src/tables/mod.ts";
import { tryHold, tryRead } from "../../src/tables/value_file.ts";
import { overridden } from "../support/overridden.ts";
import { type CountdProcess, startProgram } from "../support/process.ts";
import { valueText } from "./client.ts";
import { oneCall, startClient, untilStopped } from "./clients.ts";
import { asText, bytes, listTree, LOCK_TIMEOUT_MS, openRoot, withRoot } from "./support.ts";

const NEW = bytes("new");

/** A lock that another handle holds until the end of the scope. */
function lockedElsewhere(path: string, kind: "shared" | "exclusive"): Disposable {
  const file = Deno.openSync(path);
  file.lockSync(kind === "exclusive");
  return file;
}

/** A clock that only a sleep moves, by the time that is slept. */
class ManualClock implements Clock {
  #nowMs = 1000;

  nowMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return 0;
  }

  sleep(delayMs: number): Promise<void> {
    this.#nowMs += delayMs;
    return Promise.resolve();
  }
}

function writers(root: TableRoot): [string, () => Promise<void>][] {
  return [
    ["set", () => root.set("k", NEW)],
    ["update", () => root.update("k", NEW)],
    ["delete", () => root.delete("k")],
  ];
}

Deno.test("Create of an existing key refuses at once, also while it is locked", async () => {
  await withRoot(async (root, path) => {
    await root.set("k", bytes("old"));
    const hasty = openRoot(path, {
      clock: { ...systemClock, sleep: () => Promise.reject("waited") },
    });
    for (const kind of ["exclusive", "shared"] as const) {
      using _lock = lockedElsewhere(`${path}/k.kv`, kind);
      await assertRejects(() => hasty.create("k", NEW), KeyExistsError);
    }
    assertEquals(asText(await root.get("k")), "old");
  });
});

Deno.test("A key locked exclusively times out every call, not earlier than asked", async () => {
  await withRoot(async (root, path) => {
    await root.set("k", bytes("old"));
    const before = listTree(path);
    {
      using _lock = lockedElsewhere(`${path}/k.kv`, "exclusive");
      for (const timeoutMs of [1, 100, 12345]) {
        const clock = new ManualClock();
        const patient = openRoot(path, { lockTimeoutMs: timeoutMs, clock });
        for (
          const [name, call] of [
            ...writers(patient),
            ["get", () => patient.get("k")] as const,
          ]
        ) {
          const startMs = clock.nowMs();
          const error = await assertRejects(call, LockDeadlineError, `${path}/k.kv`, name);
          assert(error instanceof BusyError);
          assertEquals(error.path, `${path}/k.kv`);
          assert(Math.abs(clock.nowMs() - startMs - timeoutMs) < 1e-6, name);
          assertEquals(listTree(path), before, `${name} leaves nothing behind`);
        }
      }
      const startMs = performance.now();
      await assertRejects(() => openRoot(path, { lockTimeoutMs: 100 }).get("k"), LockDeadlineError);
      assert(performance.now() - startMs >= 99, "the real clock is waited for");
    }
    assertEquals(asText(await root.get("k")), "old");
  });
});

Deno.test("A key that is read by another can be read and not written", async () => {
  await withRoot(async (root, path) => {
    await root.set("k", bytes("old"));
    const hasty = openRoot(path, { lockTimeoutMs: 50 });
    {
      using _lock = lockedElsewhere(`${path}/k.kv`, "shared");
      assertEquals(asText(await hasty.get("k")), "old");
      for (const [name, call] of writers(hasty)) {
        await assertRejects(call, LockDeadlineError, undefined, name);
      }
      assertEquals(asText(await hasty.get("k")), "old");
    }
    await hasty.set("k", NEW);
  });
});

Deno.test("A call succeeds once the lock is released", async () => {
  await withRoot(async (root, path) => {
    for (const name of ["get", "set", "update", "delete"]) {
      await root.set("k", bytes("old"));
      const lock = lockedElsewhere(`${path}/k.kv`, "exclusive");
      const calls = Object.fromEntries([...writers(root), ["get", () => root.get("k")]]);
      let done = false;
      const call = (calls[name] as () => Promise<unknown>)().then(() => done = true);
      await new Promise((resolve) => setTimeout(resolve, 20));
      assert(!done, `${name} waits`);
      lock[Symbol.dispose]();
      await call;
    }
  });
});

Deno.test("Two handles in one process exclude each other as two processes do", async () => {
  await withRoot(async (root, path) => {
    await root.set("k", bytes("old"));
    const disk = systemStorage();
    const seen: unknown[] = [];
    const watched = overridden<Storage>(disk, {
      reach(point) {
        if (point !== "table.rename.before" && point !== "table.unlink.before") return;
        const found = [tryRead(disk, `${path}/k.kv`), tryHold(disk, `${path}/k.kv`, path)];
        seen.push([point, ...found]);
      },
    });
    const other = new TableRoot(watched, path, { lockTimeoutMs: LOCK_TIMEOUT_MS, sync: "os" });
    for (const [, call] of writers(other)) await call();
    const replacing = ["table.rename.before", "held", "held"];
    assertEquals(seen, [replacing, replacing, ["table.unlink.before", "held", "held"]]);
  });
});

Deno.test("A writer gets its turn although readers hold the key almost all the time", async () => {
  await withRoot(async (root, path) => {
    await root.set("k", bytes("0"));
    let over = false;
    const readers = Array.from({ length: 4 }, async () => {
      while (!over) {
        using _lock = lockedElsewhere(`${path}/k.kv`, "shared");
        await new Promise((resolve) => setTimeout(resolve, 1));
        _lock[Symbol.dispose]();
        await new Promise((resolve) => setTimeout(resolve, 3));
      }
    });
    for (let round = 1; round <= 10; round++) await root.set("k", bytes(String(round)));
    over = true;
    await Promise.all(readers);
    assertEquals(asText(await root.get("k")), "10");
  });
});

const PEERS = {
  flock: (path: string) => ["flock", "-x", path, "-c", "echo locked; read line"],
  python3: (path: string) => [
    "python3",
    "-c",
    "import fcntl, sys; f = open(sys.argv[1], 'rb'); fcntl.flock(f, fcntl.LOCK_EX); " +
    "print('locked', flush=True); sys.stdin.readline()",
    path,
  ],
};

function isInstalled(program: string): boolean {
  try {
    return new Deno.Command(program, { args: ["--version"] }).outputSync().success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

for (const [program, command] of Object.entries(PEERS)) {
  Deno.test(`A lock that ${program} holds excludes a table, and a table's lock excludes ${program}`, async () => {
    if (!isInstalled(program)) return console.log(`not run: needs ${program}`);
    await withRoot(async (root, path) => {
      await root.set("k", bytes("old"));
      const value = `${path}/k.kv`;
      const hasty = openRoot(path, { lockTimeoutMs: 50 });
      await using peer: CountdProcess = startProgram(command(value));
      await peer.stdoutLine(/^locked$/);
      await assertRejects(() => hasty.set("k", NEW), LockDeadlineError);
      await assertRejects(() => hasty.get("k"), LockDeadlineError);
      const set = root.set("k", NEW);
      await peer.writeStdin("\n");
      assertEquals((await peer.ended()).code, 0);
      await set;
      assertEquals(asText(await root.get("k")), "new");

      // The other way round: a set of the library, stopped in the middle, makes the peer wait.
      await withHeldKey(path, async (release) => {
        await using waiting = startProgram(command(value));
        await assertRejects(() => hasty.get("k"), LockDeadlineError);
        assertEquals(waiting.stdoutLines.length, 0, "the peer waits");
        release();
        await waiting.stdoutLine(/^locked$/);
        await waiting.writeStdin("\n");
        assertEquals((await waiting.ended()).code, 0);
      });
    });
  });
}

Deno.test("Beside a writer that keeps flockd's protocol every read is one whole value", async () => {
  if (!isInstalled("python3")) return console.log("not run: needs python3");
  await withRoot(async (root, path) => {
    await root.set("k", bytes(valueText("start", 4096)));
    const script = decodeURIComponent(new URL("flockd_peer.py", import.meta.url).pathname);
    await using peer = startProgram(["python3", script, path, "k", "300"]);
    const seen = new Set<string>();
    for (let round = 0; !peer.over; round++) {
      const value = asText(await root.get("k"));
      const id = value.slice(0, value.indexOf(":"));
      assertEquals(value, valueText(id, 4096));
      seen.add(id.replace(/\d+$/, ""));
      if (round % 3 === 0) await root.set("k", bytes(valueText(`ours${round}`, 4096)));
      // Gives the end of the peer time to be noticed.
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    assertEquals((await peer.ended()).code, 0);
    assert(seen.has("go") && seen.has("ours"), [...seen].join());
    assertEquals([...root.keys()], ["k"]);
  });
});

Deno.test("A read by flockd that lost to a delete brings the key back, empty, as README says", async () => {
  if (!isInstalled("python3")) return console.log("not run: needs python3");
  await withRoot(async (root, path) => {
    await root.set("k", bytes("old"));
    const script = decodeURIComponent(new URL("flockd_reader.py", import.meta.url).pathname);
    await using peer = startProgram(["python3", script, `${path}/k.kv`]);
    await peer.stdoutLine(/^opened$/);
    await root.delete("k");
    await assertRejects(() => root.get("k"), KeyNotFoundError);
    await peer.writeStdin("\n");
    assertEquals((await peer.ended()).text, "opened\nold\n");
    assertEquals(asText(await root.get("k")), "");
    await root.delete("k");
    assertEquals([...root.keys()], []);
    const readme = Deno.readTextFileSync(new URL("../../src/tables/README.md", import.meta.url));
    const section = readme.split("### Beside flockd")[1]?.split("\n#")[0] ?? "";
    assertMatch(section, /read by flockd that lost to a delete brings the key back, empty/);
  });
});

/** Run `body` while a process of countd, stopped in the middle of a set, holds the lock of key k. */
async function withHeldKey(
  root: string,
  body: (release: () => void) => Promise<void>,
): Promise<void> {
  const directory = dirname(root);
  const set = oneCall(directory, { kind: "set", key: "k", value: "held" });
  await using client = startClient(directory, set, "stop@table.rename.before");
  await untilStopped(client);
  await body(() => client.signal("SIGCONT"));
  assertEquals((await client.ended()).code, 0);
}
