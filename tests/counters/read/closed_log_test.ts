/** A reader that has no right to write, and so cannot open every log. */

import { assert, assertEquals } from "@std/assert";
import { systemClock } from "../../../src/base/clock.ts";
import { Metrics } from "../../../src/base/metrics.ts";
import { REFUSED_MS } from "../../../src/base/readiness.ts";
import { DataDirectory, describeSelf } from "../../../src/counters/commitlog/mod.ts";
import { ReadServer } from "../../../src/counters/read/mod.ts";
import { OsError, type Storage } from "../../../src/file/mod.ts";
import { overridden } from "../../support/overridden.ts";
import { withTemporaryDirectory } from "../../support/temporary.ts";
import { waitUntil } from "../../support/wait.ts";
import { LivingDirectory } from "../view/living_directory.ts";
import { latin1Bytes } from "../view/plain_base.ts";
import { RequestSocket } from "./request_socket.ts";
import { counters, encoder, page } from "./served_directory.ts";

Deno.test("A log whose mode forbids a reader without write rights to read it is answered −5, and the server goes on", async () => {
  // Story: no lock could be taken under which the mode is widened for a moment. The error for that had no code, so
  // the first question about a sealed log ended the server, and each one that was started after it.
  const events: string[] = [];
  await withTemporaryDirectory(async (path) => {
    await using living = await LivingDirectory.open(`${path}/data`);
    await living.write(counters("ks", 3));
    await living.seal();
    const storage = forbidden(living.storage);
    using directory = DataDirectory.open(storage, living.path, {
      self: describeSelf(storage),
      access: "read",
    });
    assert(directory.control.isReadOnly);
    let aheadMs = 0;
    const clock = overridden(systemClock, { nowMs: () => systemClock.nowMs() + aheadMs });
    const metrics = new Metrics();
    const { readiness } = metrics;
    readiness.state = "ready";
    const server = new ReadServer(directory, {
      hostname: "127.0.0.1",
      port: 0,
      maxConnections: 2,
      stale: false,
    }, {
      clock,
      events: { report: (_, event, { reason } = {}) => events.push(`${event}: ${reason}`) },
      metrics,
    });
    using socket = await RequestSocket.connect(server.address);
    const why = `Cannot read ${living.path}/logs/0000000000: its mode forbids it`;
    const questions = [
      page("ks", 0, 9),
      encoder.key(latin1Bytes("ks"), latin1Bytes("key-1")),
      encoder.keyspaces(new Uint8Array(0)),
    ];
    for (const question of questions) {
      await socket.send(question);
      assertEquals((await socket.reply()).total, -5);
      assert(readiness.reasons()[0]?.startsWith(why), readiness.reasons()[0]);
    }
    assertEquals(events.length, 1);
    assert(events[0]!.startsWith(`cannot read: ${why}`), events[0]);

    // Its owner widens the mode for a moment.
    const log = `${living.path}/logs/0000000000`;
    Deno.chmodSync(log, 0o600);
    await socket.send(page("ks", 0, 9));
    assertEquals((await socket.reply()).total, 3);
    Deno.chmodSync(log, 0o200);
    aheadMs = REFUSED_MS;
    await waitUntil("the server to be ready", () => readiness.isReady);
    socket[Symbol.dispose]();
    await server.stop();
  });
});

/** The files of another user that this one may read, except a sealed log. */
function forbidden(inner: Storage): Storage {
  return overridden(inner, {
    open(path, options) {
      const isSealed = inner.statusOrNull(path)?.mode === 0o200;
      if (options.access === "write" || isSealed) throw new OsError("open", path, "EACCES");
      return inner.open(path, options);
    },
  });
}
