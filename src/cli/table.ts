/** The verbs of countd, in the order in which help shows them. */
import type { Verb, VerbGroup } from "./verb.ts";

export const VERBS: readonly (Verb | VerbGroup)[] = [];
