/** Options that several verbs share, so that each has one name and one meaning everywhere. */
import {
  LOG_SIZE_DEFAULT,
  LOG_SIZE_MAX,
  LOG_SIZE_MIN,
  LOG_SIZE_UNIT_BYTES,
  poolDefaults,
  SLOTS_MAX,
} from "../base/pool_defaults.ts";
import { DEFAULT_SIZES, NAME_SIZE_MAX, READ_PORT, WRITE_PORT } from "../counters/wire/mod.ts";
import { LOG_FORMATS } from "./event_lines.ts";
import {
  address,
  choice,
  duration,
  flag,
  host,
  type Option,
  path,
  showDuration,
  showSize,
  size,
  whole,
} from "./kit/option.ts";

export const dataOption = path({
  of: "directory",
  summary: "the data directory",
  default: "./countd-data",
});

/** The loopback address: the default to listen on, and to connect to. */
const HOST_DEFAULT = "127.0.0.1";

export const listenOption = host({ summary: "the address to listen on", default: HOST_DEFAULT });

/** A port to listen on. */
export function portOption(summary: string, port: number): Option<number> {
  return whole({
    summary: `${summary}; 0 takes a free one`,
    placeholder: "PORT",
    max: 65535,
    default: port,
  });
}

/** The server to which a client of the write port connects. */
const connectToWriteOption = address({
  summary: "the server to write to",
  defaultPort: WRITE_PORT,
  default: { hostname: HOST_DEFAULT, port: WRITE_PORT },
});

/** The server to ask instead of the data directory. */
export const connectToReadOption = address({
  summary: "ask this server instead of reading the data directory",
  defaultPort: READ_PORT,
});

/** How long a client waits for a server at the default address. */
export const DEFAULT_ADDRESS_WAIT_MS = 5000;

const DAY_MS = 86_400_000;
const waiting = {
  summary: "time to wait for a server that is still starting",
  max: DAY_MS,
} as const;

/** For verbs that always connect. */
const waitOption = duration({
  ...waiting,
  defaultText: `${showDuration(DEFAULT_ADDRESS_WAIT_MS)} without --connect, else 0`,
});

/** The same for verbs that connect only on request. */
export const waitElsewhereOption = duration({ ...waiting, default: 0 });

export const staleOption = flag(
  "answer from the keyspace files alone, without what is still in the logs",
);

/** Bytes of a name field; `note` says what decides it. */
function nameSize(what: string, note: string) {
  const summary = `bytes of a ${what} name in a message; ${note}`;
  return { summary, placeholder: "BYTES", min: 1, max: NAME_SIZE_MAX } as const;
}

/** For verbs that make a data directory. */
function storedSizeOption(what: string, inNew: number): Option<number | undefined> {
  const settings = nameSize(what, "fixed when the data directory is made");
  return whole({ ...settings, defaultText: `the stored value, ${inNew} in a new data directory` });
}

/** For clients, which connect to a server and do not read a data directory. */
function clientSizeOption(what: string, size: number): Option<number> {
  return whole({ ...nameSize(what, "must equal that of the server"), default: size });
}

export const clientKeyspaceSizeOption = clientSizeOption("keyspace", DEFAULT_SIZES.keyspaceSize);
export const clientKeySizeOption = clientSizeOption("key", DEFAULT_SIZES.keySize);

/** For verbs that write to a server. */
export const writeClientOptions = {
  connect: connectToWriteOption,
  wait: waitOption,
  keyspaceSize: clientKeyspaceSizeOption,
  keySize: clientKeySizeOption,
} as const;

export const SYNC_MODES = ["always", "interval", "os"] as const;
export type SyncMode = (typeof SYNC_MODES)[number];

/** Options of every log that answers wait for. */
export const syncOptions = {
  sync: choice({
    of: SYNC_MODES,
    summary: "when a log is synced to disk: before every answer, by timer, or by the system alone",
    default: "interval",
  }),
  syncInterval: duration({
    summary: "time between two syncs with --sync interval",
    min: 1,
    max: 3_600_000,
    default: poolDefaults.syncIntervalMs,
  }),
} as const;

/** Options of the commit logs, on every verb that writes them. */
export const logOptions = {
  ...syncOptions,
  logSize: size({
    summary: `bytes of one commit log, a multiple of ${LOG_SIZE_UNIT_BYTES}; fixed when the data ` +
      "directory is made",
    min: LOG_SIZE_MIN,
    max: LOG_SIZE_MAX,
    defaultText: `the stored value, ${showSize(LOG_SIZE_DEFAULT)} in a new data directory`,
  }),
  logs: whole({
    summary: "commit logs to make at the first start",
    min: 2,
    max: SLOTS_MAX,
    default: poolDefaults.logs,
  }),
  backlog: size({
    summary:
      "limit for the bytes of all commit logs; at the limit writers stop reading their sockets",
    min: LOG_SIZE_MIN,
    defaultText: `${showSize(poolDefaults.backlogBytes)}, or ${SLOTS_MAX} logs if that is less`,
  }),
  sealAfter: duration({
    summary: "age at which a log is sealed for the worker although it is not full",
    min: 1,
    max: DAY_MS,
    default: poolDefaults.sealAfterMs,
  }),
} as const;

export const lockTimeoutOption = duration({
  summary: "time to wait for a lock that another process holds",
  max: DAY_MS,
  default: 5000,
});

/** The options of every daemon. */
export const daemonOptions = {
  metricsPort: whole({
    summary: "serve /metrics (for Prometheus), /healthz and /readyz on this port of --listen",
    placeholder: "PORT",
    max: 65535,
  }),
  logFormat: choice({
    of: LOG_FORMATS,
    summary: "the form of the event lines on stderr",
    default: "logfmt",
  }),
} as const;

/** For servers of the write port. */
export const maxKeyspacesOption = whole({
  summary:
    "limit for the number of keyspaces; increments of further ones are refused. Several writers keep " +
    "it approximately",
  min: 1,
  max: 1_000_000_000,
  default: 1_000_000,
});

/** The options of every daemon that takes messages of clients. */
export const messageServerOptions = {
  keyspaceSize: storedSizeOption("keyspace", DEFAULT_SIZES.keyspaceSize),
  keySize: storedSizeOption("key", DEFAULT_SIZES.keySize),
  maxConnections: whole({
    summary: "limit for open connections; any more are closed at once",
    min: 1,
    max: 1_000_000,
    default: 1024,
  }),
  ...daemonOptions,
} as const;
