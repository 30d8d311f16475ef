import { pathArgument } from "../kit/argument.ts";
import { dataOption } from "../options.ts";
import { decimal } from "../output.ts";
import { defineVerb, examplesOf } from "../verb.ts";

export const restore = defineVerb({
  name: "restore",
  summary: "make a data directory from a backup",
  details: [
    "Verifies the backup first. The directory in --data must not exist, or be empty; it is made as " +
    "DATA.partial-… and renamed when it is complete. The next worker folds what was still in the logs.",
  ],
  positionals: { backup: pathArgument("a directory made by countd backup", "directory") },
  options: { data: dataOption },
  answersJson: true,
  examples: examplesOf({
    "countd restore /backups/monday": "restore into ./countd-data",
    "countd restore ./copy --data ./second && countd worker --once --data ./second":
      "restore, and fold what was still in the logs",
  }),
  async run({ options, positionals, storage, json, stdout }) {
    const { describeSelf, restore } = await import("../../admin/mod.ts");
    const self = describeSelf(storage);
    const restored = restore(storage, positionals.backup, options.data, { self });
    const { files, bytes, createdMs } = restored;
    const facts = { files, bytes, created: new Date(createdMs).toISOString() };
    if (json) stdout.json({ directory: options.data, ...decimal(facts) });
    else stdout.facts(facts);
  },
});
