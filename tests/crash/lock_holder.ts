/**
 * A writer of one log, as a program of its own, for the tests of its lock. It claims a log, writes a batch,
 * and opens its own directory a second time, as `serve` and a status do. Then it waits for a line on stdin,
 * writes another batch, and runs until it is killed. With `posix` it holds its locks in the POSIX manner:
 * they belong to the process, and closing any descriptor of the file drops them all.
 *
 *     deno run -A tests/crash/lock_holder.ts DATA posix|description
 */

import {
  ActiveLog,
  DataDirectory,
  describeSelf,
  LogPool,
} from "../../src/counters/commitlog/mod.ts";
import { OsError, type Storage, type StoredFile, systemStorage } from "../../src/file/mod.ts";
import { fcntl } from "../../ffi/file.ts";
import * as ffi from "../../ffi/mod.ts";
import { systemClock } from "../../src/base/clock.ts";
import { CounterOracle } from "./counter_oracle.ts";
import { OneBatch } from "./counter_subject.ts";
import { sizes } from "./load_plan.ts";

const F_SETLK = 6;
const lockTypes = { shared: 0, exclusive: 1, none: 2 } as const;

/** `fcntl(2)` with the POSIX lock. Linux numbers; a test for another system has its own. */
function posixLocks(storage: Storage): Storage {
  const descriptors = new Map<string, number>();
  const setLock = (path: string, type: number, start: number, length: number): boolean => {
    // Any descriptor of the file will do, and this one is never closed.
    const descriptor = descriptors.get(path) ?? ffi.open(path, { write: true });
    descriptors.set(path, descriptor);
    const lock = new DataView(new ArrayBuffer(32));
    lock.setInt16(0, type, true);
    lock.setBigInt64(8, BigInt(start), true);
    lock.setBigInt64(16, BigInt(length), true);
    try {
      fcntl(descriptor, F_SETLK, new Uint8Array(lock.buffer), { path, syscall: "fcntl F_SETLK" });
      return true;
    } catch (error) {
      if (error instanceof OsError && ["EAGAIN", "EACCES"].includes(error.code)) return false;
      throw error;
    }
  };
  const planted = (file: StoredFile): StoredFile =>
    new Proxy(file, {
      get(target, member) {
        if (member === "tryLockRange") {
          return (start: number, length: number, kind: "shared" | "exclusive") =>
            setLock(target.path, lockTypes[kind], start, length);
        }
        if (member === "unlockRange") {
          return (start: number, length: number) =>
            setLock(target.path, lockTypes.none, start, length);
        }
        const value = Reflect.get(target, member, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  return new Proxy(storage, {
    get(target, member) {
      if (member === "open") {
        return (...args: Parameters<Storage["open"]>) => planted(target.open(...args));
      }
      const value = Reflect.get(target, member, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

async function main(data: string, manner: string): Promise<void> {
  const storage = manner === "posix" ? posixLocks(systemStorage()) : systemStorage();
  const self = describeSelf(systemStorage());
  const wanted = { ...sizes, logSize: 65_536 };
  const directory = DataDirectory.openOrCreate(storage, data, { wanted, self });
  const pool = new LogPool(directory, {
    logs: 2,
    backlogBytes: 1024 * 1024,
    clock: systemClock,
  });
  await pool.prepare();
  const active = await pool.claim();
  if (!(active instanceof ActiveLog)) throw new Error(`No log: ${active}`);
  const oracle = new CounterOracle();
  const write = async () => {
    active.append(new OneBatch(oracle.send(["one"])));
    await active.sync();
  };
  await write();
  DataDirectory.open(storage, data, { self }).close();
  console.log("looked");
  await Deno.stdin.read(new Uint8Array(16));
  await write();
  console.log("written");
  await new Promise((resolve) => setTimeout(resolve, 600_000));
}

if (import.meta.main) await main(Deno.args[0] ?? "", Deno.args[1] ?? "");
