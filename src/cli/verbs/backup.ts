import { EXIT_CODES } from "../exit_codes.ts";
import { pathArgument } from "../kit/argument.ts";
import { dataOption } from "../options.ts";
import { defineVerb } from "../verb.ts";

export const backup = defineVerb({
  name: "backup",
  summary: "copy a data directory while everything runs",
  details: [
    "Every increment that was stored before the backup began is in it exactly once; one that comes " +
    "meanwhile is in it once or not at all. The copy is checked and read back before it appears " +
    "under its name; DIR must not be there yet, or be empty. Until then it grows in " +
    "DIR.partial-… beside it; what a killed backup leaves there is removed by the next one into DIR.",
    "Exits 6 and makes nothing if something is damaged or would be left out; it names each such path.",
  ],
  positionals: { dir: pathArgument("the directory to make", "directory") },
  options: { data: dataOption },
  answersJson: true,
  examples: [
    {
      command: "countd backup /backups/monday",
      meaning: "of ./countd-data, daemons running or not",
    },
    {
      command: "countd backup --data ./counters ./copy && countd restore ./copy --data ./second",
      meaning: "a second data directory with the same counters",
    },
  ],
  async run({ options, positionals, storage, clock, json, stdout }) {
    const { describeSelf } = await import("../../counters/commitlog/mod.ts");
    const { backup } = await import("../../admin/mod.ts");
    const self = describeSelf(storage);
    const report = await backup(storage, options.data, positionals.dir, { self, clock });
    const facts: [string, string][] = [
      ["files", String(report.files)],
      ["bytes", String(report.bytes)],
      ["keyspaces", String(report.keyspaces)],
      ["unfolded records", String(report.unfoldedRecords)],
      ["table keys", String(report.tableKeys)],
      ["database", report.database ? "yes" : "no"],
    ];
    if (json) {
      stdout.json({
        backup: positionals.dir,
        files: String(report.files),
        bytes: String(report.bytes),
        keyspaces: String(report.keyspaces),
        unfoldedRecords: String(report.unfoldedRecords),
        tableKeys: String(report.tableKeys),
        database: report.database,
      });
    } else for (const [name, value] of facts) stdout.line(`${name}\t${value}`);
    return EXIT_CODES.ok;
  },
});
