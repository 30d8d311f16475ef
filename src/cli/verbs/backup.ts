import { pathArgument } from "../kit/argument.ts";
import { dataOption } from "../options.ts";
import { decimal } from "../output.ts";
import { defineVerb, examplesOf } from "../verb.ts";

export const backup = defineVerb({
  name: "backup",
  summary: "copy a data directory while daemons use it",
  details: [
    "The backup holds every increment that was stored before it began, exactly once. An increment " +
    "that is stored during the backup is in it once or not at all. DIR must not exist, or be empty. " +
    "The copy is made in DIR.partial-…, checked, read back, and only then renamed to DIR. The next " +
    "backup into DIR removes what a killed one left.",
    "If anything is damaged or would be left out, it names each such path, makes nothing and exits 6.",
  ],
  positionals: { dir: pathArgument("the directory to make", "directory") },
  options: { data: dataOption },
  answersJson: true,
  examples: examplesOf({
    "countd backup /backups/monday": "back up ./countd-data, with or without running daemons",
    "countd backup --data ./counters ./copy && countd restore ./copy --data ./second":
      "make a second data directory with the same counters",
  }),
  async run({ options, positionals, storage, clock, json, stdout }) {
    const { backup, describeSelf } = await import("../../admin/mod.ts");
    const self = describeSelf(storage);
    const report = await backup(storage, options.data, positionals.dir, { self, clock });
    if (json) stdout.json({ backup: positionals.dir, ...decimal(report) });
    else stdout.facts(report);
  },
});
