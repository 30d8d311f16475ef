/** A database behind its handler, or behind a real socket. Each test ends with `check` on it. */

import { assertEquals } from "@std/assert";
import { type Events, noEvents } from "../../../src/base/events.ts";
import {
  check,
  type DatabasePaths,
  type DB,
  init,
  type InitOptions,
} from "../../../src/database/mod.ts";
import { systemStorage } from "../../../src/file/mod.ts";
import { type Handler, newHandler, serveDatabase } from "../../../src/database/http/mod.ts";
import { withTemporaryDirectory } from "../../support/temporary.ts";

export interface TestDatabase {
  readonly db: DB;
  readonly paths: DatabasePaths;
  readonly handler: Handler;
  /** Sends a request to the handler, without a socket. */
  ask(method: string, target: string, init?: RequestInit): Promise<Response>;
  /** Closes and opens again. */
  restart(): Promise<void>;
}

export async function withHandler(
  body: (test: TestDatabase) => Promise<void>,
  options: InitOptions = {},
): Promise<void> {
  await withTemporaryDirectory(async (directory) => {
    const storage = options.storage ?? systemStorage();
    const paths = { map: `${directory}/db.json`, log: `${directory}/log.json` };
    const open = () => init(paths.map, paths.log, { ...options, storage });
    let db = open();
    let handler = newHandler(db);
    try {
      await body({
        get db() {
          return db;
        },
        get handler() {
          return handler;
        },
        paths,
        ask: (method, target, more = {}) =>
          handler(new Request(`http://localhost${target}`, { method, ...more })),
        async restart() {
          await db.close();
          db = open();
          handler = newHandler(db);
        },
      });
    } finally {
      await db.close();
    }
    assertEquals(check(systemStorage(), paths), []);
  });
}

export interface TestServer {
  readonly db: DB;
  readonly paths: DatabasePaths;
  readonly url: string;
  readonly port: number;
  get(key: string): Promise<string>;
  set(key: string, value: string): Promise<string>;
}

/** Runs `body` on a database behind a real socket. */
export async function withServer(
  body: (server: TestServer) => Promise<void>,
  options: InitOptions = {},
  events: Events = noEvents,
): Promise<void> {
  await withHandler(async ({ db, paths }) => {
    const stop = new AbortController();
    const listening = Promise.withResolvers<number>();
    const served = serveDatabase(db, {
      hostname: "127.0.0.1",
      port: 0,
      signal: stop.signal,
      events,
      onListening: ({ port }) => listening.resolve(port),
    });
    const port = await listening.promise;
    const url = `http://127.0.0.1:${port}`;
    const text = async (target: string, more?: RequestInit) => {
      const response = await fetch(`${url}${target}`, more);
      const content = await response.text();
      assertEquals(response.status, 200, `${target}: ${content}`);
      return content;
    };
    try {
      await body({
        db,
        paths,
        url,
        port,
        get: (key) => text(`/get/${encodeURIComponent(key)}`),
        set: (key, value) =>
          text(`/set/${encodeURIComponent(key)}`, {
            method: "POST",
            body: new URLSearchParams({ value }),
          }),
      });
    } finally {
      stop.abort();
      await served;
    }
  }, options);
}
