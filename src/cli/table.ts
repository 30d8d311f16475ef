/** The verbs of countd, in the order of the help. */
import type { VerbTable } from "./verb.ts";
import { backup } from "./verbs/backup.ts";
import { check } from "./verbs/check.ts";
import { completion } from "./verbs/completion.ts";
import { config } from "./verbs/config.ts";
import { db } from "./verbs/db.ts";
import { doctor } from "./verbs/doctor.ts";
import { get } from "./verbs/get.ts";
import { incr } from "./verbs/incr.ts";
import { keyspaces } from "./verbs/keyspaces.ts";
import { kv } from "./verbs/kv.ts";
import { load } from "./verbs/load.ts";
import { log } from "./verbs/log.ts";
import { rank } from "./verbs/rank.ts";
import { read } from "./verbs/read.ts";
import { repair } from "./verbs/repair.ts";
import { restore } from "./verbs/restore.ts";
import { serve } from "./verbs/serve.ts";
import { shell } from "./verbs/shell.ts";
import { status } from "./verbs/status.ts";
import { systemd } from "./verbs/systemd.ts";
import { top } from "./verbs/top.ts";
import { worker } from "./verbs/worker.ts";
import { write } from "./verbs/write.ts";

export const VERBS: VerbTable = [
  write,
  worker,
  read,
  serve,
  incr,
  load,
  top,
  get,
  rank,
  keyspaces,
  kv,
  shell,
  db,
  log,
  status,
  check,
  repair,
  backup,
  restore,
  doctor,
  config,
  systemd,
  completion,
];
