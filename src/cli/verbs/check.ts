import { printablePath } from "../../base/printable.ts";
import type { CheckReport, Violation } from "../../admin/mod.ts";
import { EXIT_CODES } from "../exit_codes.ts";
import { flag } from "../kit/option.ts";
import { dataOption } from "../options.ts";
import { decimal } from "../output.ts";
import { defineVerb, examplesOf } from "../verb.ts";

export const check = defineVerb({
  name: "check",
  summary: "check a data directory for damage",
  details: [
    "Checks the control file, logs, keyspaces, tables and database, and prints a line for each " +
    "broken rule: noun and number of the rule, file, byte offset and what is wrong, separated by " +
    "tabs. The README of each noun numbers its rules. Exits 6 if a rule is broken, and 1 if none is but " +
    "a file is of another format, which is named on stderr and is not damage. Changes nothing, and " +
    "may run beside daemons. What a killed process left and the next one cleans up is reported on " +
    "stderr; it does not break a rule.",
    "A failed sync sets the failed mark, and every daemon refuses the directory. --clear-failed, " +
    "while no daemon runs, checks every file, rewrites every byte, syncs, and removes the mark.",
  ],
  options: {
    data: dataOption,
    clearFailed: flag("remove the failed mark if every file is sound"),
  },
  answersJson: true,
  examples: examplesOf({
    "countd check --data ./counters": "exit 0 if everything is sound",
    "countd check --clear-failed": "make a directory usable again after a failed sync",
  }),
  async run({ options, storage, json, stdout, stderr }) {
    const { checkDirectory, clearFailed, describeSelf } = await import("../../admin/mod.ts");
    const self = describeSelf(storage);
    if (options.clearFailed) {
      const cleared = clearFailed(storage, options.data, { self });
      if (json) stdout.json({ ...reportJson(options.data, cleared), cleared: cleared.wasMarked });
      else {
        stderr.line(
          cleared.wasMarked
            ? `failed mark removed: ${cleared.rewrittenBytes} bytes were checked, rewritten and synced`
            : "the directory has no failed mark",
        );
      }
      return EXIT_CODES.ok;
    }
    const report = checkDirectory(storage, options.data, { self });
    if (json) stdout.json(reportJson(options.data, report));
    else {
      for (const violation of report.violations) stdout.line(lineOf(violation));
      for (const { path, message } of report.leftovers) {
        stderr.line(`left behind: ${printablePath(path)}: ${message}`);
      }
      for (const what of report.otherFormats) stderr.line(`another format: ${what}`);
      for (const what of report.notChecked) stderr.line(`not checked: ${what}`);
      stderr.line(summaryOf(report));
    }
    if (report.violations.length > 0) return EXIT_CODES.corruption;
    return report.otherFormats.length > 0 ? EXIT_CODES.failed : EXIT_CODES.ok;
  },
});

function lineOf({ noun, invariant, path, offset, message }: Violation): string {
  return `${noun} ${invariant}\t${printablePath(path)}\t${offset}\t${message}`;
}

function summaryOf({ violations, checked }: CheckReport): string {
  const parts = [`${checked.logs} logs`, `${checked.keyspaces} keyspaces`];
  if (checked.tables) parts.push("the tables");
  if (checked.db) parts.push("the database");
  const found = violations.length === 0 ? "no broken rules" : `${violations.length} broken rules`;
  return `checked ${parts.join(", ")}: ${found}`;
}

function reportJson(data: string, report: CheckReport) {
  const { violations, leftovers, otherFormats, checked, notChecked } = report;
  return {
    directory: data,
    violations: violations.map(violationJson),
    leftovers: leftovers.map(violationJson),
    otherFormats,
    checked: decimal(checked),
    notChecked,
  };
}

function violationJson({ noun, invariant, path, offset, message }: Violation) {
  return { noun, invariant, path, offset: String(offset), message };
}
