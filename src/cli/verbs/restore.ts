import { EXIT_CODES } from "../exit_codes.ts";
import { pathArgument } from "../kit/argument.ts";
import { dataOption } from "../options.ts";
import { defineVerb } from "../verb.ts";

export const restore = defineVerb({
  name: "restore",
  summary: "make a data directory out of a backup",
  details: [
    "Reads the backup back first. --data must not be there yet, or be empty; it is made beside its " +
    "name, in DATA.partial-…, and appears when it is whole. What was still in the logs is folded by " +
    "the next worker.",
  ],
  positionals: { backup: pathArgument("a directory that backup has made", "directory") },
  options: { data: dataOption },
  answersJson: true,
  examples: [
    { command: "countd restore /backups/monday", meaning: "into ./countd-data" },
    {
      command: "countd restore ./copy --data ./second && countd worker --once --data ./second",
      meaning: "and fold what was still in the logs",
    },
  ],
  async run({ options, positionals, storage, json, stdout }) {
    const { describeSelf } = await import("../../counters/commitlog/mod.ts");
    const { restore } = await import("../../admin/mod.ts");
    const self = describeSelf(storage);
    const report = restore(storage, positionals.backup, options.data, { self });
    const created = new Date(report.createdMs).toISOString();
    if (json) {
      stdout.json({
        directory: options.data,
        files: String(report.files),
        bytes: String(report.bytes),
        created,
      });
    } else {
      stdout.line(`files\t${report.files}`);
      stdout.line(`bytes\t${report.bytes}`);
      stdout.line(`created\t${created}`);
    }
    return EXIT_CODES.ok;
  },
});
