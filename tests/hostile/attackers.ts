/**
 * The attackers, each as what it does to one port. A new one is an entry of the table; what an entry says of
 * protocols decides which ports it attacks.
 */

import { increment, joined, pageRequest, rankRequest, sendAll } from "../process/plain_messages.ts";
import { COLLIDING_NAMES, collidingName } from "../support/colliding_names.ts";
import { connect as connectNode } from "node:net";
import { hostname, LONG, LONG_ROWS, type Port, type Protocol } from "./ports.ts";
import { connect, drop, httpGet, httpPost, pause, text } from "./raw.ts";

export interface Attacker {
  readonly name: string;
  readonly against: readonly Protocol[];
  /** Connections that attack a port at the same time. */
  readonly peers: number;
  /** As many if it is the only port that is attacked. */
  readonly peersAlone?: number;
  /** The work of one of them; it is begun again when it ends or fails. */
  readonly attack: (port: Port, peer: number) => Promise<void>;
  /** The attack needs the processor, as the work that it asks for is right. */
  readonly needsProcessor?: true;
  /** New connections are refused while it lasts: that is what the bound is for. */
  readonly takesAllPlaces?: true;
}

const all: readonly Protocol[] = ["write", "read", "http"];
const binary: readonly Protocol[] = ["write", "read"];

/** Enough to fill each read of a server. */
const AT_ONCE = 1000;

export const ATTACKERS: readonly Attacker[] = [
  {
    name: "storm of resets",
    against: all,
    peers: 20,
    attack: ({ port }) =>
      new Promise((resolve) => {
        const socket = connectNode(port, hostname, () => socket.resetAndDestroy());
        socket.on("error", () => {});
        socket.on("close", () => resolve());
      }),
  },
  {
    name: "connects and does nothing",
    against: all,
    peers: 100,
    attack: async (port) => {
      using _ = await connect(port);
      await pause(5000);
    },
  },
  {
    name: "one byte a second",
    against: all,
    peers: 100,
    attack: async (port) => {
      using connection = await connect(port);
      const bytes = port.protocol === "http"
        ? text("GET /status HTTP/1.1")
        : increment("slow", "", 1n);
      for (const byte of bytes) {
        await connection.write(Uint8Array.of(byte));
        await pause(1000);
      }
    },
  },
  {
    name: "ends its sending side and stays",
    against: all,
    peers: 100,
    attack: async (port) => {
      using connection = await connect(port);
      await sendAll(connection, firstMessage(port));
      await connection.closeWrite();
      await pause(1000);
    },
  },
  {
    name: "two thousand connections",
    against: all,
    peers: 500,
    peersAlone: 2000,
    takesAllPlaces: true,
    attack: async (port) => {
      using connection = await connect(port);
      await drop(connection);
      await pause(500);
    },
  },
  {
    name: "takes no long answers",
    against: ["read", "http"],
    peers: 12,
    attack: async (port) => {
      using connection = await connect(port);
      const request = port.protocol === "read"
        ? pageRequest(LONG, LONG_ROWS)
        : httpGet(port.longPath ?? port.path ?? "/");
      await sendAll(connection, joined(Array.from({ length: 20 }, () => request)));
      await pause(5000);
    },
  },
  {
    name: "pipelines long pages",
    against: ["read"],
    peers: 2,
    needsProcessor: true,
    attack: pipelined(() => pageRequest(LONG, LONG_ROWS)),
  },
  {
    name: "pipelines ranks",
    against: ["read"],
    peers: 200,
    attack: pipelined((index) => rankRequest(LONG, `${index % LONG_ROWS}`.padEnd(200, "x"))),
  },
  {
    name: "pipelines unknown keyspaces",
    against: ["read"],
    peers: 50,
    attack: pipelined(() => pageRequest(`unknown-${made++}`, 1)),
  },
  {
    name: "pipelines the list of keyspaces",
    against: ["read"],
    peers: 2,
    needsProcessor: true,
    attack: pipelined(() => {
      const request = rankRequest("", "");
      request[264] = 2;
      return request;
    }),
  },
  {
    name: "pipelines requests",
    against: ["http"],
    peers: 4,
    attack: pipelined((_, port) => httpGet(port.path ?? "/")),
  },
  {
    name: "increments without end",
    against: ["write"],
    peers: 50,
    needsProcessor: true,
    attack: pipelined((index) => increment("flood", `key-${index}`, 1n)),
  },
  {
    name: "new counters without end",
    against: ["write"],
    peers: 1,
    needsProcessor: true,
    attack: pipelined(() => increment("flood", `key-${Deno.pid}-${made++}`, 1n)),
  },
  {
    name: "colliding names",
    against: binary,
    peers: 2,
    needsProcessor: true,
    attack: pipelined((index, { protocol }) => {
      const name = collidingName(index % COLLIDING_NAMES);
      const bytes = protocol === "write" ? increment("flood", "", 1n) : pageRequest("", 1);
      const [field, other] = protocol === "write" ? [8, 264] : [0, 0];
      // As keyspaces and as keys; a fold of so many keyspaces is not what is tried here.
      bytes.set(name, index % 500 === 0 ? field : other);
      return bytes;
    }),
  },
  {
    name: "huge and broken forms",
    against: ["http"],
    peers: 2,
    needsProcessor: true,
    attack: async (port, peer) => {
      if (port.formPath === undefined) return await pause(1000);
      const unit = FORM_UNITS[(peer + forms++) % FORM_UNITS.length]!;
      const body = text(unit.start + unit.repeated.repeat(4 * 2 ** 20 / unit.repeated.length));
      using connection = await connect(port);
      const dropped = drop(connection);
      for (const part of httpPost(port.formPath, unit.type, body)) await sendAll(connection, part);
      await Promise.race([dropped, pause(2000)]);
    },
  },
  {
    name: "bodies in chunks of one byte",
    against: ["http"],
    peers: 2,
    needsProcessor: true,
    attack: async (port) => {
      if (port.formPath === undefined) return await pause(1000);
      using connection = await connect(port);
      const dropped = drop(connection);
      const head = `POST ${port.formPath} HTTP/1.1\r\nHost: localhost\r\n` +
        "Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n";
      await sendAll(connection, text(head));
      const chunks = text("1\r\nx\r\n".repeat(10_000));
      for (let round = 0; round < 5; round++) await sendAll(connection, chunks);
      await sendAll(connection, text("0\r\n\r\n"));
      await Promise.race([dropped, pause(2000)]);
    },
  },
  {
    name: "HTTP and TLS on a binary port",
    against: binary,
    peers: 8,
    attack: async (port, peer) => {
      using connection = await connect(port);
      const first = peer % 2 === 0
        ? httpGet("/" + "x".repeat(2000))
        : Uint8Array.of(22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3, ...new Uint8Array(508));
      await sendAll(connection, first);
      await drop(connection);
    },
  },
];

