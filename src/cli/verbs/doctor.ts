import { EXIT_CODES } from "../exit_codes.ts";
import { dataOption } from "../options.ts";
import { defineVerb, examplesOf } from "../verb.ts";

/** Widths of the first two columns. */
const LEVEL_WIDTH = 9;
const CHECK_WIDTH = 13;

export const doctor = defineVerb({
  name: "doctor",
  summary: "examine the machine and the data directory, and give advice",
  details: [
    "Examines the platform, the directory and the owners of its files, the failed mark, the file " +
    "system, kernel locks, hard links, the limit of open files, and the free space. Its own test " +
    "files are removed again. Exits 1 if countd must not run there, else 0, also with warnings.",
  ],
  options: { data: dataOption },
  answersJson: true,
  examples: examplesOf({
    "countd doctor --data /var/lib/countd/main": "find out if countd can run there",
    "countd doctor --json": "the same as JSON",
  }),
  async run({ options, storage, json, stdout }) {
    const { examine } = await import("../../admin/mod.ts");
    const findings = examine(storage, options.data, { user: Deno.uid() ?? 0 });
    const problems = findings.filter(({ level }) => level === "problem").length;
    if (json) {
      stdout.json({ directory: options.data, problems, findings });
    } else {
      for (const { check, level, message, advice } of findings) {
        stdout.line(level.padEnd(LEVEL_WIDTH) + check.padEnd(CHECK_WIDTH) + message);
        if (advice !== "") stdout.line(" ".repeat(LEVEL_WIDTH + CHECK_WIDTH) + "do: " + advice);
      }
    }
    return problems === 0 ? EXIT_CODES.ok : EXIT_CODES.failed;
  },
});
