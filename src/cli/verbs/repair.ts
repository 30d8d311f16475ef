import { UsageError } from "../../base/errors.ts";
import { printablePath } from "../../base/printable.ts";
import { EXIT_CODES } from "../exit_codes.ts";
import { flag, path } from "../kit/option.ts";
import { dataOption } from "../options.ts";
import { defineVerb, examplesOf } from "../verb.ts";

export const repair = defineVerb({
  name: "repair",
  summary: "repair a damaged data directory",
  details: [
    "Saves the good frames of damaged logs and, of a damaged keyspace, every counter that is left in " +
    "one of its two orders. Prints a line for each action: noun, file, what was done, and the path " +
    "of the damaged file. Makes a repaired copy (DATA.repaired, or --out); with --in-place it replaces " +
    "the damaged files and keeps them in DATA/repair-saved. No daemon may run. Exits 6 if damage " +
    "remains. A repair that was killed can be repeated.",
  ],
  options: {
    data: dataOption,
    out: path({
      of: "directory",
      summary: "the directory for the repaired copy",
      defaultText: "DATA.repaired",
      fromEnvironment: false,
    }),
    inPlace: flag("repair the directory itself"),
  },
  answersJson: true,
  examples: examplesOf({
    "countd repair --data ./counters": "make a repaired copy in ./counters.repaired",
    "countd repair --in-place": "repair ./countd-data, and keep the damaged files",
  }),
  async run({ options, storage, json, stdout, stderr }) {
    if (options.inPlace && options.out !== undefined) {
      throw new UsageError("Give either --out or --in-place");
    }
    const { describeSelf, repair } = await import("../../admin/mod.ts");
    const { trimSlashes } = await import("../../file/mod.ts");
    const report = repair(storage, options.data, {
      self: describeSelf(storage),
      out: options.inPlace ? null : options.out ?? `${trimSlashes(options.data)}.repaired`,
    });
    const { actions, remaining, directory, hasOtherFormat } = report;
    if (json) {
      stdout.json({
        directory,
        actions,
        remaining: remaining.map((each) => ({ ...each, offset: String(each.offset) })),
      });
    } else {
      for (const { noun, path, what, saved } of actions) {
        stdout.line(`${noun}\t${printablePath(path)}\t${what}\t${printablePath(saved ?? "-")}`);
      }
      for (const { noun, invariant, path, message } of remaining) {
        stderr.line(`still broken: ${noun} ${invariant} ${printablePath(path)}: ${message}`);
      }
      stderr.line(
        `repaired: ${directory}${actions.length === 0 ? " (nothing had to be done)" : ""}`,
      );
    }
    if (remaining.length > 0) return EXIT_CODES.corruption;
    return hasOtherFormat ? EXIT_CODES.failed : EXIT_CODES.ok;
  },
});
