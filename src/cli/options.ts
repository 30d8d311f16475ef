/** Options that several verbs share, so that each has one name and one meaning everywhere. */
import { READ_PORT, WRITE_PORT } from "../counters/wire/mod.ts";
import { LOG_FORMATS } from "./event_lines.ts";
import { address, choice, duration, flag, type Option, path, size, whole } from "./kit/option.ts";

/** Bytes of the longest keyspace or key: the default size of both. */
const NAME_BYTES_MAX = 256;

export const dataOption = path({
  of: "directory",
  summary: "the data directory",
  default: "./countd-data",
});

export const listenOption = choiceOfHost("the address to listen on");

function choiceOfHost(summary: string) {
  return {
    ...path({ of: "directory", summary, placeholder: "HOST", default: "127.0.0.1" }),
    completion: "nothing" as const,
  };
}

/** A port to listen on. */
export function portOption(summary: string, port: number): Option<number> {
  return whole({
    summary: `${summary}; 0 takes a free one`,
    placeholder: "PORT",
    min: 0,
    max: 65535,
    default: port,
  });
}

/** The server to which a client of the write port connects. */
export const connectToWriteOption = address({
  summary: "the server to write to",
  defaultPort: WRITE_PORT,
  default: { hostname: "127.0.0.1", port: WRITE_PORT },
});

/** The server to ask instead of the data directory. */
export const connectToReadOption = address({
  summary: "ask this server instead of reading the data directory",
  defaultPort: READ_PORT,
});

/** How long a client waits for a server at the default address. */
export const DEFAULT_ADDRESS_WAIT_MS = 5000;

/** For verbs that always connect. */
export const waitOption = duration({
  summary: "time to wait for a server that is still starting",
  min: 0,
  max: 86_400_000,
  defaultText: "5s without --connect, else 0",
});

/** The same for verbs that connect only on request. */
export const waitElsewhereOption = duration({
  summary: "time to wait for a server that is still starting",
  min: 0,
  max: 86_400_000,
  default: 0,
});

export const staleOption = flag(
  "answer from the keyspace files alone, without what is still in the logs",
);

export const keyspaceSizeOption = nameSizeOption("keyspace");
export const keySizeOption = nameSizeOption("key");

function nameSizeOption(what: string) {
  return whole({
    summary: `bytes of a ${what} name in a message; fixed when the data directory is made`,
    placeholder: "BYTES",
    min: 1,
    max: NAME_BYTES_MAX,
    defaultText: `the stored value, ${NAME_BYTES_MAX} in a new data directory`,
  });
}

/** The same two for clients, which connect to a server and do not read a data directory. */
export const clientKeyspaceSizeOption = clientNameSizeOption("keyspace");
export const clientKeySizeOption = clientNameSizeOption("key");

function clientNameSizeOption(what: string) {
  return whole({
    summary: `bytes of a ${what} name in a message; must equal that of the server`,
    placeholder: "BYTES",
    min: 1,
    max: NAME_BYTES_MAX,
    default: NAME_BYTES_MAX,
  });
}

export const SYNC_MODES = ["always", "interval", "os"] as const;
export type SyncMode = (typeof SYNC_MODES)[number];

/** Options of the commit logs, on every verb that writes them. */
export const logOptions = {
  sync: choice({
    of: SYNC_MODES,
    summary: "when a log is synced to disk: before every answer, by timer, or by the system alone",
    default: "interval",
  }),
  syncInterval: duration({
    summary: "time between two syncs with --sync interval",
    min: 1,
    max: 3_600_000,
    default: 1000,
  }),
  logSize: size({
    summary: "bytes of one commit log, a multiple of 4096; fixed when the data directory is made",
    min: 65536,
    max: 2 ** 30,
    defaultText: "the stored value, 16MiB in a new data directory",
  }),
  logs: whole({
    summary: "commit logs to make at the first start",
    min: 2,
    max: 65536,
    default: 4,
  }),
  backlog: size({
    summary:
      "limit for the bytes of all commit logs; at the limit writers stop reading their sockets",
    min: 65536,
    default: 4 * 2 ** 30,
  }),
  sealAfter: duration({
    summary: "age at which a log is sealed for the worker although it is not full",
    min: 1,
    max: 86_400_000,
    default: 1000,
  }),
} as const;

export const maxConnectionsOption = whole({
  summary: "limit for open connections; any more are closed at once",
  min: 1,
  max: 1_000_000,
  default: 1024,
});

export const lockTimeoutOption = duration({
  summary: "time to wait for a lock that another process holds",
  min: 0,
  max: 86_400_000,
  default: 5000,
});

/** The options of every daemon. */
export const daemonOptions = {
  metricsPort: whole({
    summary: "serve /metrics (for Prometheus), /healthz and /readyz on this port of --listen",
    placeholder: "PORT",
    min: 0,
    max: 65535,
  }),
  logFormat: choice({
    of: LOG_FORMATS,
    summary: "the form of the event lines on stderr",
    default: "logfmt",
  }),
} as const;
