/** The verbs of countd, in the order in which help shows them. */
import type { VerbTable } from "./verb.ts";
import { completion } from "./verbs/completion.ts";
import { systemd } from "./verbs/systemd.ts";
import { config } from "./verbs/config.ts";
import { doctor } from "./verbs/doctor.ts";
import { kv } from "./verbs/kv.ts";
import { serve } from "./verbs/serve.ts";
import { worker } from "./verbs/worker.ts";
import { write } from "./verbs/write.ts";
import { status } from "./verbs/status.ts";

export const VERBS: VerbTable = [
  status,
  write,
  worker,
  serve,
  kv,
  doctor,
  config,
  systemd,
  completion,
];
