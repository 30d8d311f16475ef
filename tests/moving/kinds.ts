/** The kinds of files that countd keeps: where each is, and which verbs meet it. */

import type { Sample } from "./sample.ts";

export interface Kind {
  readonly name: string;
  /** A directory has no size, so events of sizes are left out. */
  readonly isDirectory?: true;
  /** What the file holds, and so what is compared afterwards. */
  readonly holds: "counters" | "tables" | "database" | "bytes";
  /** The file below `base`, which is a data directory, a backup or the place of an append-only file. */
  readonly file: (base: string, sample: Sample) => string;
  /** A sentence that matches names this file. */
  readonly words: RegExp;
  /** The rule for what is left out: a verb meets a file if it opens it or lists its folder. */
  readonly verbs: readonly string[];
  /** Events that leave a whole file of this kind, in which nothing shows that there was another. */
  readonly undetectable: readonly string[];
  /** Events that leave all that the file says where it was. */
  readonly harmless?: readonly string[];
  /** countd maps it, so a page that is gone or cannot be read may end a process by a signal. */
  readonly isMapped?: true;
}

const COUNTER_VERBS = [
  ...["write", "worker", "read", "serve", "check", "repair", "backup"],
  ...["status", "top", "get", "keyspaces", "shell"],
];
const TABLE_VERBS = ["kv get", "kv set", "shell", "check", "repair", "backup", "restore"];
const DATABASE_VERBS = ["db", "db export", "check", "repair", "backup", "restore"];

export const kinds: readonly Kind[] = [
  {
    name: "control",
    holds: "counters",
    file: (base) => `${base}/control`,
    words: /control|data directory/,
    verbs: [...COUNTER_VERBS, "restore", "db", "kv set"],
    undetectable: ["older copy"],
    harmless: ["grown sparse"],
    isMapped: true,
  },
  {
    name: "log",
    holds: "counters",
    file: (base, { log }) => `${base}/logs/${log}`,
    words: /\blogs?\b|\bslot/,
    verbs: [...COUNTER_VERBS, "restore", "log inspect"],
    undetectable: ["older copy"],
  },
  {
    name: "keyspace",
    holds: "counters",
    file: (base) => `${base}/keyspaces/visits`,
    words: /visits|keyspaces\b/,
    verbs: [...COUNTER_VERBS, "restore"],
    undetectable: ["older copy"],
    harmless: ["grown sparse"],
  },
  {
    name: "table",
    isDirectory: true,
    holds: "tables",
    file: (base) => `${base}/tables/jobs.tbl`,
    words: /jobs|tables/,
    verbs: TABLE_VERBS,
    undetectable: ["removed", "older copy"],
  },
  {
    name: "value",
    holds: "tables",
    file: (base) => `${base}/tables/jobs.tbl/next.kv`,
    words: /\bnext\b|jobs/,
    verbs: TABLE_VERBS,
    undetectable: ["removed", "older copy", "truncated", "grown sparse"],
  },
  {
    name: "database map",
    holds: "database",
    file: (base) => `${base}/db/db.json`,
    words: /db\.json|\bdb\/|database/,
    verbs: DATABASE_VERBS,
    undetectable: ["older copy"],
    // The map of the sample has no snapshot yet: the log is the truth, and half of the map is all of it.
    harmless: ["grown sparse", "truncated"],
    isMapped: true,
  },
  {
    name: "database log",
    holds: "database",
    file: (base) => `${base}/db/log`,
    words: /db\/log|\bdb\/|database/,
    verbs: DATABASE_VERBS,
    // The log is the truth: it may be as old as the map.
    undetectable: ["older copy"],
    harmless: ["grown sparse"],
    isMapped: true,
  },
  {
    name: "append-only file",
    holds: "bytes",
    file: (base) => `${base}/events`,
    words: /events/,
    verbs: ["log append", "log inspect"],
    undetectable: ["older copy"],
    harmless: ["grown sparse"],
    isMapped: true,
  },
  {
    name: "report in run",
    holds: "counters",
    file: (base, { report }) => `${base}/run/${report}`,
    words: /\brun\b/,
    verbs: ["write", "worker", "read", "serve", "db", "check", "repair", "backup", "status"],
    // No data depends on a report.
    undetectable: [
      ...["removed", "older copy", "truncated", "grown sparse"],
      ...["FIFO", "socket", "directory", "symbolic link"],
    ],
  },
  {
    name: "backup.json",
    holds: "counters",
    file: (base) => `${base}/backup.json`,
    words: /backup/,
    verbs: [
      ...["restore", "check", "status", "top", "get", "keyspaces", "kv get"],
      ...["write", "backup", "repair"],
    ],
    undetectable: [],
  },
];