let forms = 0;
/** Names that were not used before. */
let made = 0;
const FORM = "application/x-www-form-urlencoded";
const FORM_UNITS = [
  { type: FORM, start: "", repeated: "%&" },
  { type: FORM, start: "", repeated: "&" },
  { type: FORM, start: "value=", repeated: "+" },
  { type: "multipart/form-data; boundary=b", start: "", repeated: "--b\r\n\r\n\r\n" },
  {
    type: `multipart/form-data; boundary=${"-".repeat(69)}x`,
    start: `--${"-".repeat(69)}x\r\nX: y\r\n\r\n`,
    repeated: "-",
  },
] as const;

/** A whole message of which a server takes note. */
function firstMessage(port: Port): Uint8Array {
  if (port.protocol === "write") return increment("attacked", "key", 1n);
  if (port.protocol === "read") return pageRequest("attacked", 1);
  return httpGet(port.path ?? "/");
}

/** Sends messages as fast as they are taken, and reads and drops the answers. */
function pipelined(message: (index: number, port: Port) => Uint8Array) {
  return async (port: Port, peer: number) => {
    using connection = await connect(port);
    const dropped = drop(connection);
    for (let round = 0;; round++) {
      const first = (peer * 64 + round) * AT_ONCE;
      const batch = Array.from({ length: AT_ONCE }, (_, index) => message(first + index, port));
      const bytes = joined(batch);
      // The same bytes a few times: to make them costs more than to answer them.
      for (let time = 0; time < 4; time++) await sendAll(connection, bytes);
      if (await Promise.race([dropped.then(() => true), pause(0).then(() => false)])) return;
    }
  };
}
