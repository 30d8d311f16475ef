/** The verbs of countd, in the order in which help shows them. */
import type { VerbTable } from "./verb.ts";
import { completion } from "./verbs/completion.ts";

export const VERBS: VerbTable = [
  completion,
];
