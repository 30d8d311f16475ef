/** The verbs of countd, in the order in which help shows them. */
import type { VerbTable } from "./verb.ts";
import { completion } from "./verbs/completion.ts";
import { systemd } from "./verbs/systemd.ts";
import { config } from "./verbs/config.ts";
import { doctor } from "./verbs/doctor.ts";
import { write } from "./verbs/write.ts";

export const VERBS: VerbTable = [
  write,
  doctor,
  config,
  systemd,
  completion,
];
