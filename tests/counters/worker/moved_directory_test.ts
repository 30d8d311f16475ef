/** The directory of keyspaces is removed or replaced while a fold is under way. */

import { assert, assertEquals } from "@std/assert";
import { systemClock } from "../../../src/base/clock.ts";
import { Metrics } from "../../../src/base/metrics.ts";
import { keyspacePath, KeyspaceReader } from "../../../src/counters/keyspace/mod.ts";
import { Worker } from "../../../src/counters/worker/mod.ts";
import type { FileStatus, Storage } from "../../../src/file/mod.ts";
import { batchOf, claim, poolOn, type TestDirectory } from "../../support/data_directory.ts";
import { overridden } from "../../support/overridden.ts";
import { waitUntil } from "../../support/wait.ts";
import { counters, fold, pathOf, sealLog, withFolds } from "./folding.ts";

/** What `move` puts in place of the directory. */
const replacements = [
  "nothing",
  "an empty directory",
  "an empty file system",
  "a file system with a copy",
] as const;
type Replacement = typeof replacements[number];

/** A storage on which the directory of keyspaces is moved away when `point` is reached first. */
function movingAt(test: TestDirectory, point: string, replacement: Replacement) {
  const { storage: inner, directory: { paths: { keyspaces } } } = test;
  const log: string[] = [];
  let isMoved = false;
  const seen = <Status extends FileStatus | null>(path: string, status: Status): Status =>
    isMoved && status !== null && replacement.includes("file system") &&
      path.startsWith(keyspaces)
      ? { ...status, device: status.device + 1n }
      : status;
  const storage: Storage = overridden(inner, {
    status: (path) => seen(path, inner.status(path)),
    statusOrNull: (path) => seen(path, inner.statusOrNull(path)),
    open(path, options) {
      const file = inner.open(path, options);
      const isOfNew = isMoved;
      return overridden(file, {
        status: () => isOfNew ? seen(path, file.status()) : file.status(),
      });
    },
    openFileSystem(path) {
      const opened = inner.openFileSystem(path);
      const { device } = seen(path, inner.status(path));
      return overridden(opened, {
        device,
        sync() {
          opened.sync();
          const now = seen(path, inner.statusOrNull(path));
          if (now?.device === device) log.push(`sync ${path}`);
        },
      });
    },
    rename(from, to) {
      inner.rename(from, to);
      log.push(`rename ${to}`);
    },
    syncDirectory(path) {
      inner.syncDirectory(path);
      log.push(`sync ${path}`);
    },
    reach(reached) {
      if (reached === "recycle.1.before") log.push("recycle");
      if (reached !== point || isMoved) return;
      isMoved = true;
      Deno.renameSync(keyspaces, `${test.data}/moved`);
      if (replacement !== "nothing") Deno.mkdirSync(keyspaces, { mode: 0o700 });
      if (replacement !== "a file system with a copy") return;
      for (const { name } of Deno.readDirSync(`${test.data}/moved`)) {
        if (name.startsWith(".")) continue;
        Deno.copyFileSync(`${test.data}/moved/${name}`, `${keyspaces}/${name}`);
      }
    },
  });
  return { storage, log, isMoved: () => isMoved };
}

const names = Array.from({ length: 6 }, (_, number) => `k${number}`);

// Story: the worker looked at the directory before a fold only. One that was gone when a file was made in it ended the
// worker. If another file system had its place, names of new files there were not synced: the one sync of the fold was
// that of the old file system, and a power cut could take a keyspace whose logs were recycled.
for (const point of ["fold.2.after", "fold.3.after", "fold.4.after", "fold.5.rename"]) {
  for (const replacement of replacements) {
    Deno.test(`A fold goes on if ${replacement} takes the place of the directory at ${point}`, async () => {
      await withFolds(async (test) => {
        await sealLog(test, names.map((name) => [name, "a", 1n]));
        await fold(test);
        await sealLog(test, [...names, "new"].map((name) => [name, "a", 10n]));
        const { storage, log, isMoved } = movingAt(test, point, replacement);
        await fold(test, storage);
        assert(isMoved());
        const { keyspaces } = test.directory.paths;
        const kept = replacement === "a file system with a copy" ? names : [];
        for (const name of [...names, "new"]) {
          const isKept = kept.includes(name);
          assertEquals(counters(test, name), [isKept ? "a 11" : "a 10"], name);
          if (isKept) continue;
          const named = log.lastIndexOf(`rename ${pathOf(test, name)}`);
          const beforeRecycle = log.slice(named, log.lastIndexOf("recycle"));
          assert(named >= 0 && beforeRecycle.includes(`sync ${keyspaces}`), `${name}: ${log}`);
        }
        Deno.removeSync(`${test.data}/moved`, { recursive: true });
      });
    });
  }
}

Deno.test("A worker goes on if the directory is moved away while a fold gathers logs", async () => {
  await withFolds(async (test) => {
    const pool = poolOn(test.open(), { logs: 16 });
    await pool.prepare();
    const some = batchOf(
      Array.from({ length: 100 }, (_, key) => ["ks", `key-${key}`, 1n] as const),
    );
    let batches = 0n;
    const active = await claim(pool);
    const full = await claim(pool);
    for (; full.capacityBytes > 8192; batches++) full.append(some);
    await full.seal({ sync: true });
    const stop = new AbortController();
    const events: string[] = [];
    const running = new Worker(test.open(), {
      clock: systemClock,
      events: { report: (_level, event) => events.push(event) },
      metrics: new Metrics(),
    }).run(stop.signal);
    const { keyspaces } = test.directory.paths;
    // A writer that never rests: the fold waits for its log.
    for (let round = 0; round < 16; round++) {
      active.append(some);
      batches++;
      await systemClock.sleep(5);
      if (round === 8) Deno.renameSync(keyspaces, `${test.data}/moved`);
    }
    await active.seal({ sync: true });
    const valueIn = (directory: string): bigint => {
      const path = keyspacePath(directory, new TextEncoder().encode("ks"));
      if (test.storage.statusOrNull(path) === null) return 0n;
      using reader = KeyspaceReader.open(test.storage, path);
      return reader.get(new TextEncoder().encode("key-7")) ?? 0n;
    };
    await Promise.race([
      running,
      waitUntil(
        "everything to be folded",
        () => valueIn(keyspaces) + valueIn(`${test.data}/moved`) === batches,
      ),
    ]);
    assert(events.includes("directory of keyspaces was removed: it is made again"), `${events}`);
    stop.abort();
    await running;
    Deno.removeSync(`${test.data}/moved`, { recursive: true });
  });
});
