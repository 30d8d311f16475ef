import { printablePath } from "../../base/printable.ts";
import type { CheckReport, Violation } from "../../admin/mod.ts";
import { EXIT_CODES } from "../exit_codes.ts";
import { flag } from "../kit/option.ts";
import { dataOption } from "../options.ts";
import { defineVerb } from "../verb.ts";

export const check = defineVerb({
  name: "check",
  summary: "look for broken rules in a data directory",
  details: [
    "Looks at the control file, logs, keyspaces, tables and database, and prints a line for each " +
    "broken rule: noun and number of the rule, file, byte offset and what is wrong, separated by " +
    "tabs. The rules are numbered in the README of each noun's room. Exits 6 where there is one. " +
    "Changes nothing, and may run while daemons work. What a killed process left behind, and the next " +
    "one puts right, is told on stderr and is no broken rule.",
    "A failed sync marks a directory as failed, and every daemon refuses it. --clear-failed, with no " +
    "daemon running, checks every file, writes every byte once more, syncs, and removes the mark.",
  ],
  positionals: {},
  options: {
    data: dataOption,
    clearFailed: flag("remove the mark of a failed sync when every file is sound"),
  },
  answersJson: true,
  examples: [
    { command: "countd check --data ./counters", meaning: "exit 0 where all is sound" },
    {
      command: "countd check --clear-failed",
      meaning: "make a directory usable again after a failed sync",
    },
  ],
  async run({ options, storage, json, stdout, stderr }) {
    const { describeSelf } = await import("../../counters/commitlog/mod.ts");
    const { checkDirectory, clearFailed } = await import("../../admin/mod.ts");
    const self = describeSelf(storage);
    if (options.clearFailed) {
      const cleared = clearFailed(storage, options.data, { self });
      if (json) stdout.json({ ...reportJson(options.data, cleared), cleared: cleared.wasMarked });
      else {
        stderr.line(
          cleared.wasMarked
            ? `mark removed: ${cleared.rewrittenBytes} bytes were checked, written again and synced`
            : "there was no mark of a failed sync",
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
      for (const what of report.notChecked) stderr.line(`not checked: ${what}`);
      stderr.line(summaryOf(report));
    }
    return report.violations.length > 0 ? EXIT_CODES.corruption : EXIT_CODES.ok;
  },
});

function lineOf({ noun, invariant, path, offset, message }: Violation): string {
  return `${noun} ${invariant}\t${printablePath(path)}\t${offset}\t${message}`;
}

function summaryOf({ violations, checked }: CheckReport): string {
  const parts = [`${checked.logs} logs`, `${checked.keyspaces} keyspaces`];
  if (checked.tables) parts.push("the tables");
  if (checked.db) parts.push("the database");
  const found = violations.length === 0 ? "no rule is broken" : `${violations.length} broken rules`;
  return `checked ${parts.join(", ")}: ${found}`;
}

function reportJson(data: string, { violations, leftovers, checked, notChecked }: CheckReport) {
  return {
    directory: data,
    violations: violations.map(violationJson),
    leftovers: leftovers.map(violationJson),
    checked: {
      ...checked,
      logs: String(checked.logs),
      keyspaces: String(checked.keyspaces),
    },
    notChecked,
  };
}

function violationJson({ noun, invariant, path, offset, message }: Violation) {
  return { noun, invariant, path, offset: String(offset), message };
}
